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
