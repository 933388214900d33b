# SPDX-License-Identifier: GPL-3.0-or-later

# Completion of mgmtctl for bash. Commands and options are those that --help shows; resources, deploys and pages of the manual are asked
# for when they are needed.

# Of the lines on standard input those that begin as the word does. For bash, words end at ':' and '=' as well: what comes before them
# is on the command line already.
_mgmtctl_offer() {
        local word=$1 there=${1%"${1##*[:=]}"} line
        while IFS= read -r line; do
                [[ $line != "$word"* ]] || COMPREPLY+=("${line#"$there"}")
        done
}

_mgmtctl_files() {
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# What the word stands for, as the help calls it.
_mgmtctl_kind() {
        local help=$1 previous=$2 takes
        takes=$(sed -n "s/^  .*\($previous\) \([A-Z]*\) .*/\2/p" <<<"$help")
        if [[ $previous == --* && -n $takes ]]; then
                printf '%s' "$takes"
        else
                sed -n '1s/.*\[OPTIONS…\]//p' <<<"$help"
        fi
}

_mgmtctl() {
        local line=${COMP_LINE:0:COMP_POINT} command='' word='' previous='' help i
        local -a words
        COMPREPLY=()
        read -ra words <<<"$line"
        if [[ $line != *' ' ]]; then
                word=${words[-1]}
                unset 'words[-1]'
        fi
        for (( i = 1; i < ${#words[@]}; i++ )); do
                case ${words[i]} in
                --color) (( ++i )) ;;
                -*) ;;
                *) command=${words[i]}; break ;;
                esac
        done
        previous=${words[-1]}
        if [[ $word == --*=* ]]; then
                previous=${word%%=*}
                word=${word#*=}
        fi
        help=$(mgmtctl ${command:+"$command"} --help 2>/dev/null) || return

        if [[ $word == -* ]]; then
                _mgmtctl_offer "$word" < <(sed -n '/^Options:/,$ s/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p' <<<"$help")
                return
        fi
        case $(_mgmtctl_kind "$help" "$previous") in
        WHEN)
                _mgmtctl_offer "$word" < <(printf '%s\n' auto always never) ;;
        *INPUT* | *PATH* | FILE | DIR | KEY)
                _mgmtctl_files "$word" ;;
        *RESOURCE* | *PATTERN*)
                _mgmtctl_offer "$word" < <(mgmtctl status --color=never 2>/dev/null | sed -n '1d; s/^\([^ ]*\]\) .*/\1/p') ;;
        *DEPLOY*)
                _mgmtctl_offer "$word" < <(mgmtctl deploys --color=never 2>/dev/null | sed -n 's/^[ *]\([0-9]*\) .*/\1/p') ;;
        *NAME*)
                _mgmtctl_offer "$word" < <(mgmtctl doc --json 2>/dev/null | sed -n 's/.*"name":"\([^"]*\)".*/\1/p') ;;
        *)
                [[ -n $command ]] ||
                        _mgmtctl_offer "$word" < <(sed -n '/^Commands:/,/^$/ s/^  \([a-z]*\).*/\1/p' <<<"$help") ;;
        esac
}

complete -F _mgmtctl mgmtctl
