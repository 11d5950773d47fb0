//! `set add replace append prepend cas`: what is refused. The connection stays in step.

transcripts! {
    a_header_with_too_few_words_is_refused_alone: r"
        C: set
        S: CLIENT_ERROR bad command line format
        C: set a
        S: CLIENT_ERROR bad command line format
        C: set a 0
        S: CLIENT_ERROR bad command line format
        C: set a 0 0
        S: CLIENT_ERROR bad command line format
        C: add a 0 0
        S: CLIENT_ERROR bad command line format
        C: replace a 0 0
        S: CLIENT_ERROR bad command line format
        C: append a 0 0
        S: CLIENT_ERROR bad command line format
        C: prepend a 0 0
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0
        S: CLIENT_ERROR bad command line format
    ";
    noreply_in_the_place_of_a_number_is_no_number: r"
        C: set a 0 0 noreply
        S: CLIENT_ERROR bad command line format
    ";
    cas_without_its_number_is_refused_with_its_data: r"
        C: cas a 0 0 7
        C: version
        S: CLIENT_ERROR bad command line format
    ";
    a_key_of_251_bytes_is_refused_with_its_data: r"
        C: set {251*k} 0 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: add {251*k} 0 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: cas {251*k} 0 0 7 1
        C: version
        S: CLIENT_ERROR bad command line format
    ";
    flags_that_are_no_number_are_refused_with_the_data: r"
        C: set a -1 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a x 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 0x10 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 1.5 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: get a
        S: END
    ";
    flags_above_32_bits_are_refused_with_the_data: r"
        C: set a 4294967296 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 18446744073709551616 0 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: get a
        S: END
    ";
    a_time_that_is_no_number_is_refused_with_the_data: r"
        C: set a 0 abc 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 0 0x10 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: set a 0 1.5 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: get a
        S: END
    ";
    a_length_that_is_no_number_is_refused_alone: r"
        C: set a 0 0 abc
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 0x1
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 1.5
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 -1
        S: CLIENT_ERROR bad command line format
    ";
    a_length_beyond_all_bounds_is_refused_alone: r"
        C: set a 0 0 2147483646
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 2147483647
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 4294967296
        S: CLIENT_ERROR bad command line format
        C: set a 0 0 18446744073709551616
        S: CLIENT_ERROR bad command line format
    ";
    a_unique_number_that_is_none_is_refused_with_the_data: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: cas a 0 0 7 abc
        C: version
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0 7 -1
        C: version
        S: CLIENT_ERROR bad command line format
        C: cas a 0 0 7 18446744073709551616
        C: version
        S: CLIENT_ERROR bad command line format
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_refused_header_leaves_the_old_item_alone: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: set a -1 0 1
        C: y
        S: CLIENT_ERROR bad command line format
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    data_longer_than_announced_is_a_bad_chunk: r"
        C: set a 0 0 1
        C: xyzuvw
        S: CLIENT_ERROR bad data chunk
        S: ERROR
        C: get a
        S: END
    ";
    data_shorter_than_announced_takes_what_follows: r"
        C: set a 0 0 9
        C: short
        C: version
        S: CLIENT_ERROR bad data chunk
        S: ERROR
        C: get a
        S: END
    ";
    data_must_end_with_carriage_return_and_line_feed: r"
        c: set a 0 0 1\r\nx\n
        C: 1234567
        S: CLIENT_ERROR bad data chunk
        S: ERROR
        C: set a 0 0 1
        c: xyz
        C: version
        S: CLIENT_ERROR bad data chunk
        S: VERSION {*}
        C: get a
        S: END
    ";
    a_bad_chunk_leaves_the_old_item_alone: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: set a 0 0 2
        c: yyyy
        S: CLIENT_ERROR bad data chunk
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_value_too_large_is_swallowed: r"
        C: set a 0 0 2000000
        C: {2000000*x}
        S: SERVER_ERROR object too large for cache
        C: get a
        S: END
    ";
    a_set_too_large_takes_the_old_item_with_it: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: set a 0 0 2000000
        C: {2000000*x}
        S: SERVER_ERROR object too large for cache
        C: get a
        S: END
    ";
    any_other_store_too_large_leaves_the_old_item: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: add a 0 0 1100000
        C: {1100000*x}
        S: SERVER_ERROR object too large for cache
        C: replace a 0 0 1100000
        C: {1100000*x}
        S: SERVER_ERROR object too large for cache
        C: append a 0 0 1100000
        C: {1100000*x}
        S: SERVER_ERROR object too large for cache
        C: prepend a 0 0 1100000
        C: {1100000*x}
        S: SERVER_ERROR object too large for cache
        C: cas a 0 0 1100000 1
        C: {1100000*x}
        S: SERVER_ERROR object too large for cache
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    an_append_that_would_grow_too_large_leaves_the_old_item: r"
        C: set a 0 0 600000
        C: {600000*x}
        S: STORED
        C: append a 0 0 600000
        C: {600000*y}
        S: NOT_STORED
        C: get a
        S: VALUE a 0 600000
        S: {600000*x}
        S: END
    ";
    the_largest_value_is_the_item_size_limit_itself: r"
        C: set a 0 0 1048576
        C: {1048576*x}
        S: STORED
        C: get a
        S: VALUE a 0 1048576
        S: {1048576*x}
        S: END
        C: set a 0 0 1048577
        C: {1048577*x}
        S: SERVER_ERROR object too large for cache
        C: get a
        S: END
    ";
    the_item_size_limit_can_be_set: r"
        $ -I 2m
        C: set a 0 0 2000000
        C: {2000000*x}
        S: STORED
        C: get a
        S: VALUE a 0 2000000
        S: {2000000*x}
        S: END
        C: set a 0 0 2097153
        C: {2097153*x}
        S: SERVER_ERROR object too large for cache
    ";
}
