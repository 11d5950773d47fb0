//! `mg`: an item, its metadata, and which client is to renew it.

transcripts! {
    a_meta_get_without_flags_says_whether_the_item_is_there: r"
        C: mg k
        S: EN
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k
        S: HD
        C: mg k
        S: HD
    ";
    flags_are_returned_in_the_order_of_the_request: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k v
        S: VA 2
        S: ab
        C: mg k s f k O9 t v
        S: VA 2 s2 f5 kk O9 t-1
        S: ab
        C: mg k v t O9 k f s
        S: VA 2 t-1 O9 kk f5 s2
        S: ab
        C: mg k t k
        S: HD t-1 kk
        C: mg k   v   k  
        S: VA 2 kk
        S: ab
    ";
    a_miss_returns_key_and_opaque_only: r"
        C: mg k v t s c f h l
        S: EN
        C: mg k k O1 v
        S: EN kk O1
        C: mg k O1 k
        S: EN O1 kk
        C: mg k O
        S: EN O
    ";
    a_quiet_miss_gets_no_reply: r"
        C: mg k q
        C: mg k v q k O1
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k q
        S: HD
        C: mg k q v k
        S: VA 2 kk
        S: ab
    ";
    the_cas_unique_is_that_of_gets: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas}
        C: gets k
        S: VALUE k 5 2 {cas}
        S: ab
        S: END
        C: set k 0 0 1\r\nx
        S: STORED
        C: gets k
        S: VALUE k 0 1 {cas2}
        S: x
        S: END
        C: mg k c
        S: HD c{cas2}
    ";
    a_known_cas_unique_leaves_the_value_out: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas}
        C: mg k C{cas} v k s
        S: HD kk s2
        C: mg k C77777 v k
        S: VA 2 kk
        S: ab
        C: mg k C0 v
        S: VA 2
        S: ab
        C: ms m 2 E77\r\nab
        S: HD
        C: mg m C77 v c
        S: HD c77
        C: mg m C77
        S: HD
    ";
    hit_and_idle_time_are_those_before_the_access: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k h l
        S: HD h0 l0
        C: mg k h
        S: HD h1
        C: get k
        S: VALUE k 5 2
        S: ab
        S: END
        C: mg k h
        S: HD h1
        C: set k 0 0 1\r\nx
        S: STORED
        C: get k
        S: VALUE k 0 1
        S: x
        S: END
        C: mg k h l
        S: HD h1 l0
    ";
    a_silent_access_is_not_noted: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k u h
        S: HD h0
        C: mg k u h
        S: HD h0
        C: mg k h
        S: HD h0
        C: mg k h u
        S: HD h1
    ";
    a_touch_gives_a_new_time: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k t
        S: HD t-1
        C: mg k T100 t v
        S: VA 2 t{ttl}
        S: ab
        C: mg k t
        S: HD t{ttl2}
        C: mg k T0 t
        S: HD t-1
        C: mg k t
        S: HD t-1
        C: mg m T100
        S: EN
        C: mg k T-1
        S: HD
        C: mg k
        S: EN
    ";
    the_first_client_that_misses_is_told_to_fill_the_item: r"
        C: mg k v N30 t
        S: VA 0 t{ttl} W
        S: 
        C: mg k v N30
        S: VA 0 Z
        S: 
        C: mg k s c
        S: HD s0 c{cas} Z
        C: set k 0 0 1\r\nx
        S: STORED
        C: mg k v N30
        S: VA 1
        S: x
    ";
    an_item_that_is_made_for_a_miss_has_the_flags_of_the_request: r"
        C: mg k N0 E77 c s f h l t k O1 v
        S: VA 0 c77 s0 f0 h0 l0 t-1 kk O1 W
        S: 
        C: mg k c
        S: HD c77 Z
        C: mg m N0 T100 t
        S: HD t{ttl} W
        C: mg m t
        S: HD t{ttl2} Z
        C: mg n N-1
        S: HD W
        C: mg n
        S: EN
    ";
    an_item_that_is_made_is_told_even_to_a_quiet_client: r"
        C: mg k N30 q k
        S: HD kk W
        C: mg k q k
        S: HD kk Z
    ";
    the_first_client_before_the_end_is_told_to_renew_it: r"
        C: ms k 2 T100
        C: ab
        S: HD
        C: mg k R30 v
        S: VA 2
        S: ab
        C: mg k R200 v
        S: VA 2 W
        S: ab
        C: mg k R200 v
        S: VA 2 Z
        S: ab
        C: mg k v
        S: VA 2 Z
        S: ab
        C: ms k 2 T100
        C: ab
        S: HD
        C: mg k R200 v
        S: VA 2 W
        S: ab
    ";
    an_item_without_an_end_need_not_be_renewed: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k R2147483647 t
        S: HD t-1
        C: mg k R-1
        S: HD
        C: mg k R0
        S: HD
    ";
    a_touch_comes_with_the_word_of_before: r"
        C: ms k 2 T100
        C: ab
        S: HD
        C: mg k R200 T1000 t
        S: HD t{ttl} W
        C: mg k R200 t
        S: HD t{ttl2} Z
    ";
    a_stale_value_is_to_be_renewed_by_the_first_that_sees_it: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: md k I
        S: HD
        C: mg k v
        S: VA 2 X W
        S: ab
        C: mg k v
        S: VA 2 Z X
        S: ab
        C: mg k v
        S: VA 2 Z X
        S: ab
        C: get k
        S: VALUE k 5 2
        S: ab
        S: END
        C: ms k 2
        C: xy
        S: HD
        C: mg k v
        S: VA 2
        S: xy
    ";
    classic_gets_do_not_take_the_word_of_renewal: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: md k I
        S: HD
        C: get k
        S: VALUE k 5 2
        S: ab
        S: END
        C: gets k
        S: VALUE k 5 2 {cas}
        S: ab
        S: END
        C: mg k v
        S: VA 2 X W
        S: ab
    ";
    further_letters_behind_a_flag_are_ignored: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k vx kk s1 PPP L/p
        S: VA 2 kk s2
        S: ab
        C: mg k v\0k
        S: VA 2
        S: ab
        C: mg k v\x09k
        S: VA 2
        S: ab
    ";
    flags_of_other_commands_are_ignored: r"
        C: ms k 2 F5
        C: ab
        S: HD
        C: mg k F9 I x D5 J7 M M
        S: CLIENT_ERROR duplicate flag
        C: mg k F9 I x D5 J7 MZ L P E5
        S: HD
    ";
    a_flag_that_does_not_exist_is_refused: r"
        C: mg k a
        S: CLIENT_ERROR invalid flag
        C: mg k v S2
        S: CLIENT_ERROR invalid flag
        C: mg k W
        S: CLIENT_ERROR invalid flag
        C: mg k 5
        S: CLIENT_ERROR invalid flag
        C: mg k v _
        S: CLIENT_ERROR invalid flag
        C: mg k !
        S: CLIENT_ERROR bad command line format
        C: mg k a !
        S: CLIENT_ERROR bad command line format
        C: mg k |
        S: CLIENT_ERROR bad command line format
    ";
    a_flag_twice_is_refused: r"
        C: mg k v v
        S: CLIENT_ERROR duplicate flag
        C: mg k O1 O2
        S: CLIENT_ERROR duplicate flag
        C: mg k v v a
        S: CLIENT_ERROR duplicate flag
        C: mg k a v v
        S: CLIENT_ERROR invalid flag
        C: mg k P L Pfoo
        S: CLIENT_ERROR duplicate flag
    ";
    arguments_must_be_numbers: r"
        C: mg k T
        S: CLIENT_ERROR bad token in command line format
        C: mg k Tx
        S: CLIENT_ERROR bad token in command line format
        C: mg k T1x
        S: CLIENT_ERROR bad token in command line format
        C: mg k T+1
        S: CLIENT_ERROR bad token in command line format
        C: mg k N
        S: CLIENT_ERROR bad token in command line format
        C: mg k Rx
        S: CLIENT_ERROR bad token in command line format
        C: mg k C-1
        S: CLIENT_ERROR bad token in command line format
        C: mg k C18446744073709551616
        S: CLIENT_ERROR bad token in command line format
        C: mg k Ex
        S: CLIENT_ERROR bad token in command line format
        C: mg k F
        S: CLIENT_ERROR bad command line format
        C: mg k F4294967296
        S: CLIENT_ERROR bad command line format
        C: mg k Jx
        S: CLIENT_ERROR invalid numeric initial value
        C: mg k Dx
        S: CLIENT_ERROR invalid numeric delta value
        C: mg k T-1
        S: EN
        C: mg k R-5
        S: EN
        C: mg k C18446744073709551615
        S: EN
        C: mg k T05
        S: EN
    ";
    of_several_wrong_arguments_the_last_is_named: r"
        C: mg k Tx Jx
        S: CLIENT_ERROR invalid numeric initial value
        C: mg k Jx Tx
        S: CLIENT_ERROR bad token in command line format
        C: mg k Jx Dx
        S: CLIENT_ERROR invalid numeric delta value
        C: mg k Fx Dx
        S: CLIENT_ERROR invalid numeric delta value
        C: mg k Tx Fx
        S: CLIENT_ERROR bad token in command line format
        C: mg k b Tx
        S: CLIENT_ERROR bad token in command line format
        C: mg k Tx b
        S: CLIENT_ERROR error decoding key
        C: mg k Tx a
        S: CLIENT_ERROR invalid flag
        C: mg k a Tx
        S: CLIENT_ERROR invalid flag
    ";
    an_opaque_has_at_most_31_bytes: r"
        C: mg k O{31*o}
        S: EN O{31*o}
        C: mg k O{32*o}
        S: CLIENT_ERROR opaque token too long
        C: mg k O{32*o} Tx
        S: CLIENT_ERROR bad token in command line format
        C: ms k 2 O{32*o}
        C: ab
        S: CLIENT_ERROR opaque token too long
    ";
    a_request_with_a_long_opaque_is_not_executed: r"
        C: mg k N0 O{32*o}
        S: CLIENT_ERROR opaque token too long
        C: ma k N0 O{32*o}
        S: CLIENT_ERROR opaque token too long
        C: mg k
        S: EN
    ";
    a_line_has_at_most_20_words: r"
        C: mg k k f c t s O1 q h l u v N1 R1 T1 E1 F1 I P
        S: VA 0 kk f0 c{cas} t-1 s0 O1 h0 l0 W
        S: 
        C: mg k k f c t s O1 q h l u v N1 R1 T1 E1 F1 I P L
        S: CLIENT_ERROR options flags are too long
        C: mg k a b c d e f g h i j k l m n o p q r s t u v w
        S: CLIENT_ERROR options flags are too long
    ";
    a_key_has_at_most_250_bytes: r"
        C: mg {250*k} k
        S: EN {251*k}
        C: mg {251*k} k
        S: CLIENT_ERROR bad command line format
        C: mg {251*k} a
        S: CLIENT_ERROR bad command line format
        C: md {251*k}
        S: CLIENT_ERROR bad command line format
        C: ma {251*k}
        S: CLIENT_ERROR invalid or duplicate flag
        C: me {251*k}
        S: CLIENT_ERROR bad command line format
        C: me {250*k}
        S: EN
        C: ms {251*k} 2
        C: ab
        S: CLIENT_ERROR bad command line format
        C: ms {250*k} 2
        C: ab
        S: HD
        C: mg {250*k} v
        S: VA 2
        S: ab
    ";
    a_meta_command_needs_a_key: r"
        C: mg
        S: CLIENT_ERROR bad command line format
        C: mg 
        S: CLIENT_ERROR bad command line format
        C: ms
        S: CLIENT_ERROR bad command line format
        C: ms k
        S: CLIENT_ERROR bad command line format
        C: md
        S: CLIENT_ERROR bad command line format
        C: ma
        S: CLIENT_ERROR bad command line format
        C: me
        S: CLIENT_ERROR bad command line format
        C: mn
        S: MN
        C: mn ignored words
        S: MN
    ";
    verbs_are_two_letters: r"
        C: mgx k
        S: ERROR
        C: MG k
        S: ERROR
        C: mg\x09k
        S: ERROR
    ";
    an_item_is_described_for_debugging: r"
        C: me k
        S: EN
        C: ms k 2 F5
        C: ab
        S: HD
        C: me k
        S: ME k exp=-1 la=0 cas={cas} fetch=no cls={*}
        C: mg k
        S: HD
        C: me k
        S: ME k exp=-1 la=0 cas={cas} fetch=yes cls={*}
        C: me k v ignored
        S: ME k exp=-1 la=0 cas={cas} fetch=yes cls={*}
        C: me k !
        S: CLIENT_ERROR bad command line format
        C: ms k 2 T100
        C: ab
        S: HD
        C: me k
        S: ME k exp={ttl} la=0 cas={cas2} fetch=no cls={*}
    ";
    an_item_that_is_over_has_no_seconds_left: r"
        C: ms k 1
        C: x
        S: HD
        C: mg k T-1 t v
        S: VA 1 t0
        S: x
        C: mg k
        S: EN
        C: ma k N0 J5
        S: HD
        C: ma k T-1 t v
        S: VA 1 t0
        S: 6
        C: mg k
        S: EN
    ";
    an_item_that_is_created_with_two_times_has_the_second: r"
        C: mg k N100000 t T0
        S: HD t-1 W
        C: mg m N100000 T0 t
        S: HD t-1 W
        C: mg n T100000 N0 t
        S: HD t-1 W
        C: ma o N100000 t T0
        S: HD t-1
    ";
    t_shows_the_time_before_a_touch_that_follows_it: r"
        C: ms k 1
        C: 5
        S: HD
        C: mg k t T100000
        S: HD t-1
        C: mg k T0 t
        S: HD t-1
        C: ma k t T100000
        S: HD t-1
        C: ma k T0 t
        S: HD t-1
        C: mg m t N100000
        S: HD t-1 W
        C: ma n t N100000
        S: HD t-1
    ";
    a_renewal_may_depend_on_the_new_time: r"
        C: ms k 1 T100000
        C: 5
        S: HD
        C: mg k R60 T50
        S: HD
        C: ms k 1 T100000
        C: 5
        S: HD
        C: mg k T50 R60
        S: HD W
    ";
}
