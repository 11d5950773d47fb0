//! `noreply`: executed without a reply.

transcripts! {
    every_store_can_be_silent: r"
        C: set a 0 0 1 noreply
        C: b
        C: add a 0 0 1 noreply
        C: x
        C: append a 0 0 1 noreply
        C: c
        C: prepend a 0 0 1 noreply
        C: a
        C: get a
        S: VALUE a 0 3
        S: abc
        S: END
        C: replace a 1 0 1 noreply
        C: y
        C: replace absent 1 0 1 noreply
        C: y
        C: get a absent
        S: VALUE a 1 1
        S: y
        S: END
    ";
    cas_can_be_silent: r"
        C: set a 0 0 1 noreply
        C: x
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
        C: cas a 0 0 1 {cas} noreply
        C: y
        C: cas a 0 0 1 {cas} noreply
        C: z
        C: get a
        S: VALUE a 0 1
        S: y
        S: END
    ";
    counting_deleting_and_touching_can_be_silent: r"
        C: set a 0 0 1 noreply
        C: 5
        C: incr a 10 noreply
        C: decr a 1 noreply
        C: incr absent 1 noreply
        C: touch a 0 noreply
        C: touch absent 0 noreply
        C: get a
        S: VALUE a 0 2
        S: 14
        S: END
        C: delete a noreply
        C: delete a noreply
        C: delete a 0 noreply
        C: get a
        S: END
    ";
    a_spoilt_noreply_is_answered: r"
        C: set a 0 0 1 noreplY
        C: 5
        S: STORED
        C: add a 0 0 1 noreplY
        C: x
        S: NOT_STORED
        C: append a 0 0 1 noreplY
        C: 0
        S: STORED
        C: cas a 0 0 1 1 noreplY
        C: x
        S: EXISTS
        C: incr a 1 noreplY
        S: 51
        C: decr a 1 noreplY
        S: 50
        C: touch a 0 noreplY
        S: TOUCHED
        C: delete a noreplY
        S: DELETED
        C: delete a 0 noreplY
        S: NOT_FOUND
        C: get a
        S: END
        C: flush_all 0 noreplY
        S: OK
        C: flush_all noreplY
        S: CLIENT_ERROR invalid exptime argument
        C: verbosity 0 noreplY
        S: OK
        C: cache_memlimit 64 noreplY
        S: OK
        C: slabs automove 1 noreplY
        S: OK
    ";
    flush_all_and_verbosity_can_be_silent: r"
        C: set a 0 0 1 noreply
        C: x
        C: flush_all noreply
        C: flush_all 0 noreply
        C: verbosity 0 noreply
        C: get a
        S: END
    ";
    refusals_of_a_silent_command_are_silent_too: r"
        C: set a 0 0 1 noreply
        C: x
        C: set a -1 0 7 noreply
        C: version
        C: set a 0 abc 7 noreply
        C: version
        C: set {251*k} 0 0 7 noreply
        C: version
        C: incr a 1 noreply
        C: incr a abc noreply
        C: touch a abc noreply
        C: flush_all abc noreply
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    an_unknown_command_can_be_silent: r"
        C: frobnicate a b noreply
        C: junk noreply
        C: GET noreply
        C: noreply
        C: shutdown noreply
        C: get a
        S: END
    ";
    a_bad_chunk_of_a_silent_store_is_silent: r"
        C: set a 0 0 1 noreply
        c: xyz
        C: get a
        S: END
    ";
    a_silent_value_too_large_is_swallowed: r"
        C: set a 0 0 1100000 noreply
        C: {1100000*x}
        C: get a
        S: END
    ";
    noreply_counts_only_as_the_last_word: r"
        C: set a 0 0 1 noreply more
        C: x
        S: STORED
    ";
    a_key_may_be_called_noreply: r"
        C: set noreply 0 0 1
        C: 5
        S: STORED
        C: incr noreply 1
        S: 6
        C: get noreply
        S: VALUE noreply 0 1
        S: 6
        S: END
        C: delete noreply
        C: get noreply
        S: END
    ";
    noreply_is_lower_case: r"
        C: set a 0 0 1 NOREPLY
        C: x
        S: STORED
    ";
}
