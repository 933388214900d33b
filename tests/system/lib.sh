# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the cases share. A check that fails ends the case with the reason; nothing here sleeps for a fixed time where it can
# wait for what it wants to see.
set -uo pipefail

DAEMONS=(engine http lang virt world)

fail() {
        echo "FAILED: $*"
        exit 1
}

skip() {
        echo "$*"
        exit 77
}

reboot_and_call_again() { exit 88; }

check() {               # check WHAT COMMAND…
        local what=$1 output
        shift
        output=$("$@" 2>&1) || fail "$what: $* exits with $?
$output"
        echo "$what"
}

check_fails() {         # check_fails WHAT COMMAND…
        local what=$1 output
        shift
        if output=$("$@" 2>&1); then
                fail "$what: $* exits with 0
$output"
        fi
        echo "$what"
}

check_equal() {         # check_equal WHAT GOT WANTED
        [ "$2" = "$3" ] || fail "$1: it is '$2', not '$3'"
        echo "$1"
}

check_match() {         # check_match WHAT GOT PATTERN (extended regular expression)
        [[ $2 =~ $3 ]] || fail "$1: '$2' does not match '$3'"
        echo "$1"
}

PATIENCE_LEAST=120      # seconds: a machine that has much to do, or stands still for a while, is no failure

wait_for() {            # wait_for WHAT SECONDS COMMAND…; more than that where it is little
        local what=$1 start=${EPOCHREALTIME/./} limit=$(($2 > PATIENCE_LEAST ? $2 * 1000000 : PATIENCE_LEAST * 1000000)) output
        shift 2
        until output=$("$@" 2>&1); do
                if (( ${EPOCHREALTIME/./} - start > limit )); then
                        fail "$what: still not after $((limit / 1000000)) s: $*
$output"
                fi
                sleep 0.02
        done
        printf '%s (%d ms)\n' "$what" $(( (${EPOCHREALTIME/./} - start) / 1000 ))
}

file_is() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

daemon_pid() { systemctl show --property=MainPID --value "mgmt-$1.service"; }
daemon_state() { systemctl show --property=ActiveState --value "mgmt-$1.service"; }

manager_property() {    # manager_property DAEMON PROPERTY
        busctl get-property "org.mgmt.${1}1" "/org/mgmt/${1}1" "org.mgmt.${1}1.Manager" "$2"
}

converged() { [ "$(manager_property engine Converged)" = "b true" ]; }

start_mgmt() {
        check "mgmt.target can be enabled and started" systemctl enable --now mgmt.target
        wait_for "mgmt-engine is up" 10 systemctl is-active mgmt-engine.service
        wait_for "mgmt-lang is up" 10 systemctl is-active mgmt-lang.service
}

deploy() {              # deploy SITE, a folder of sites/
        rm -rf /root/site
        cp -r "$SITES/$1" /root/site
        check "the program is accepted" mgmtctl deploy /root/site
}

# ---- sites/house: one of everything, and how one sees from outside that it is as it should be ----

HOUSE_RESOURCES=(file/_2fsrv_2fmotd exec/copy print/told http_3aserver/_3a80 http_3aserver_3afile/_2fmotd kv/motd value/motd virt/guest)

resource_property() {   # resource_property PATH PROPERTY
        busctl get-property org.mgmt.engine1 "/org/mgmt/engine1/resource/$1" org.mgmt.engine1.Resource "$2"
}

resources_ok() {
        local path
        for path in "${HOUSE_RESOURCES[@]}"; do
                [ "$(resource_property "$path" State)" = 's "ok"' ] || { resource_property "$path" State; echo "$path"; return 1; }
        done
}

served() { [ "$(curl --silent --fail --max-time 20 http://127.0.0.1/motd)" = "made by mgmt" ]; }

house_stands() {
        file_is /srv/motd "made by mgmt" && file_is /srv/copy "made by mgmt" && served && resources_ok && converged
}

# How often the print resource, which the file notifies, has said its piece.
times_told() { journalctl --quiet --unit mgmt-engine.service --output cat | grep -c 'print\[told\].*was put right'; }

deploy_house() {
        start_mgmt
        deploy house
        wait_for "everything has converged" 20 house_stands
}
