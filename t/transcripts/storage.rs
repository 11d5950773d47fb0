//! `set add replace append prepend cas`: what they do when they are well formed.

transcripts! {
    set_replaces_value_and_flags: r"
        C: set a 1 0 3
        C: one
        S: STORED
        C: set a 2 0 5
        C: three
        S: STORED
        C: get a
        S: VALUE a 2 5
        S: three
        S: END
    ";
    add_stores_only_what_is_absent: r"
        C: add a 1 0 1
        C: x
        S: STORED
        C: add a 2 0 1
        C: y
        S: NOT_STORED
        C: get a
        S: VALUE a 1 1
        S: x
        S: END
    ";
    add_stores_over_an_expired_item: r"
        C: set a 0 -1 1
        C: x
        S: STORED
        C: add a 0 0 1
        C: y
        S: STORED
        C: get a
        S: VALUE a 0 1
        S: y
        S: END
    ";
    replace_stores_only_over_what_is_there: r"
        C: replace a 1 0 1
        C: x
        S: NOT_STORED
        C: get a
        S: END
        C: set a 1 0 1
        C: x
        S: STORED
        C: replace a 2 0 2
        C: yy
        S: STORED
        C: get a
        S: VALUE a 2 2
        S: yy
        S: END
    ";
    replace_of_an_expired_item_is_not_stored: r"
        C: set a 0 -1 1
        C: x
        S: STORED
        C: replace a 0 0 1
        C: y
        S: NOT_STORED
    ";
    append_and_prepend_extend_the_value: r"
        C: set a 0 0 1
        C: b
        S: STORED
        C: append a 0 0 2
        C: cd
        S: STORED
        C: prepend a 0 0 1
        C: a
        S: STORED
        C: get a
        S: VALUE a 0 4
        S: abcd
        S: END
    ";
    append_and_prepend_keep_the_flags_of_the_item: r"
        C: set a 5 0 1
        C: b
        S: STORED
        C: append a 6 -1 1
        C: c
        S: STORED
        C: prepend a 7 -1 1
        C: a
        S: STORED
        C: get a
        S: VALUE a 5 3
        S: abc
        S: END
    ";
    append_and_prepend_to_nothing_are_not_stored: r"
        C: append a 0 0 1
        C: x
        S: NOT_STORED
        C: prepend a 0 0 1
        C: x
        S: NOT_STORED
        C: get a
        S: END
    ";
    append_and_prepend_of_nothing_and_to_an_empty_value: r"
        C: set a 0 0 0
        C:
        S: STORED
        C: append a 0 0 0
        C:
        S: STORED
        C: append a 0 0 1
        C: b
        S: STORED
        C: prepend a 0 0 0
        C:
        S: STORED
        C: prepend a 0 0 1
        C: a
        S: STORED
        C: get a
        S: VALUE a 0 2
        S: ab
        S: END
    ";
    append_gives_the_item_a_new_unique_number: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
        C: append a 0 0 1
        C: y
        S: STORED
        C: cas a 0 0 1 {cas}
        C: z
        S: EXISTS
    ";
    cas_stores_with_the_current_unique_number_only: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
        C: cas a 3 0 2 {cas}
        C: yy
        S: STORED
        C: cas a 4 0 1 {cas}
        C: z
        S: EXISTS
        C: get a
        S: VALUE a 3 2
        S: yy
        S: END
    ";
    cas_of_an_absent_key_is_not_found: r"
        C: cas a 0 0 1 1
        C: x
        S: NOT_FOUND
        C: get a
        S: END
    ";
    cas_of_an_expired_item_is_not_found: r"
        C: set a 0 -1 1
        C: x
        S: STORED
        C: cas a 0 0 1 1
        C: x
        S: NOT_FOUND
    ";
    cas_with_0_or_the_largest_number_never_matches: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: cas a 0 0 1 0
        C: y
        S: EXISTS
        C: cas a 0 0 1 18446744073709551615
        C: y
        S: EXISTS
    ";
    without_cas_every_unique_number_is_0_and_cas_never_matches: r"
        $ -C
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 0
        S: x
        S: END
        C: cas a 0 0 1 0
        C: y
        S: EXISTS
        C: cas b 0 0 1 0
        C: y
        S: NOT_FOUND
    ";
    flags_are_32_bits_and_come_back_exactly: r"
        C: set a 4294967295 0 1
        C: x
        S: STORED
        C: set b 0007 0 1
        C: x
        S: STORED
        C: get a b
        S: VALUE a 4294967295 1
        S: x
        S: VALUE b 7 1
        S: x
        S: END
    ";
    words_behind_the_header_are_ignored: r"
        C: set a 0 0 1 extra
        C: x
        S: STORED
        C: set a 0 0 1 noreply extra
        C: x
        S: STORED
        C: set a 0 0 1 extra another third
        C: x
        S: STORED
    ";
    blanks_in_a_header_do_not_count: r"
        C: set   a   0  0    1  \x20
        C: x
        S: STORED
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_header_may_end_with_a_bare_line_feed: r"
        c: set a 0 0 1\nx\r\n
        S: STORED
        c: get a\n
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_command_as_data_is_data: r"
        C: set a 0 0 9
        C: flush_all
        S: STORED
        C: get a
        S: VALUE a 0 9
        S: flush_all
        S: END
    ";
    values_around_the_read_buffer_come_back_whole: r"
        C: set a 0 0 2048
        C: {2048*a}
        S: STORED
        C: set b 0 0 16384
        C: {16384*b}
        S: STORED
        C: append a 0 0 16385
        C: {16385*c}
        S: STORED
        C: get a b
        S: VALUE a 0 18433
        S: {2048*a}{16385*c}
        S: VALUE b 0 16384
        S: {16384*b}
        S: END
    ";
}
