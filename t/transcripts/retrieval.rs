//! `get gets gat gats bget`: hits, misses, order, and what is refused.

transcripts! {
    get_of_an_absent_key_is_only_end: r"
        C: get a
        S: END
    ";
    get_returns_the_value_with_its_flags: r"
        C: set a 42 0 5
        C: hello
        S: STORED
        C: get a
        S: VALUE a 42 5
        S: hello
        S: END
    ";
    get_returns_hits_in_the_order_asked_and_leaves_misses_out: r"
        C: set a 1 0 1
        C: x
        S: STORED
        C: set b 2 0 2
        C: yy
        S: STORED
        C: get b absent a
        S: VALUE b 2 2
        S: yy
        S: VALUE a 1 1
        S: x
        S: END
    ";
    get_returns_a_key_as_often_as_it_is_asked: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: get a a a
        S: VALUE a 0 1
        S: x
        S: VALUE a 0 1
        S: x
        S: VALUE a 0 1
        S: x
        S: END
    ";
    get_returns_an_empty_value: r"
        C: set a 0 0 0
        C:
        S: STORED
        C: get a
        S: VALUE a 0 0
        S:
        S: END
    ";
    a_value_may_hold_any_byte: r"
        C: set a 0 0 13
        C: \r\nEND\r\n\0\xff\x80\r\nx
        S: STORED
        C: get a
        S: VALUE a 0 13
        S: \r\nEND\r\n\0\xff\x80\r\nx
        S: END
    ";
    a_key_may_hold_any_byte_but_blanks_and_line_ends: r"
        C: set a\0b 0 0 1
        C: x
        S: STORED
        C: set \x01\x7f\x80\xff 0 0 1
        C: y
        S: STORED
        C: set tab\x09key 0 0 1
        C: z
        S: STORED
        C: get a a\0b \x01\x7f\x80\xff tab\x09key
        S: VALUE a\0b 0 1
        S: x
        S: VALUE \x01\x7f\x80\xff 0 1
        S: y
        S: VALUE tab\x09key 0 1
        S: z
        S: END
    ";
    the_longest_key_is_250_bytes: r"
        C: set {250*k} 0 0 1
        C: x
        S: STORED
        C: get {250*k}
        S: VALUE {250*k} 0 1
        S: x
        S: END
    ";
    get_of_a_key_of_251_bytes_is_refused: r"
        C: get {251*k}
        S: CLIENT_ERROR bad command line format
    ";
    a_key_of_251_bytes_anywhere_refuses_the_whole_get: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: get a {251*k}
        S: CLIENT_ERROR bad command line format
        C: get a {251*k} a
        S: CLIENT_ERROR bad command line format
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_refused_get_leaves_earlier_answers_alone: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: get {251*k}
        S: CLIENT_ERROR bad command line format
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    get_without_a_key_is_refused: r"
        C: get
        S: CLIENT_ERROR bad command line format
        C: get \x20
        S: CLIENT_ERROR bad command line format
        C: gets
        S: CLIENT_ERROR bad command line format
    ";
    get_takes_noreply_for_a_key: r"
        C: set noreply 0 0 1
        C: x
        S: STORED
        C: get noreply
        S: VALUE noreply 0 1
        S: x
        S: END
    ";
    blanks_between_and_behind_keys_do_not_count: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: get   a   b  \x20
        S: VALUE a 0 1
        S: x
        S: END
    ";
    gets_returns_a_unique_number_that_changes_with_every_store: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 {first}
        S: x
        S: END
        C: gets a
        S: VALUE a 0 1 {first}
        S: x
        S: END
        C: set a 0 0 1
        C: x
        S: STORED
        C: cas a 0 0 1 {first}
        C: y
        S: EXISTS
        C: gets a absent
        S: VALUE a 0 1 {second}
        S: x
        S: END
        C: cas a 0 0 1 {second}
        C: y
        S: STORED
    ";
    bget_is_another_name_of_get: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: bget a absent
        S: VALUE a 0 1
        S: x
        S: END
    ";
    gat_returns_what_get_returns: r"
        C: set a 7 0 1
        C: x
        S: STORED
        C: gat 100 a absent
        S: VALUE a 7 1
        S: x
        S: END
        C: gat 0 a
        S: VALUE a 7 1
        S: x
        S: END
    ";
    gats_returns_the_unique_number_and_leaves_it_alone: r"
        C: set a 7 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 7 1 {cas}
        S: x
        S: END
        C: gats 100 a absent
        S: VALUE a 7 1 {cas}
        S: x
        S: END
        C: gets a
        S: VALUE a 7 1 {cas}
        S: x
        S: END
    ";
    gat_with_a_negative_time_returns_the_value_a_last_time: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gat -1 a
        S: VALUE a 0 1
        S: x
        S: END
        C: get a
        S: END
    ";
    gat_without_a_key_or_a_time_is_refused: r"
        C: gat
        S: CLIENT_ERROR bad command line format
        C: gat 10
        S: CLIENT_ERROR bad command line format
        C: gats
        S: CLIENT_ERROR bad command line format
        C: gats 10
        S: CLIENT_ERROR bad command line format
    ";
    gat_with_a_time_that_is_no_number_is_refused: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gat x a
        S: CLIENT_ERROR invalid exptime argument
        C: gats 1.5 a
        S: CLIENT_ERROR invalid exptime argument
        C: gat 0x10 a
        S: CLIENT_ERROR invalid exptime argument
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    a_key_of_251_bytes_refuses_the_whole_gat: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gat 10 a {251*k}
        S: CLIENT_ERROR bad command line format
        C: gats 10 {251*k} a
        S: CLIENT_ERROR bad command line format
    ";
}
