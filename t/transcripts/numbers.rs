//! Numbers as words: how long they may be, which signs they may have, where their type ends.

transcripts! {
    a_length_has_at_most_11_characters: r"
        C: set a 0 0 00000000001
        C: x
        S: STORED
        C: set a 0 0 0000000000001
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 000000000001 noreply
        S: CLIENT_ERROR bad command line format
        C: add b 0 0 000000000000
        S: CLIENT_ERROR bad command line format
        C: replace a 0 0 000000000001
        S: CLIENT_ERROR bad command line format
        C: append a 0 0 000000000001
        S: CLIENT_ERROR bad command line format
        C: prepend a 0 0 {250*0}1
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0 000000000001 1
        S: CLIENT_ERROR bad command line format
        C: get a b
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_length_may_have_a_minus_before_0_and_no_plus: r"
        C: set a 0 0 -0
        C:
        S: STORED
        C: set a 0 0 -0000000000
        C:
        S: STORED
        C: set a 0 0 -00000000000
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 +1
        S: CLIENT_ERROR bad command line format
    ";
    flags_and_time_of_a_store_may_have_any_number_of_zeros_and_a_plus: r"
        C: set a {100*0}7 {100*0} 1
        C: x
        S: STORED
        C: set b +{30*0}4294967295 +{30*0}2592000 1
        C: y
        S: STORED
        C: set c -0 -0 1
        C: z
        S: STORED
        C: get a b c
        S: VALUE a 7 1
        S: x
        S: VALUE b 4294967295 1
        S: y
        S: VALUE c 0 1
        S: z
        S: END
        C: set a 0 -{30*0}1 1
        C: x
        S: STORED
        C: get a
        S: END
    ";
    two_signs_are_no_number: r"
        C: set a ++1 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 0 --1 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 0 +-1 7
        C: version
        S: CLIENT_ERROR bad command line format
    ";
    a_time_of_a_store_ends_at_64_bits: r"
        C: set a 0 9223372036854775808 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 0 -9223372036854775809 7
        C: version
        S: CLIENT_ERROR bad command line format
    ";
    flags_far_below_0_are_refused_with_the_data: r"
        C: set a -9223372036854775807 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a -9223372036854775809 0 7
        C: version
        S: CLIENT_ERROR bad command line format
    ";
    a_time_before_1901_is_over_at_once: r"
        C: set a 0 -2147483649 1
        C: x
        S: STORED
        C: get a
        S: END
    ";
    a_delta_has_at_most_22_characters: r"
        C: set a 0 0 1
        C: 5
        S: STORED
        C: incr a 0000000000000000000001
        S: 6
        C: incr a 0000000000000000000000
        S: 6
        C: decr a 00000000000000000000001
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr a 0000000000000000000000000005
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr a 00000000000000000000000
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr a 0018446744073709551615
        S: 5
        C: incr a 00018446744073709551615
        S: CLIENT_ERROR invalid numeric delta argument
        C: decr a 0018446744073709551616
        S: CLIENT_ERROR invalid numeric delta argument
    ";
    a_delta_has_no_sign: r"
        C: set a 0 0 1
        C: 5
        S: STORED
        C: incr a +1
        S: CLIENT_ERROR invalid numeric delta argument
        C: incr a -0
        S: CLIENT_ERROR invalid numeric delta argument
    ";
    a_unique_number_has_at_most_22_characters_and_no_sign: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
        C: cas a 0 0 7 {22*0}1
        C: version
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0 1 0000000000000000000000
        C: y
        S: EXISTS
        C: cas a 0 0 7 00000000000000000000000
        C: version
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0 7 +1
        C: version
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0 1 0000000000000{cas}
        C: y
        S: STORED
    ";
    a_value_may_have_any_number_of_zeros: r"
        C: set a 0 0 25
        C: 0000000000000000000000007
        S: STORED
        C: incr a 1
        S: 8
        C: set a 0 0 25
        C: {25*0}
        S: STORED
        C: incr a 1
        S: 1
        C: set a 0 0 40
        C: {20*0}18446744073709551616
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
    ";
    a_value_with_a_minus_cannot_be_counted: r"
        C: set a 0 0 2
        C: -0
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: set a 0 0 20
        C: -9223372036854775809
        S: STORED
        C: incr a 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
    ";
    a_time_to_touch_has_at_most_11_characters: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: touch a 00000000000
        S: TOUCHED
        C: touch a 000000000000
        S: CLIENT_ERROR invalid exptime argument
        C: touch a 0000002592000
        S: CLIENT_ERROR invalid exptime argument
        C: touch a -00000000001
        S: CLIENT_ERROR invalid exptime argument
        C: touch a +100
        S: CLIENT_ERROR invalid exptime argument
        C: touch a -2147483649
        S: CLIENT_ERROR invalid exptime argument
        C: gat 00002592000 a
        S: VALUE a 0 1
        S: x
        S: END
        C: gat 000002592000 a
        S: CLIENT_ERROR invalid exptime argument
        C: gats -2147483649 a
        S: CLIENT_ERROR invalid exptime argument
        C: gat +100 a
        S: CLIENT_ERROR invalid exptime argument
        C: touch a -2147483648
        S: TOUCHED
        C: get a
        S: END
    ";
    a_date_to_touch_may_lie_past_2038: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: touch a 2147483648
        S: TOUCHED
        C: gat 99999999999 a
        S: VALUE a 0 1
        S: x
        S: END
        C: touch a 100000000000
        S: CLIENT_ERROR invalid exptime argument
    ";
    a_time_to_flush_has_at_most_11_characters: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: flush_all 000000000000
        S: CLIENT_ERROR invalid exptime argument
        C: flush_all -2147483649
        S: CLIENT_ERROR invalid exptime argument
        C: flush_all +1
        S: CLIENT_ERROR invalid exptime argument
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: flush_all 00000000000
        S: OK
        C: get a
        S: END
    ";
    words_to_the_server_have_at_most_11_characters: r"
        C: verbosity 00000000000
        S: OK
        C: verbosity 000000000000
        S: CLIENT_ERROR bad command line format
        C: verbosity -0
        S: CLIENT_ERROR bad command line format
        C: verbosity 4294967296
        S: CLIENT_ERROR bad command line format
        C: cache_memlimit 00000000064
        S: OK
        C: cache_memlimit 000000000064
        S: ERROR
        C: cache_memlimit +64
        S: ERROR
        C: cache_memlimit 4294967296
        S: ERROR
        C: slabs reassign 000000000001 000000000001
        S: CLIENT_ERROR bad command line format
        C: slabs reassign 00000000001 1
        S: SAME src and dst class are identical
        C: slabs automove 000000000000
        S: CLIENT_ERROR bad command line format
        C: slabs automove window 000000000005
        S: CLIENT_ERROR bad command line format
        C: slabs automove window 00000000005
        S: OK
        C: stats cachedump 000000000001 0
        S: CLIENT_ERROR bad command line format
        C: stats cachedump 1 000000000000
        S: CLIENT_ERROR bad command line format
        C: stats cachedump 00000000001 00000000000
        S: END
    ";
    a_ratio_is_a_finite_decimal_number: r"
        C: slabs automove ratio nan
        S: ERROR
        C: slabs automove ratio 0x1
        S: ERROR
        C: slabs automove ratio 1e999
        S: ERROR
        C: slabs automove ratio {40*0}.5
        S: OK
    ";
    there_are_127_classes_to_dump: r"
        C: stats cachedump 64 0
        S: END
        C: stats cachedump 127 0
        S: END
        C: stats cachedump 128 0
        S: CLIENT_ERROR Illegal slab id
    ";
}
