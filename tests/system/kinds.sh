# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# For the cases that take one kind through its life: a program with one resource, and a probe, a command that succeeds if and only
# if the host is as the resource wants it. PREAMBLE is what else is in the program, PATIENCE how many seconds anything may take.
. "$LIB"

PREAMBLE='' PATIENCE=10

# State, last check, last repair and error of the resource that was declared last.
look() {
        local answer
        answer=$(busctl --json=short call org.mgmt.engine1 /org/mgmt/engine1 org.mgmt.engine1.Manager ListResources suu \
                 "$KIND[${NAME//[[]/\\[}]" 0 1) || return 1
        IFS=$'\t' read -r STATE CHECKED APPLIED ERROR < <(jq -r '.data[0][0] | [.[2], .[3], .[4], .[5]] | @tsv' <<<"$answer")
        STATE=${STATE:-none} CHECKED=${CHECKED:-0} APPLIED=${APPLIED:-0}
}

is_in_state() {
        look
        [ "$STATE" = "$1" ] || { echo "it is '$STATE': $ERROR"; return 1; }
}

write_site() {          # write_site KIND NAME FIELDS
        rm -rf /root/site
        mkdir /root/site
        printf '%s\n' "$PREAMBLE" "$1 \"$2\" {" "$3" "}" >/root/site/main.mcl
        printf 'main: main.mcl\n' >/root/site/metadata.yaml
}

declare_resource() {    # declare_resource KIND NAME FIELDS: a program with it, in force
        local deploy
        KIND=$1 NAME=$2
        deploy=$(manager_property engine DeployId)
        write_site "$@"
        check "  deployed: $(tr -s '\n\t ' '   ' <<<"$3")" mgmtctl deploy /root/site
        wait_for "  taken over" 60 eval '[ "$(manager_property engine DeployId)" != "'"$deploy"'" ]'
}

wait_state() { wait_for "$1" "$PATIENCE" is_in_state "$2"; }

checked_since() { is_in_state ok && [ "$CHECKED" -gt "$1" ]; }
repaired_since() { is_in_state ok && [ "$APPLIED" -gt "$1" ]; }

stays_unchanged() {     # another attempt finds nothing to do
        look
        local applied=$APPLIED
        busctl call org.mgmt.engine1 /org/mgmt/engine1 org.mgmt.engine1.Manager Check ss "$KIND" "$NAME"
        wait_for "  looked at again" "$PATIENCE" checked_since "$CHECKED"
        look
        check_equal "  and nothing was changed" "$APPLIED" "$applied"
}

was_left_alone() {
        look
        local passed=$((${EPOCHREALTIME/./} - CHECKED))
        [ "$passed" -gt "$1" ] || { echo "it was looked at $passed µs ago"; return 1; }
}

# What was set off by the last change has come to its end: for so many seconds nobody looks at it any more.
comes_to_rest() { wait_for "  and then it is left alone" "$PATIENCE" was_left_alone "${1}000000"; }

# Noop finds the drift and touches nothing; then it is put right; then nothing is to be done.
converges() {           # converges WHAT KIND NAME FIELDS PROBE
        echo "$1"
        check_fails "  the host is not so yet" eval "$5"
        declare_resource "$2" "$3" "$4
                Meta:noop => true,"
        wait_state "  noop sees it" drifted
        check_fails "  and does nothing" eval "$5"
        declare_resource "$2" "$3" "$4"
        wait_state "  put right" ok
        check "  the host is so" eval "$5"
        stays_unchanged
}

holds() {               # holds WHAT KIND NAME FIELDS: right from the beginning
        echo "$1"
        KIND=$2 NAME=$3
        look
        local applied=$APPLIED
        declare_resource "$2" "$3" "$4"
        wait_state "  found right" ok
        look
        check_equal "  without a change" "$APPLIED" "$applied"
}

repairs() {             # repairs WHAT DRIFT PROBE
        echo "$1"
        look
        local applied=$APPLIED
        check "  drift: $2" eval "$2"
        wait_for "  repaired" "$PATIENCE" eval "$3"
        wait_for "  and well" "$PATIENCE" repaired_since "$applied"
        stays_unchanged
}

fails() {               # fails WHAT KIND NAME FIELDS PATTERN: the attempt fails and says why
        echo "$1"
        declare_resource "$2" "$3" "$4"
        wait_state "  failed" failed
        look
        check_match "  and says why" "$ERROR" "$5"
}

is_waiting_for() { is_in_state waiting && [[ $ERROR =~ $1 ]] || { echo "$ERROR"; return 1; }; }

waits() {               # waits WHAT KIND NAME FIELDS PATTERN: for something that is not there yet
        echo "$1"
        declare_resource "$2" "$3" "$4"
        wait_for "  waits for it" "$PATIENCE" is_waiting_for "$5"
}

was_said() { { cat /root/output; journalctl --quiet --unit 'mgmt-*' --output cat; } | grep -F "$1"; }

refuses() {             # refuses WHAT KIND NAME FIELDS PATTERN: the graph is not taken over, and the journal says why
        echo "$1"
        local before
        before=$(manager_property engine Generation)
        write_site "$2" "$3" "$4"
        mgmtctl deploy /root/site >/root/output 2>&1
        wait_for "  refused" 10 was_said "$5"
        check_equal "  and the graph is the one before" "$(manager_property engine Generation)" "$before"
}
