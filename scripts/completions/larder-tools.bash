# Completion of larder-bench, larder-cli and larder-top for bash: the options that --help prints, and host names.

_larder_tools() {
    local word=${COMP_WORDS[COMP_CWORD]}
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$("$1" --help 2>/dev/null | grep -oE '^ +-.{1,24}' | grep -oE -- '--?[a-z][a-z-]*')" -- "$word"))
    else
        COMPREPLY=($(compgen -A hostname -- "$word"))
    fi
} && complete -F _larder_tools larder-bench larder-cli larder-top
