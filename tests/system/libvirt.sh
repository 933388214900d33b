# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# For the cases with a real libvirt and QEMU. Those that use this name their packages as 97-virt does.
. "${LIB%/*}/kinds.sh"

PATIENCE=60

has_libvirt() { [ -x /usr/sbin/libvirtd ] && [ -x /usr/bin/virsh ] && [ -x /usr/bin/qemu-system-x86_64 ] && [ -x /usr/sbin/dnsmasq ]; }

has_libvirt || compgen -G '/srv/packages/libvirt-daemon_*.deb' >/dev/null ||
        skip "needs libvirtd, virsh, qemu-system-x86_64 and dnsmasq (libvirt-daemon-system, libvirt-clients, qemu-system-x86, dnsmasq-base), or a way to download them"

# What works in a container: no cgroups of its own, no other user for machines. libvirt asks for the address of its host before it starts
# a machine, and there is nobody who would answer.
configure_libvirt() {
        grep -qw "$(hostname)" /etc/hosts || echo "127.0.1.1 $(hostname)" >>/etc/hosts
        mkdir -p /etc/libvirt
        printf 'user = "root"\ngroup = "root"\ncgroup_controllers = []\nnamespaces = []\nsecurity_driver = "none"\nremember_owner = 0\n' \
                >/etc/libvirt/qemu.conf
}

# Conffiles that are there stay. Nothing is started: a libvirtd that misses iptables once, misses it until it ends.
install_packages() {
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        check "packages are installed" env DEBIAN_FRONTEND=noninteractive dpkg --install --force-confold /srv/packages/*.deb
        rm /usr/sbin/policy-rc.d
}

install_libvirt() {
        configure_libvirt
        has_libvirt || install_packages
        systemctl --quiet is-active libvirtd.service || check "libvirt has its socket" systemctl start libvirtd.socket
}

VIRSH=(virsh --quiet --connect qemu:///system)
domain_state() { "${VIRSH[@]}" domstate "$1" 2>/dev/null | head -n 1; }
domain_is() { [ "$(domain_state "$1")" = "$2" ] || { domain_state "$1"; return 1; }; }
no_domain() { ! "${VIRSH[@]}" dominfo "$1"; }
xml_has() {             # xml_has DOMAIN live|inactive PATTERN
        local flag=()
        [ "$2" = live ] || flag=(--inactive)
        "${VIRSH[@]}" dumpxml "${flag[@]}" "$1" | grep -Eq "$3"
}
