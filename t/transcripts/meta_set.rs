//! `ms`: a value, and the conditions of storing it.

transcripts! {
    a_meta_set_stores: r"
        C: ms k 2
        C: ab
        S: HD
        C: get k
        S: VALUE k 0 2
        S: ab
        S: END
        C: ms k 2 F5 T0
        C: ab
        S: HD
        C: get k
        S: VALUE k 5 2
        S: ab
        S: END
        C: mg k f t v
        S: VA 2 f5 t-1
        S: ab
        C: ms k 2 T100
        C: ab
        S: HD
        C: mg k t f
        S: HD t{ttl} f0
        C: ms k 2 T-1
        C: ab
        S: HD
        C: mg k
        S: EN
    ";
    a_meta_set_returns_flags_in_their_order: r"
        C: ms k 2 k O9 s
        C: ab
        S: HD kk O9 s2
        C: ms k 2 s O9 k
        C: ab
        S: HD s2 O9 kk
        C: ms k 2 c
        C: ab
        S: HD c{cas}
        C: mg k c
        S: HD c{cas}
        C: ms k 2 v f h t l u x
        C: ab
        S: HD
    ";
    a_quiet_meta_set_says_failures_only: r"
        C: ms k 2 q
        C: ab
        C: ms k 2 q c k
        C: ab
        C: mg k v
        S: VA 2
        S: ab
        C: ms k 2 ME q k O1
        C: ab
        S: NS kk O1
        C: ms k 2 C77777 q
        C: ab
        S: EX
        C: ms m 2 MR q
        C: ab
        S: NS
        C: ms m 2 C5 q
        C: ab
        S: NF
    ";
    a_failure_shows_no_cas_unique_and_the_announced_length: r"
        C: ms k 2
        C: ab
        S: HD
        C: ms k 2 ME c s k O1
        C: ab
        S: NS c0 s2 kk O1
        C: ms k 2 C77777 s c
        C: ab
        S: EX s2 c0
        C: ms m 2 C5 c s
        C: ab
        S: NF c0 s2
        C: ms m 2 MA c s k
        C: ab
        S: NS c0 s2 km
    ";
    modes_are_those_of_the_classic_commands: r"
        C: ms k 2 MR
        C: ab
        S: NS
        C: ms k 2 MA
        C: ab
        S: NS
        C: ms k 2 MP
        C: ab
        S: NS
        C: ms k 2 ME
        C: ab
        S: HD
        C: ms k 2 ME
        C: ab
        S: NS
        C: ms k 2 MA
        C: cd
        S: HD
        C: ms k 2 MP
        C: 12
        S: HD
        C: mg k v s
        S: VA 6 s6
        S: 12abcd
        C: ms k 3 MR
        C: new
        S: HD
        C: mg k v
        S: VA 3
        S: new
        C: ms k 1 MS
        C: x
        S: HD
        C: mg k v
        S: VA 1
        S: x
    ";
    a_mode_is_a_capital_letter: r"
        C: ms k 2 M
        C: ab
        S: CLIENT_ERROR invalid mode for ms M token
        C: ms k 2 Mx
        C: ab
        S: CLIENT_ERROR invalid mode for ms M token
        C: ms k 2 Me
        C: ab
        S: CLIENT_ERROR invalid mode for ms M token
        C: ms k 2 MExtra
        C: ab
        S: HD
        C: ms k 2 Mset
        C: ab
        S: CLIENT_ERROR invalid mode for ms M token
        C: ms k 2 MSet
        C: ab
        S: HD
        C: ms k 2 M Tx
        C: ab
        S: CLIENT_ERROR bad token in command line format
        C: ms k 2 MX O{32*o}
        C: ab
        S: CLIENT_ERROR invalid mode for ms M token
    ";
    an_append_keeps_flags_and_time: r"
        C: ms k 2 F5 T100
        C: ab
        S: HD
        C: ms k 2 MA F6 T5
        C: ab
        S: HD
        C: mg k v f t
        S: VA 4 f5 t{ttl}
        S: abab
        C: ms k 2 MP F6 T-1
        C: ab
        S: HD
        C: mg k v f t
        S: VA 6 f5 t{ttl2}
        S: ababab
    ";
    an_append_returns_the_whole_length: r"
        C: ms k 2
        C: ab
        S: HD
        C: ms k 3 MA s
        C: cde
        S: HD s5
        C: ms k 2 MP s k
        C: ab
        S: HD s7 kk
    ";
    an_append_may_make_the_item: r"
        C: ms k 2 MA N0 F5
        C: ab
        S: HD
        C: mg k v f t
        S: VA 2 f5 t-1
        S: ab
        C: ms k 2 MA N100
        C: ab
        S: HD
        C: mg k v t
        S: VA 4 t-1
        S: abab
        C: ms m 2 MP N100 F7
        C: ab
        S: HD
        C: mg m v f t
        S: VA 2 f7 t{ttl}
        S: ab
        C: ms n 2 MA N-1
        C: ab
        S: HD
        C: mg n
        S: EN
    ";
    only_an_append_makes_an_item_for_n: r"
        C: ms a 2 MR N100
        C: ab
        S: NS
        C: ms b 2 N100
        C: ab
        S: HD
        C: mg b t
        S: HD t-1
        C: ms c 2 ME N100
        C: ab
        S: HD
        C: mg c t
        S: HD t-1
    ";
    a_value_is_stored_if_its_cas_unique_is_right: r"
        C: ms k 2
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas}
        C: ms k 2 C{cas} c
        C: xy
        S: HD c{cas2}
        C: ms k 2 C{cas}
        C: no
        S: EX
        C: mg k v c
        S: VA 2 c{cas2}
        S: xy
        C: ms k 2 C0
        C: ab
        S: EX
        C: ms k 2 C77777 MR
        C: ab
        S: EX
        C: ms m 2 C5
        C: ab
        S: NF
        C: ms m 2 C5 MR
        C: ab
        S: NF
        C: ms m 2 C5 ME
        C: ab
        S: HD
    ";
    an_append_compares_too: r"
        C: ms k 2
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas}
        C: ms k 2 C77777 MA
        C: ab
        S: EX
        C: ms k 2 C77777 MP
        C: ab
        S: EX
        C: ms k 2 C{cas} MA
        C: cd
        S: HD
        C: mg k v
        S: VA 4
        S: abcd
        C: ms k 2 C0 MA
        C: ef
        S: HD
        C: mg k v
        S: VA 6
        S: abcdef
        C: ms m 2 C5 MA
        C: ab
        S: NS
        C: ms m 2 C5 MA N0
        C: ab
        S: HD
    ";
    an_add_does_not_compare: r"
        C: ms k 2 ME C5
        C: ab
        S: HD
        C: ms k 2 ME C5
        C: ab
        S: NS
    ";
    a_client_may_choose_the_cas_unique: r"
        C: ms k 2 E77 c
        C: ab
        S: HD c77
        C: mg k c
        S: HD c77
        C: gets k
        S: VALUE k 0 2 77
        S: ab
        S: END
        C: ms k 2 C77 E78 c
        C: ab
        S: HD c78
        C: ms k 2 C77
        C: ab
        S: EX
        C: ms k 2 MA E99 c
        C: ab
        S: HD c99
        C: mg k c v
        S: VA 4 c99
        S: abab
        C: ms k 2
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas}
        C: ms k 2 E0
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas2}
    ";
    an_old_cas_unique_may_store_a_stale_value: r"
        C: ms k 2 E100 F5 T100
        C: ab
        S: HD
        C: ms k 2 C99 I F7 T9 E101
        C: xx
        S: HD
        C: mg k v f t
        S: VA 2 f7 t{ttl} X W
        S: xx
        C: mg k v
        S: VA 2 Z X
        S: xx
        C: ms k 2 C102 I
        C: ab
        S: EX
        C: ms k 2 C101 I E200
        C: ab
        S: HD
        C: mg k v
        S: VA 2
        S: ab
        C: ms k 2 I
        C: ab
        S: HD
        C: mg k v
        S: VA 2
        S: ab
    ";
    a_stale_value_keeps_its_token: r"
        C: ms k 2 E100
        C: ab
        S: HD
        C: ms k 2 C5 I E101
        C: xx
        S: HD
        C: mg k v
        S: VA 2 X W
        S: xx
        C: mg k c
        S: HD c101 Z X
        C: ms k 2 C5 I
        C: yy
        S: HD
        C: mg k v
        S: VA 2 Z X
        S: yy
    ";
    only_a_set_or_replace_stores_a_stale_value: r"
        C: ms k 2 E100
        C: ab
        S: HD
        C: ms k 2 C5 I MR
        C: xx
        S: HD
        C: mg k v
        S: VA 2 X W
        S: xx
        C: ms k 2 E100
        C: ab
        S: HD
        C: ms k 2 C5 I MA
        C: xx
        S: EX
        C: ms k 2 C5 I ME
        C: xx
        S: NS
        C: mg k v
        S: VA 2
        S: ab
    ";
    a_set_clears_what_was_stale: r"
        C: ms k 2
        C: ab
        S: HD
        C: md k I
        S: HD
        C: ms k 2
        C: ab
        S: HD
        C: mg k v
        S: VA 2
        S: ab
        C: md k I
        S: HD
        C: set k 0 0 1\r\nx
        S: STORED
        C: mg k
        S: HD
        C: md k I
        S: HD
        C: ms k 2 MA
        C: ab
        S: HD
        C: mg k
        S: HD
        C: md k I
        S: HD
        C: touch k 0
        S: TOUCHED
        C: mg k
        S: HD X W
    ";
    a_length_must_be_a_number_and_nothing_is_swallowed_else: r"
        C: ms k -1
        S: CLIENT_ERROR bad command line format
        C: ms k x
        S: CLIENT_ERROR bad command line format
        C: ms k S2
        S: CLIENT_ERROR bad command line format
        C: ms k 2x
        S: CLIENT_ERROR bad command line format
        C: ms k +2
        S: CLIENT_ERROR bad command line format
        C: ms k 000000000002
        S: CLIENT_ERROR bad command line format
        C: ms k 2147483646
        S: CLIENT_ERROR bad command line format
        C: ms k 4294967296
        S: CLIENT_ERROR bad command line format
    ";
    a_length_may_have_zeros_before_it: r"
        C: ms k 02
        C: ab
        S: HD
        C: ms k 00000000002
        C: ab
        S: HD
        C: ms k -0
        C: 
        S: HD
        C: ms k 0
        C: 
        S: HD
        C: mg k v
        S: VA 0
        S: 
    ";
    a_refused_line_swallows_its_value: r"
        C: ms k 7 a
        C: version
        S: CLIENT_ERROR invalid flag
        C: ms k 7 Tx
        C: version
        S: CLIENT_ERROR bad token in command line format
        C: ms k 7 v v
        C: version
        S: CLIENT_ERROR duplicate flag
        C: ms k 7 b
        C: version
        S: CLIENT_ERROR error decoding key
        C: ms k 7 Mx
        C: version
        S: CLIENT_ERROR invalid mode for ms M token
        C: ms {251*k} 7
        C: version
        S: CLIENT_ERROR bad command line format
        C: ms k 7 a b c d e f g h i j k l m n o p q r s t u v w
        C: version
        S: CLIENT_ERROR options flags are too long
    ";
    a_value_ends_with_crlf: r"
        C: ms k 2
        C: abc
        S: CLIENT_ERROR bad data chunk
        S: CLIENT_ERROR bad command line format
        C: ms k 2 q
        C: abcdefgh
        S: CLIENT_ERROR bad data chunk
        S: ERROR
        C: mg k
        S: EN
    ";
    a_value_that_is_too_large_takes_the_old_one_with_it: r"
        C: ms k 2
        C: ab
        S: HD
        C: ms k 2000000
        C: {2000000*v}
        S: SERVER_ERROR object too large for cache
        C: mg k
        S: EN
        C: ms k 2
        C: ab
        S: HD
        C: ms k 2000000 ME q
        C: {2000000*v}
        S: SERVER_ERROR object too large for cache
        C: mg k
        S: EN
    ";
    meta_and_classic_lines_may_be_mixed: r"
        C: set k 5 0 2\r\nab
        S: STORED
        C: mg k f v
        S: VA 2 f5
        S: ab
        C: ms k 2\r\nxy
        S: HD
        C: get k
        S: VALUE k 0 2
        S: xy
        S: END
        C: incr k 1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: ma k
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: delete k
        S: DELETED
        C: mg k
        S: EN
    ";
    a_value_is_swallowed_after_any_error_in_a_flag: r"
        C: ms k 7 !
        C: version
        S: CLIENT_ERROR bad command line format
        C: ms k 7 v |
        C: version
        S: CLIENT_ERROR bad command line format
        C: mg k
        S: EN
    ";
    a_date_past_2038_is_a_time_to_live: r"
        C: ms k 1 T4102444800
        C: x
        S: HD
        C: mg k v
        S: VA 1
        S: x
        C: mg k T99999999999
        S: HD
        C: mg k T100000000000
        S: CLIENT_ERROR bad token in command line format
        C: mg k
        S: HD
    ";
    a_refused_value_leaves_no_cas_unique: r"
        C: ms k 1 E77777
        C: xx
        S: CLIENT_ERROR bad data chunk
        S: CLIENT_ERROR bad command line format
        C: set m 0 0 1
        C: x
        S: STORED
        C: md m C77777
        S: EX
    ";
}
