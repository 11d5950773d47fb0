//! `incr` and `decr`: 64-bit counters kept as decimal text.

transcripts! {
    incr_and_decr_answer_the_new_number: r"
        C: set a 0 0 1
        C: 5
        S: STORED
        C: incr a 10
        S: 15
        C: decr a 6
        S: 9
        C: incr a 0
        S: 9
    ";
    a_counter_that_is_absent_or_expired_is_not_found: r"
        C: incr a 1
        S: NOT_FOUND
        C: decr a 1
        S: NOT_FOUND
        C: set a 0 -1 1
        C: 5
        S: STORED
        C: incr a 1
        S: NOT_FOUND
    ";
    incr_wraps_at_64_bits: r"
        C: set a 0 0 20
        C: 18446744073709551615
        S: STORED
        C: incr a 1
        S: 0
        C: set a 0 0 20
        C: 18446744073709551614
        S: STORED
        C: incr a 18446744073709551615
        S: 18446744073709551613
    ";
    decr_stops_at_0: r"
        C: set a 0 0 1
        C: 5
        S: STORED
        C: decr a 6
        S: 0
        C: decr a 18446744073709551615
        S: 0
    ";
    a_number_that_grows_longer_is_stored_longer: r"
        C: set a 3 0 1
        C: 9
        S: STORED
        C: incr a 1
        S: 10
        C: get a
        S: VALUE a 3 2
        S: 10
        S: END
    ";
    a_number_that_grows_shorter_keeps_its_length: r"
        C: set a 3 0 2
        C: 10
        S: STORED
        C: decr a 1
        S: 9
        C: get a
        S: VALUE a 3 2
        S: 9\x20
        S: END
        C: decr a 1
        S: 8
        C: incr a 92
        S: 100
        C: get a
        S: VALUE a 3 3
        S: 100
        S: END
    ";
    counting_keeps_flags_and_changes_the_unique_number: r"
        C: set a 3 0 1
        C: 1
        S: STORED
        C: gets a
        S: VALUE a 3 1 {cas}
        S: 1
        S: END
        C: incr a 1
        S: 2
        C: cas a 0 0 1 {cas}
        C: 9
        S: EXISTS
        C: get a
        S: VALUE a 3 1
        S: 2
        S: END
    ";
    blanks_and_a_sign_before_the_number_are_read_over: r"
        C: set a 0 0 3
        C: 007
        S: STORED
        C: incr a 1
        S: 8
        C: set a 0 0 2
        C:  5
        S: STORED
        C: incr a 1
        S: 6
        C: set a 0 0 2
        C: +5
        S: STORED
        C: incr a 1
        S: 6
        C: set a 0 0 2
        C: 5\x20
        S: STORED
        C: incr a 1
        S: 6
        C: set a 0 0 3
        C: 5 6
        S: STORED
        C: incr a 1
        S: 6
    ";
    a_number_with_a_long_text_behind_it_can_be_counted: r"
        C: set a 0 0 20002
        C: 8 {20000*x}
        S: STORED
        C: incr a 1
        S: 9
        C: get a
        S: VALUE a 0 20002
        S: 9 {20000*\x20}
        S: END
    ";
    a_value_that_is_no_number_cannot_be_counted: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: decr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: set a 0 0 2
        C: 5x
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: set a 0 0 4
        C: 0x10
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: set a 0 0 2
        C: -1
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: set a 0 0 0
        C:
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: set a 0 0 20
        C: 18446744073709551616
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: get a
        S: VALUE a 0 20
        S: 18446744073709551616
        S: END
    ";
    a_value_of_blanks_cannot_be_counted: r"
        C: set a 0 0 3
        C: 123
        S: STORED
        C: delete a
        S: DELETED
        C: set a 0 0 2
        C: \x20\x20
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
    ";
    a_delta_that_is_no_number_is_refused: r"
        C: set a 0 0 1
        C: 5
        S: STORED
        C: incr a x
        S: CLIENT_ERROR invalid numeric delta argument
        C: decr a -1
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr a 1.5
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr a 18446744073709551616
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr absent x
        S: CLIENT_ERROR invalid numeric delta argument
        C: get a
        S: VALUE a 0 1
        S: 5
        S: END
    ";
    counting_with_too_few_words_is_refused: r"
        C: incr
        S: CLIENT_ERROR bad command line format
        C: incr a
        S: CLIENT_ERROR bad command line format
        C: decr
        S: CLIENT_ERROR bad command line format
        C: decr a
        S: CLIENT_ERROR bad command line format
    ";
    counting_ignores_words_too_many: r"
        C: set a 0 0 1
        C: 5
        S: STORED
        C: incr a 1 extra
        S: 6
        C: decr a 1 extra more
        S: 5
        C: incr a 1 noreply extra
        S: 6
    ";
    counting_a_key_of_251_bytes_is_refused: r"
        C: incr {251*k} 1
        S: CLIENT_ERROR bad command line format
        C: decr {251*k} 1
        S: CLIENT_ERROR bad command line format
    ";
}
