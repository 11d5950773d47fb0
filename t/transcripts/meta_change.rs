//! `md` and `ma`: items are removed, marked and counted.

transcripts! {
    a_new_cas_unique_of_0_is_drawn: r"
        C: ma n N0 J1 E7 c
        S: HD c7
        C: ma n E0
        S: HD
        C: mg n c
        S: HD c{cas}
        C: md n I E0
        S: HD
        C: mg n c
        S: HD c{cas2} X W
        C: mg v N0 E0 c v
        S: VA 0 c{cas3} W
        S:
    ";
    a_meta_delete_removes: r"
        C: md k
        S: NF
        C: ms k 2
        C: ab
        S: HD
        C: md k
        S: HD
        C: mg k
        S: EN
        C: ms k 2
        C: ab
        S: HD
        C: md k k O1
        S: HD kk O1
        C: md k k O1 c
        S: NF kk O1
    ";
    a_quiet_meta_delete_says_failures_only: r"
        C: md k q
        S: NF
        C: ms k 2
        C: ab
        S: HD
        C: md k q
        C: mg k
        S: EN
        C: ms k 2
        C: ab
        S: HD
        C: md k q C77777 k
        S: EX kk
    ";
    a_delete_compares: r"
        C: ms k 2
        C: ab
        S: HD
        C: mg k c
        S: HD c{cas}
        C: md k C77777
        S: EX
        C: md k C0
        S: EX
        C: md k C{cas}
        S: HD
        C: mg k
        S: EN
        C: md k C77777
        S: NF
    ";
    a_mark_keeps_the_item_and_changes_its_cas_unique: r"
        C: ms k 2 E77 F5
        C: ab
        S: HD
        C: md k I
        S: HD
        C: mg k v f t
        S: VA 2 f5 t-1 X W
        S: ab
        C: gets k
        S: VALUE k 5 2 {cas}
        S: ab
        S: END
        C: md k I E79
        S: HD
        C: mg k c
        S: HD c79 X W
        C: mg k c
        S: HD c79 Z X
    ";
    a_mark_may_give_a_new_time: r"
        C: ms k 2 T1000
        C: ab
        S: HD
        C: md k I
        S: HD
        C: mg k t
        S: HD t{ttl} X W
        C: md k I T100
        S: HD
        C: mg k t
        S: HD t{ttl2} X W
        C: md k I T-1
        S: HD
        C: mg k
        S: EN
    ";
    a_time_alone_marks_nothing: r"
        C: ms k 2
        C: ab
        S: HD
        C: md k T100
        S: HD
        C: mg k
        S: EN
    ";
    a_mark_compares: r"
        C: ms k 2 E77
        C: ab
        S: HD
        C: md k I C77777
        S: EX
        C: md k I C0 k O1
        S: EX kk O1
        C: mg k v
        S: VA 2
        S: ab
        C: md k I C77
        S: HD
        C: mg k v
        S: VA 2 X W
        S: ab
    ";
    a_value_is_dropped_and_the_item_stays: r"
        C: ms k 2 E77 F5
        C: ab
        S: HD
        C: md k x
        S: HD
        C: mg k v f s c t
        S: VA 0 f0 s0 c77 t-1
        S: 
        C: get k
        S: VALUE k 0 0
        S: 
        S: END
        C: md k x T100
        S: HD
        C: mg k t v
        S: VA 0 t{ttl}
        S: 
        C: md k x E78
        S: HD
        C: mg k c
        S: HD c78
        C: md m x
        S: NF
    ";
    a_tombstone_is_stale_and_empty: r"
        C: ms k 2 E77 F5
        C: ab
        S: HD
        C: md k x I E100
        S: HD
        C: mg k v f
        S: VA 0 f0 X W
        S: 
        C: mg k v
        S: VA 0 Z X
        S: 
        C: ms k 2 C5 I\r\nab
        S: HD
        C: mg k v
        S: VA 2 Z X
        S: ab
    ";
    flags_of_other_commands_are_ignored_by_md: r"
        C: ms k 2
        C: ab
        S: HD
        C: md k v t s c f h l u F9 D5 J7 MZ R5 N5
        S: HD
        C: mg k
        S: EN
    ";
    errors_in_md_are_those_of_mg: r"
        C: md k a
        S: CLIENT_ERROR invalid flag
        C: md k v v
        S: CLIENT_ERROR duplicate flag
        C: md k Tx
        S: CLIENT_ERROR bad token in command line format
        C: md k !
        S: CLIENT_ERROR bad command line format
        C: md k b
        S: CLIENT_ERROR error decoding key
        C: md k O{32*o}
        S: CLIENT_ERROR opaque token too long
        C: md k k f c t s O1 q h l u v N1 R1 T1 E1 F1 I P L
        S: CLIENT_ERROR options flags are too long
    ";
    a_meta_arith_counts: r"
        C: ma k
        S: NF
        C: ms k 2
        C: 10
        S: HD
        C: ma k
        S: HD
        C: mg k v
        S: VA 2
        S: 11
        C: ma k v
        S: VA 2
        S: 12
        C: ma k D5 v
        S: VA 2
        S: 17
        C: ma k MD v
        S: VA 2
        S: 16
        C: ma k MD D100 v
        S: VA 1
        S: 0
        C: mg k v s
        S: VA 2 s2
        S: 0 
        C: ma k v
        S: VA 1
        S: 1
    ";
    a_meta_arith_returns_flags_in_their_order: r"
        C: ms k 2
        C: 10
        S: HD
        C: ma k v k O1
        S: VA 2 kk O1
        S: 11
        C: ma k O1 t k v
        S: VA 2 O1 t-1 kk
        S: 12
        C: ma k k
        S: HD kk
        C: ma k s f h l u x v
        S: VA 2
        S: 14
        C: ma k E77 c
        S: HD c77
        C: mg k c
        S: HD c77
        C: ma k c v
        S: VA 2 c{cas}
        S: 16
    ";
    a_quiet_meta_arith_says_failures_only: r"
        C: ma k q
        S: NF
        C: ma k q N0
        C: ma k q
        C: ma k q v
        C: mg k v
        S: VA 1
        S: 2
        C: ma k q C77777
        S: EX
        C: ms k 1
        C: x
        S: HD
        C: ma k q
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
    ";
    modes_of_counting: r"
        C: ms k 2
        C: 10
        S: HD
        C: ma k MI v
        S: VA 2
        S: 11
        C: ma k M+ v
        S: VA 2
        S: 12
        C: ma k MD v
        S: VA 2
        S: 11
        C: ma k M- v
        S: VA 2
        S: 10
        C: ma k MIncr v
        S: VA 2
        S: 11
        C: ma k Minc
        S: CLIENT_ERROR invalid mode for ma M token
        C: ma k M
        S: CLIENT_ERROR invalid mode for ma M token
        C: ma k M* O{32*o}
        S: CLIENT_ERROR invalid mode for ma M token
    ";
    a_counter_may_be_made: r"
        C: ma k N0 J13 v t
        S: VA 2 t-1
        S: 13
        C: ma k N0 J13 v t
        S: VA 2 t-1
        S: 14
        C: ma m N100 v
        S: VA 1
        S: 0
        C: ma m t v k O1
        S: VA 1 t{ttl} km O1
        S: 1
        C: ma n N-1 J5 v
        S: VA 1
        S: 5
        C: mg n
        S: EN
        C: ma o E55 N0 J18446744073709551615 c v
        S: VA 20 c55
        S: 18446744073709551615
        C: mg o v c f
        S: VA 20 c55 f0
        S: 18446744073709551615
        C: ma o v
        S: VA 1
        S: 0
    ";
    a_number_wraps_above_and_stops_below: r"
        C: ms k 20
        C: 18446744073709551615
        S: HD
        C: ma k v
        S: VA 1
        S: 0
        C: ma k MD v
        S: VA 1
        S: 0
        C: ma k MD D5 v
        S: VA 1
        S: 0
        C: mg k s
        S: HD s20
    ";
    only_a_number_can_be_counted: r"
        C: ms k 2
        C: ab
        S: HD
        C: ma k
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: ma k v k O1
        S: CLIENT_ERROR cannot increment or decrement non-numeric value
        C: mg k v
        S: VA 2
        S: ab
    ";
    a_count_compares: r"
        C: ms k 2
        C: 10
        S: HD
        C: mg k c
        S: HD c{cas}
        C: ma k C77777
        S: EX
        C: ma k C{cas} v
        S: VA 2
        S: 11
        C: ma k C0 v
        S: VA 2
        S: 12
        C: ma m C77777
        S: NF
    ";
    a_count_compares_before_it_reads_a_large_value: r"
        C: set k 0 0 600000
        C: {600000*x}
        S: STORED
        C: ma k C77777
        S: EX
    ";
    a_number_that_grows_has_its_new_time_and_cas_unique: r"
        C: set k 0 100000 1
        C: 9
        S: STORED
        C: ma k T0 E77777 t v
        S: VA 2 t-1
        S: 10
        C: mg k t c v
        S: VA 2 t-1 c77777
        S: 10
    ";
    a_count_may_give_a_new_time: r"
        C: ms k 2
        C: 10
        S: HD
        C: ma k T100 t
        S: HD t{ttl}
        C: mg k t
        S: HD t{ttl2}
        C: ma k t
        S: HD t{ttl3}
        C: ma k T-1
        S: HD
        C: mg k
        S: EN
        C: ma m T100 N0 t
        S: HD t-1
        C: ma m T0 t
        S: HD t-1
    ";
    errors_in_ma_have_one_text: r"
        C: ma k a
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k v v
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k Tx
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k Dx
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k Jx
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k Nx
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k Cx
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k Fx
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k b
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k b a
        S: CLIENT_ERROR invalid or duplicate flag
        C: ma k !
        S: CLIENT_ERROR bad command line format
        C: ma k a !
        S: CLIENT_ERROR bad command line format
        C: ma k O{32*o}
        S: CLIENT_ERROR opaque token too long
        C: ma k k f c t s O1 q h l u v N1 R1 T1 E1 F1 I P L
        S: CLIENT_ERROR invalid or duplicate flag
    ";
    a_number_that_stays_as_long_keeps_its_mark: r"
        C: ms k 2
        C: 10
        S: HD
        C: md k I
        S: HD
        C: ma k
        S: HD
        C: mg k v
        S: VA 2 X W
        S: 11
        C: mg k v
        S: VA 2 Z X
        S: 11
    ";
    a_number_that_becomes_longer_loses_its_mark: r"
        C: ms k 2
        C: 99
        S: HD
        C: md k I
        S: HD
        C: ma k
        S: HD
        C: mg k v
        S: VA 3
        S: 100
    ";
}
