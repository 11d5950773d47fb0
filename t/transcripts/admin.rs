//! `version verbosity quit shutdown cache_memlimit`, and words that are no command.

transcripts! {
    version_says_its_name_and_ignores_the_rest: r"
        C: version
        S: VERSION {*}
        C: version 2
        S: VERSION {*}
    ";
    verbosity_takes_a_number: r"
        C: verbosity 0
        S: OK
        C: verbosity 1
        S: OK
        C: verbosity 0 extra
        S: OK
    ";
    verbosity_refuses_what_is_no_number: r"
        C: verbosity
        S: CLIENT_ERROR bad command line format
        C: verbosity x
        S: CLIENT_ERROR bad command line format
    ";
    quit_closes_after_the_earlier_answers: r"
        C: set a 0 0 1
        C: x
        S: STORED
        C: get a
        S: VALUE a 0 1
        S: x
        S: END
        C: quit
        close
    ";
    quit_ignores_its_arguments: r"
        C: quit now
        close
    ";
    what_follows_quit_is_not_answered: r"
        C: quit
        C: version
        close
    ";
    shutdown_has_to_be_enabled: r"
        C: shutdown
        S: SERVER_ERROR: shutdown not enabled
        C: shutdown graceful
        S: SERVER_ERROR: shutdown not enabled
    ";
    shutdown_closes_the_connection: r"
        $ -A
        C: shutdown
        close
    ";
    shutdown_knows_one_mode: r"
        $ -A
        C: shutdown foo
        S: CLIENT_ERROR invalid shutdown mode
        C: shutdown graceful x
        S: CLIENT_ERROR invalid shutdown mode
        C: shutdown graceful x y
        S: CLIENT_ERROR invalid shutdown mode
    ";
    cache_memlimit_moves_the_limit_within_bounds: r"
        C: cache_memlimit 128
        S: OK
        C: cache_memlimit 64
        S: OK
        C: cache_memlimit 8
        S: OK
        C: cache_memlimit 7
        S: MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m
        C: cache_memlimit 1000000001
        S: MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes
    ";
    slabs_reassign_says_what_is_wrong: r"
        C: slabs reassign 1 2
        S: NOSPARE source class has no spare pages
        C: slabs reassign 1 1
        S: SAME src and dst class are identical
        C: slabs reassign a b
        S: CLIENT_ERROR bad command line format
        C: slabs reassign +1 2
        S: CLIENT_ERROR bad command line format
        C: slabs reassign 4294967297 1
        S: CLIENT_ERROR bad command line format
        C: slabs reassign -1 5
        S: BADCLASS invalid src or dst class id
        C: slabs reassign -2 5
        S: BADCLASS invalid src or dst class id
        C: slabs reassign 200 5
        S: BADCLASS invalid src or dst class id
        C: slabs reassign 5 200
        S: BADCLASS invalid src or dst class id
        C: slabs reassign 0 5
        S: NOSPARE source class has no spare pages
        C: slabs reassign 5 0
        S: NOSPARE source class has no spare pages
    ";
    slabs_reassign_can_be_forbidden: r"
        $ -o no_slab_reassign
        C: slabs reassign 1 2
        S: CLIENT_ERROR slab reassignment disabled
        C: slabs reassign a b
        S: CLIENT_ERROR slab reassignment disabled
        C: slabs reassign 1
        S: ERROR
        C: slabs automove 0
        S: OK
    ";
    slabs_automove_takes_a_level_or_a_named_number: r"
        C: slabs automove 0
        S: OK
        C: slabs automove 2
        S: OK
        C: slabs automove 3
        S: ERROR
        C: slabs automove -1
        S: CLIENT_ERROR bad command line format
        C: slabs automove x
        S: CLIENT_ERROR bad command line format
        C: slabs automove foo bar
        S: CLIENT_ERROR bad command line format
        C: slabs automove ratio 0.5
        S: OK
        C: slabs automove ratio x
        S: ERROR
        C: slabs automove ratio
        S: ERROR
        C: slabs automove freeratio 0.02
        S: OK
        C: slabs automove freeratio
        S: ERROR
        C: slabs automove window 5
        S: OK
        C: slabs automove window 5 6
        S: OK
        C: slabs automove window 99999
        S: CLIENT_ERROR automove window too low or too high
        C: slabs automove window 2
        S: CLIENT_ERROR automove window too low or too high
        C: slabs automove window 1801
        S: CLIENT_ERROR automove window too low or too high
        C: slabs automove window 1800
        S: OK
        C: slabs automove window x
        S: CLIENT_ERROR bad command line format
        C: slabs automove window
        S: CLIENT_ERROR bad command line format
    ";
    slabs_alone_and_its_unknown_words_are_errors: r"
        C: slabs
        S: ERROR
        C: slabs foo
        S: ERROR
        C: slabs foo bar baz
        S: ERROR
        C: slabs reassign
        S: ERROR
        C: slabs reassign 1
        S: ERROR
        C: slabs reassign 1 2 3
        S: ERROR
        C: slabs automove
        S: ERROR
    ";
    slabs_can_be_silent: r"
        C: slabs reassign 1 2 noreply
        C: slabs automove 1 noreply
        C: slabs automove ratio noreply
        C: slabs foo noreply
        C: slabs noreply
        C: version
        S: VERSION {*}
    ";
    cache_memlimit_refuses_what_is_no_number: r"
        C: cache_memlimit
        S: ERROR
        C: cache_memlimit x
        S: ERROR
    ";
    words_that_are_no_command_are_errors: r"
        C: frobnicate
        S: ERROR
        C: GET a
        S: ERROR
        C: Get a
        S: ERROR
        C: gett a
        S: ERROR
        C: setx a 0 0 1
        S: ERROR
        C: sett
        S: ERROR
        C: flush_al
        S: ERROR
        C: versions
        S: ERROR
        C: STORED
        S: ERROR
    ";
}
