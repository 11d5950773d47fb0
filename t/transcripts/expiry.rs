//! Times to live: relative, absolute, negative; moved clock instead of waiting.

transcripts! {
    an_item_without_a_time_to_live_stays: r"
        $ -o debug_commands
        C: set a 0 0 1
        C: x
        S: STORED
        C: debugtime 100000000
        S: OK
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    an_item_lives_as_many_seconds_as_it_was_given: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 100 1
        C: x
        S: STORED
        C: debugtime 99
        S: OK
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: debugtime 1
        S: OK
        C: get a
        S: END
    ";
    a_negative_time_to_live_is_over_at_once: r"
        C: set a 0 -1 1
        C: x
        S: STORED
        C: get a
        S: END
        C: set a 0 -2147483648 1
        C: x
        S: STORED
        C: get a
        S: END
    ";
    minus_one_in_32_bits_without_a_sign_is_negative: r"
        C: set a 0 4294967295 1
        C: x
        S: STORED
        C: get a
        S: END
        C: set a 0 4292375296 1
        C: x
        S: STORED
        C: get a
        S: END
        C: set a 0 4292375295 1
        C: x
        S: STORED
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: touch a 4294967295
        S: TOUCHED
        C: get a
        S: END
        C: add a 0 0 1
        C: x
        S: STORED
        C: gat 4294967295 a
        S: VALUE a 0 1
        S: x
        S: END
        C: get a
        S: END
        C: set a 0 0 1
        C: x
        S: STORED
        C: cas a 0 4294967295 1 1
        C: y
        S: EXISTS
        C: replace a 0 4294967295 1
        C: y
        S: STORED
        C: get a
        S: END
        C: add a 0 4294967295 1
        C: y
        S: STORED
        C: get a
        S: END
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 4294967295
        S: OK
        C: get a
        S: END
    ";
    thirty_days_are_relative_and_a_second_more_is_a_date: r"
        C: set a 0 2592000 1
        C: x
        S: STORED
        C: set b 0 2592001 1
        C: y
        S: STORED
        C: get a b
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_date_in_the_past_is_over_at_once: r"
        C: set a 0 {now-10} 1
        C: x
        S: STORED
        C: get a
        S: END
    ";
    a_date_in_the_future_is_kept: r"
        $ -o debug_commands
        C: set a 0 {now+1000} 1
        C: x
        S: STORED
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
    a_date_past_2038_is_in_the_future: r"
        C: set a 0 2147483647 1
        C: x
        S: STORED
        C: set b 0 2147483648 1
        C: y
        S: STORED
        C: set c 0 5000000000 1
        C: z
        S: STORED
        C: get a b c
        S: VALUE a 0 1
        S: x
        S: VALUE b 0 1
        S: y
        S: VALUE c 0 1
        S: z
        S: END
    ";
    append_keeps_the_time_to_live_and_replace_does_not: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 100 1
        C: x
        S: STORED
        C: set b 0 100 1
        C: x
        S: STORED
        C: append a 0 0 1
        C: y
        S: STORED
        C: replace b 0 0 1
        C: y
        S: STORED
        C: debugtime 100
        S: OK
        C: get a b
        S: VALUE b 0 1
        S: y
        S: END
    ";
    counting_keeps_the_time_to_live: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 100 1
        C: 9
        S: STORED
        C: incr a 1
        S: 10
        C: debugtime 99
        S: OK
        C: get a
        S: VALUE a 0 2
        S: 10
        S: END
        C: debugtime 1
        S: OK
        C: get a
        S: END
    ";
    touch_and_gat_give_a_new_time_to_live: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 100 1
        C: x
        S: STORED
        C: set b 0 100 1
        C: y
        S: STORED
        C: set c 0 100 1
        C: z
        S: STORED
        C: touch a 1000
        S: TOUCHED
        C: gat 0 b
        S: VALUE b 0 1
        S: y
        S: END
        C: debugtime 999
        S: OK
        C: get a b c
        S: VALUE a 0 1
        S: x
        S: VALUE b 0 1
        S: y
        S: END
        C: debugtime 1
        S: OK
        C: get a b
        S: VALUE b 0 1
        S: y
        S: END
    ";
    cas_gives_a_new_time_to_live: r"
        $ -o debug_commands
        C: debugtime p
        S: OK
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
        C: cas a 0 10 1 {cas}
        C: y
        S: STORED
        C: debugtime 10
        S: OK
        C: get a
        S: END
    ";
}
