//! Lines: where they end, and what closes a connection.

transcripts! {
    a_line_may_end_with_a_bare_line_feed: r"
        c: get a\n
        S: END
        c: version\n
        S: VERSION {*}
    ";
    an_empty_line_is_a_bad_command: r"
        C:
        S: CLIENT_ERROR bad command line format
        c: \n
        S: CLIENT_ERROR bad command line format
    ";
    a_line_shorter_than_any_command_is_a_bad_command: r"
        C: a
        S: CLIENT_ERROR bad command line format
    ";
    blanks_before_a_command_are_no_part_of_it: r"
        C:  get a
        S: ERROR
        C:   version
        S: ERROR
    ";
    a_tab_is_no_blank: r"
        C: get\x09a
        S: ERROR
    ";
    a_carriage_return_inside_a_line_is_part_of_a_word: r"
        C: get a\rb
        S: END
    ";
    a_zero_byte_is_part_of_a_word: r"
        C: get\0 a
        S: ERROR
        C: version\0
        S: ERROR
    ";
    a_first_byte_of_0x80_later_on_is_text: r"
        C: get a
        S: END
        C: \x80\x00\x00\x00get
        S: ERROR
    ";
    a_browser_is_disconnected: r"
        C: GET / HTTP/1.1
        close
    ";
    a_posted_form_is_not_executed: r"
        C: POST /x HTTP/1.1
        C: set a 0 0 1
        C: x
        close
    ";
}
