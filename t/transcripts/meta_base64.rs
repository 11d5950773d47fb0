//! Keys in base64.

transcripts! {
    a_key_in_base64_is_the_decoded_key: r"
        C: ms Zm9v 2 b
        C: ab
        S: HD
        C: mg foo v
        S: VA 2
        S: ab
        C: mg Zm9v b v
        S: VA 2
        S: ab
        C: get foo
        S: VALUE foo 0 2
        S: ab
        S: END
        C: mg Zm9v v
        S: EN
        C: set foo 0 0 1\r\nx
        S: STORED
        C: mg Zm9v b v
        S: VA 1
        S: x
        C: md Zm9v b
        S: HD
        C: mg foo
        S: EN
    ";
    a_key_in_base64_is_returned_as_it_was_stored: r"
        C: ms Zm9v 2 b k O1
        C: ab
        S: HD kZm9v b O1
        C: mg Zm9v b k v
        S: VA 2 kZm9v b
        S: ab
        C: mg foo k v
        S: VA 2 kZm9v b
        S: ab
        C: mg Zm9v b f s k t
        S: HD f0 s2 kZm9v b t-1
        C: set foo 0 0 1\r\nx
        S: STORED
        C: mg Zm9v b k v
        S: VA 1 kfoo
        S: x
        C: mg foo k
        S: HD kfoo
    ";
    other_commands_return_the_key_of_the_request: r"
        C: ms Zm9v 1 b k
        C: 5
        S: HD kZm9v b
        C: ma Zm9v b k v
        S: VA 1 kZm9v b
        S: 6
        C: ma foo k v
        S: VA 1 kfoo
        S: 7
        C: md Zm9v b k I
        S: HD kZm9v b
        C: md foo k I
        S: HD kfoo
        C: md Zm9v b k
        S: HD kZm9v b
        C: md Zm9v k b
        S: NF kZm9v b
        C: mg Zm9v b k O1
        S: EN kZm9v b O1
        C: mg Zm9v k b O1
        S: EN kZm9v b O1
        C: ms foo 1 k
        C: 5
        S: HD kfoo
        C: ma Zm9v b k v
        S: VA 1 kZm9v b
        S: 6
    ";
    a_key_in_base64_may_have_any_bytes: r"
        C: ms YSBiDQpjAA== 2 b k
        C: ab
        S: HD kYSBiDQpjAA== b
        C: mg YSBiDQpjAA== b v k
        S: VA 2 kYSBiDQpjAA== b
        S: ab
        C: me YSBiDQpjAA==
        S: EN
        C: md YSBiDQpjAA== b k
        S: HD kYSBiDQpjAA== b
    ";
    a_key_that_cannot_be_decoded_is_refused: r"
        C: mg Zg b
        S: CLIENT_ERROR error decoding key
        C: mg Zg= b
        S: CLIENT_ERROR error decoding key
        C: mg Zm-_ b
        S: CLIENT_ERROR error decoding key
        C: mg ==== b
        S: CLIENT_ERROR error decoding key
        C: mg Z=== b
        S: CLIENT_ERROR error decoding key
        C: mg Zm9v==== b
        S: CLIENT_ERROR error decoding key
        C: mg Zm9\0 b
        S: CLIENT_ERROR error decoding key
        C: md Zg b
        S: CLIENT_ERROR error decoding key
        C: ms Zg 7 b
        C: version
        S: CLIENT_ERROR error decoding key
        C: ma Zg b
        S: CLIENT_ERROR invalid or duplicate flag
        C: mg Zg b a
        S: CLIENT_ERROR invalid flag
        C: mg Zg b O{32*o}
        S: CLIENT_ERROR error decoding key
    ";
    a_key_in_base64_has_at_most_186_bytes: r"
        C: ms {248*A} 2 b k
        C: ab
        S: HD k{248*A} b
        C: mg {248*A} b v k
        S: VA 2 k{248*A} b
        S: ab
        C: mg {250*A} b
        S: CLIENT_ERROR error decoding key
        C: mg {252*A} b
        S: CLIENT_ERROR bad command line format
    ";
    an_item_with_a_key_in_base64_is_described: r"
        C: me Zm9v b
        S: EN
        C: ms Zm9v 2 b
        C: ab
        S: HD
        C: me Zm9v b
        S: ME Zm9v exp=-1 la=0 cas={cas} fetch=no cls={*}
        C: me foo
        S: ME Zm9v exp=-1 la=0 cas={cas} fetch=no cls={*}
        C: me Zg b
        S: CLIENT_ERROR error decoding key
    ";
    base64_has_one_form: r"
        C: mg Zh== b
        S: CLIENT_ERROR error decoding key
        C: mg Zg==Zg== b
        S: CLIENT_ERROR error decoding key
        C: ms Zh== 7 b
        C: version
        S: CLIENT_ERROR error decoding key
    ";
    a_key_stays_in_base64_while_its_value_changes: r"
        C: ms Zm9v 1 b
        C: 5
        S: HD
        C: ma foo D95
        S: HD
        C: mg foo k v
        S: VA 3 kZm9v b
        S: 100
        C: ms Zm9v 1 b MA
        C: 1
        S: HD
        C: mg foo k v
        S: VA 4 kZm9v b
        S: 1001
        C: ma Z2V3 b N0
        S: HD
        C: mg gew k
        S: HD kZ2V3 b
        C: mg bWc= b N0 k
        S: HD kbWc= b W
    ";
}
