//! `delete`: words after its key are ignored as memcached ignores them, but for a time, which it had up to 1.2.

transcripts! {
    delete_removes_what_is_there: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a
        S: DELETED
        C: get a
        S: END
        C: delete a
        S: NOT_FOUND
    ";
    delete_of_an_expired_item_is_not_found: r"
        C: set a 0 -1 1
        C: x
        S: STORED
        C: delete a
        S: NOT_FOUND
    ";
    a_deleted_key_can_be_added_at_once: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a 0
        S: DELETED
        C: add a 0 0 1
        C: y
        S: STORED
    ";
    delete_takes_0_as_a_time_of_old: r"
        C: delete a 0
        S: NOT_FOUND
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a 0
        S: DELETED
    ";
    delete_refuses_any_other_time: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a 5
        S: CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
        C: delete a -5
        S: CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
        C: delete a 5 x
        S: CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
        C: delete a 5 noreplY
        S: CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
        C: delete a 5 noreply
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    delete_ignores_other_words: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a x
        S: DELETED
        C: delete a 0 0
        S: NOT_FOUND
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a foo bar noreply
        C: get a
        S: END
    ";
    delete_with_four_words_more_is_refused: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: delete a 0 c d e
        S: ERROR
        C: delete a b c d noreply
        S: ERROR
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
    ";
    delete_without_a_key_or_with_one_of_251_bytes_is_refused: r"
        C: delete
        S: CLIENT_ERROR bad command line format
        C: delete {251*k}
        S: CLIENT_ERROR bad command line format
    ";
}
