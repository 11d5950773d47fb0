# Completion of larder's command line for bash. Printed from src/settings/table.rs by `make doc`. Edit the table, not this file.

_larder() {
    local word=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD option rest
    local options=' -v --verbose -M --disable-evictions -A --enable-shutdown -C --disable-cas -S --enable-sasl -F
        --disable-flush-all -X --disable-dumping -Z --enable-ssl -W --disable-watch -L --enable-largepages
        -k --lock-memory -d --daemon -r --enable-coredumps -h --help -i --license -V --version -m
        --memory-limit -c --conn-limit -p --port -U --udp-port -l --listen -s --unix-socket -a --unix-mask
        -f --slab-growth-factor -n --slab-min-size -t --threads -D -R --max-reqs-per-event -b
        --listen-backlog -B --protocol -Y --auth-file -I --max-item-size -N --napi-ids --napi_ids -e
        --memory-file --inspect --clear -u --user -P --pidfile --config -x --replication-peer --http -o --extended'
    local suboptions=' maxconns_fast no_maxconns_fast hashpower= slab_reassign no_slab_reassign slab_automove
        no_slab_automove slab_automove_ratio= slab_automove_window= slab_chunk_max= lru_crawler
        no_lru_crawler idle_timeout= watcher_logbuf_size= worker_logbuf_size= drop_privileges
        no_drop_privileges ssl_chain_cert= ssl_key= ssl_verify_mode= ssl_keyformat= ssl_ciphers=
        ssl_ca_cert= ssl_wbuf_size= ssl_session_cache ssl_min_version= slab_sizes= restart_discard log=
        repl_port= repl_listen= repl_secret_file= repl_tls repl_tls_name= repl_cluster= repl_serve=
        repl_log_mb= repl_overflow= repl_queue_mb= repl_bandwidth= repl_tombstone_ttl= repl_max_skew=
        repl_owner_prefix= resp_obj_mem_limit= conn_limit_per_address= admin_socket= http_cache
        http_token_file= udp_reply_max= busy_poll_usecs= slowlog_us='
    # bash takes an equals sign for a word of its own.
    [[ $word == '=' ]] && word='' at=$((at + 1))
    while [[ $at -gt 1 && ${COMP_WORDS[at - 1]} == '=' ]]; do at=$((at - 2)); done
    option=${COMP_WORDS[at - 1]}
    [[ $at -lt $COMP_CWORD && ${COMP_WORDS[at]} == --* ]] && option=${COMP_WORDS[at]}
    case $option in
        -o|--extended)
            rest=${word##*,}
            COMPREPLY=($(compgen -P "${word%"$rest"}" -W "$suboptions" -- "$rest"))
            compopt -o nospace
            return ;;
        -m|--memory-limit) return ;;
        -c|--conn-limit) return ;;
        -p|--port) return ;;
        -U|--udp-port) return ;;
        -l|--listen) COMPREPLY=($(compgen -A hostname -- "$word")); return ;;
        -s|--unix-socket) COMPREPLY=($(compgen -f -- "$word")); return ;;
        -a|--unix-mask) return ;;
        -f|--slab-growth-factor) return ;;
        -n|--slab-min-size) return ;;
        -t|--threads) return ;;
        -D) return ;;
        -R|--max-reqs-per-event) return ;;
        -b|--listen-backlog) return ;;
        -B|--protocol) COMPREPLY=($(compgen -W 'auto ascii binary' -- "$word")); return ;;
        -Y|--auth-file) COMPREPLY=($(compgen -f -- "$word")); return ;;
        -I|--max-item-size) return ;;
        -N|--napi-ids|--napi_ids) return ;;
        -e|--memory-file) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --inspect) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --clear) COMPREPLY=($(compgen -f -- "$word")); return ;;
        -u|--user) COMPREPLY=($(compgen -u -- "$word")); return ;;
        -P|--pidfile) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --config) COMPREPLY=($(compgen -f -- "$word")); return ;;
        -x|--replication-peer) COMPREPLY=($(compgen -A hostname -- "$word")); return ;;
        --http) COMPREPLY=($(compgen -A hostname -- "$word")); return ;;
    esac
    [[ $COMP_CWORD -eq 1 ]] && options="$options dump load ping doctor"
    case ${COMP_WORDS[1]} in
        dump|load|ping|doctor) COMPREPLY=($(compgen -f -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    esac
}

complete -F _larder larder
