//! `stats` as far as its answers are the same on every server: refusals, prefixes, what is switched off.

transcripts! {
    stats_of_an_unknown_group_is_an_error: r"
        C: stats foo
        S: ERROR
        C: stats noreply
        S: ERROR
        C: stats RESET
        S: ERROR
        C: statsx
        S: ERROR
        C: stat
        S: ERROR
    ";
    stats_reset_says_so: r"
        C: stats reset
        S: RESET
        C: stats reset extra
        S: RESET
    ";
    words_of_stats_and_slabs_may_be_cut_short: r"
        C: stats re
        S: RESET
        C: stats r
        S: RESET
        C: stats resetx
        S: ERROR
        C: stats det o
        S: OK
        C: stats d du
        S: END
        C: stats detail of
        S: OK
        C: stats detail onx
        S: CLIENT_ERROR usage: stats detail on|off|dump
        C: stats c
        S: CLIENT_ERROR bad command line
        C: stats cac 1 1
        S: END
        C: stats i
        S: ERROR
        C: stats sl
        S: ERROR
        C: stats siz
        S: ERROR
        C: slabs a 0
        S: OK
        C: slabs automove r 0.8
        S: OK
        C: slabs auto win 30
        S: OK
        C: slabs automove free 0.1
        S: OK
        C: slabs re 1 1
        S: SAME src and dst class are identical
    ";
    stats_detail_counts_by_prefix: r"
        C: stats detail on
        S: OK
        C: stats detail dump
        S: END
        C: set foo:1 0 0 1
        C: x
        S: STORED
        C: get foo:1 foo:2 plain
        S: VALUE foo:1 0 1
        S: x
        S: END
        C: set foo:2 0 0 1 noreply
        C: y
        C: delete foo:1
        S: DELETED
        C: delete foo:1
        S: NOT_FOUND
        C: stats detail dump
        S: PREFIX foo get 2 hit 1 set 2 del 2
        S: END
        C: stats detail off
        S: OK
        C: get foo:2
        S: VALUE foo:2 0 1
        S: y
        S: END
        C: stats detail dump
        S: PREFIX foo get 2 hit 1 set 2 del 2
        S: END
    ";
    stats_detail_takes_the_text_before_the_first_delimiter: r"
        C: stats detail on
        S: OK
        C: get a:b:c
        S: END
        C: stats detail dump
        S: PREFIX a get 1 hit 0 set 0 del 0
        S: END
    ";
    the_delimiter_of_prefixes_can_be_set_and_turns_detail_on: r"
        $ -D /
        C: get a/b
        S: END
        C: get c:d
        S: END
        C: stats detail dump
        S: PREFIX a get 1 hit 0 set 0 del 0
        S: END
    ";
    stats_detail_says_how_it_is_used: r"
        C: stats detail
        S: CLIENT_ERROR usage: stats detail on|off|dump
        C: stats detail foo
        S: CLIENT_ERROR usage: stats detail on|off|dump
        C: stats detail ON
        S: CLIENT_ERROR usage: stats detail on|off|dump
    ";
    stats_cachedump_of_an_empty_class_is_only_end: r"
        C: stats cachedump 1 0
        S: END
        C: stats cachedump 63 10
        S: END
        C: stats cachedump 0 0
        S: END
    ";
    stats_cachedump_refuses_what_is_no_class: r"
        C: stats cachedump
        S: CLIENT_ERROR bad command line
        C: stats cachedump 1
        S: CLIENT_ERROR bad command line
        C: stats cachedump 128 0
        S: CLIENT_ERROR Illegal slab id
        C: stats cachedump x 0
        S: CLIENT_ERROR bad command line format
        C: stats cachedump 1 x
        S: CLIENT_ERROR bad command line format
        C: stats cachedump -1 0
        S: CLIENT_ERROR bad command line format
        C: stats cachedump 1 -1
        S: CLIENT_ERROR bad command line format
    ";
    stats_hotkeys_say_how_they_are_found_and_can_be_switched: r"
        C: stats hotkeys
        S: STAT enabled 1
        S: STAT sample_rate 256
        S: STAT half_life 60
        S: END
        C: stats hotkeys off
        S: OK
        C: stats hotkeys
        S: STAT enabled 0
        S: STAT sample_rate 256
        S: STAT half_life 60
        S: END
        C: stats hotkeys on
        S: OK
        C: stats hotkeys foo
        S: CLIENT_ERROR usage: stats hotkeys [on|off]
    ";
    hot_keys_can_be_kept_secret: r"
        $ -X
        C: stats hotkeys
        S: CLIENT_ERROR stats hotkeys not allowed
        C: stats hotkeys on
        S: CLIENT_ERROR stats hotkeys not allowed
    ";
    stats_prefixes_count_items_and_bytes_that_are_there: r"
        C: set a:1 0 0 10
        C: 0123456789
        S: STORED
        C: set a:2 0 0 10
        C: 0123456789
        S: STORED
        C: set b:1 0 0 10
        C: 0123456789
        S: STORED
        C: set gone:1 0 0 1 noreply
        C: x
        C: set over:1 0 -1 1 noreply
        C: x
        C: set plain 7 0 10
        C: 0123456789
        S: STORED
        C: delete gone:1
        S: DELETED
        C: stats prefixes
        S: STAT counting 0
        S: STAT age {*}
        S: STAT prefixes 2
        S: STAT unprefixed_items 1
        S: STAT unprefixed_bytes 35
        S: STAT other_items 0
        S: STAT other_bytes 0
        S: STAT a:items 2
        S: STAT a:bytes 58
        S: STAT b:items 1
        S: STAT b:bytes 29
        S: END
    ";
    prefixes_can_be_kept_secret: r"
        $ -X
        C: stats prefixes
        S: CLIENT_ERROR stats prefixes not allowed
    ";
    dumping_can_be_forbidden: r"
        $ -X
        C: stats cachedump 1 0
        S: CLIENT_ERROR stats cachedump not allowed
        C: stats detail on
        S: CLIENT_ERROR stats detail not allowed
    ";
}
