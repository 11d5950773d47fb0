//! `touch` changes the time to live, and nothing else.

transcripts! {
    touch_finds_or_does_not: r"
        C: touch a 0
        S: NOT_FOUND
        C: set a 0 0 1
        C: x
        S: STORED
        C: touch a 100
        S: TOUCHED
        C: touch a 0
        S: TOUCHED
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    touch_with_a_negative_time_expires_at_once: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: touch a -1
        S: TOUCHED
        C: get a
        S: END
        C: touch a 0
        S: NOT_FOUND
    ";
    touch_leaves_the_unique_number_alone: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
        C: touch a 100
        S: TOUCHED
        C: gets a
        S: VALUE a 0 1 {cas}
        S: x
        S: END
    ";
    touch_with_a_time_that_is_no_number_is_refused: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: touch a x
        S: CLIENT_ERROR invalid exptime argument
        C: touch a 1.5
        S: CLIENT_ERROR invalid exptime argument
        C: touch absent x
        S: CLIENT_ERROR invalid exptime argument
    ";
    touch_with_too_few_words_is_refused_and_more_are_ignored: r"
        C: touch
        S: CLIENT_ERROR bad command line format
        C: touch a
        S: CLIENT_ERROR bad command line format
        C: touch a 0 extra
        S: NOT_FOUND
    ";
    touch_of_a_key_of_251_bytes_is_refused: r"
        C: touch {251*k} 0
        S: CLIENT_ERROR bad command line format
    ";
}
