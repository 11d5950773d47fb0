//! `flush_all`: everything stored before is gone, and nothing stored after.

transcripts! {
    flush_all_hides_what_was_stored: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all
        S: OK
        C: get a
        S: END
        C: incr a 1
        S: NOT_FOUND
        C: replace a 0 0 1
        C: x
        S: NOT_STORED
    ";
    what_is_stored_after_a_flush_in_the_same_second_stays: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all
        S: OK
        C: set a 0 0 1
        C: y
        S: STORED
        C: add b 0 0 1
        C: z
        S: STORED
        C: get a b
        S: VALUE a 0 1
        S: y
        S: VALUE b 0 1
        S: z
        S: END
    ";
    flush_all_with_0_or_a_negative_delay_is_now: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 0
        S: OK
        C: get a
        S: END
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all -1
        S: OK
        C: get a
        S: END
    ";
    flush_all_with_a_delay_is_not_yet: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 1000
        S: OK
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_flush_after_a_delayed_one_is_now: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 1000
        S: OK
        C: flush_all
        S: OK
        C: get a
        S: END
    ";
    a_delayed_flush_does_not_bring_back_what_was_flushed: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all
        S: OK
        C: flush_all 1000
        S: OK
        C: get a
        S: END
    ";
    flush_all_with_a_delay_that_is_no_number_is_refused: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all x
        S: CLIENT_ERROR invalid exptime argument
        C: flush_all 1.5
        S: CLIENT_ERROR invalid exptime argument
        C: flush_all noreply 0
        S: CLIENT_ERROR invalid exptime argument
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    flush_all_ignores_words_too_many: r"
        C: flush_all 0 extra
        S: OK
        C: flush_all 0 extra more
        S: OK
    ";
    flush_all_can_be_forbidden: r"
        $ -F
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all
        S: CLIENT_ERROR flush_all not allowed
        C: flush_all 10
        S: CLIENT_ERROR flush_all not allowed
        C: flush_all noreply
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_delayed_flush_takes_everything_stored_before_its_time: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 100
        S: OK
        C: debugtime 50
        S: OK
        C: set b 0 0 1
        C: y
        S: STORED
        C: get a b
        S: VALUE a 0 1
        S: x
        S: VALUE b 0 1
        S: y
        S: END
        C: debugtime 51
        S: OK
        C: get a b
        S: END
        C: set c 0 0 1
        C: z
        S: STORED
        C: get c
        S: VALUE c 0 1
        S: z
        S: END
    ";
    an_immediate_flush_cancels_a_delayed_one: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: flush_all 100
        S: OK
        C: flush_all
        S: OK
        C: set a 0 0 1
        C: x
        S: STORED
        C: debugtime 200
        S: OK
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_later_delayed_flush_replaces_the_pending_one: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 100
        S: OK
        C: flush_all 1000
        S: OK
        C: debugtime 500
        S: OK
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: debugtime 501
        S: OK
        C: get a
        S: END
    ";
    a_delayed_flush_may_name_the_time_of_day: r"
        $ -o debug_commands
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all {now+1000}
        S: OK
        C: debugtime 900
        S: OK
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: debugtime 200
        S: OK
        C: get a
        S: END
    ";
}
