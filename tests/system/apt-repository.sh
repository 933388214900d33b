# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# A repository of our own in /srv/repo, the only one that apt and PackageKit know of; and a host on which nothing is installed, as far
# as dpkg knows. What is installed on the machine that lends us its files may change at any moment. Only with REAL_PACKAGES it counts:
# those of a "# packages:" line need it.
. "${LIB%/*}/kinds.sh"

[ -e /usr/share/dbus-1/system-services/org.freedesktop.PackageKit.service ] || skip "needs PackageKit (packagekit)"
command -v dpkg-scanpackages >/dev/null || skip "needs dpkg-scanpackages (dpkg-dev)"

# PackageKit does nothing without a way to the world, even if it leads nowhere.
ip link add up0 type veth peer name up1
ip address add 10.1.2.1/24 dev up0
ip link set up0 up
ip link set up1 up
ip route add default via 10.1.2.2

package() {             # package NAME VERSION [FIELD]: a package in the repository
        local dir=/root/build/$1-$2
        mkdir -p "$dir/DEBIAN" "$dir/usr/share/$1" "$dir/usr/lib/systemd/system" "$dir/etc/$1"
        echo "$2" >"$dir/usr/share/$1/version"
        printf '[Service]\nExecStart=/bin/sleep infinity\n' >"$dir/usr/lib/systemd/system/$1.service"
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n%sDescription: for a test\n' \
                "$1" "$2" "${3:+$3
}" >"$dir/DEBIAN/control"
        dpkg-deb --build "$dir" "/srv/repo/$1_$2_all.deb" >/dev/null
}

publish() {             # what is in the repository is what apt can see after the next refresh
        cd /srv/repo
        dpkg-scanpackages --multiversion . >Packages 2>/dev/null
        printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -uR | sed 's/+0000/UTC/')" "$(sha256sum <Packages | cut -d' ' -f1)" \
                "$(stat --format=%s Packages)" >Release
        cd /root
}

version() { dpkg-query --show --showformat='${db:Status-Status} ${Version}' "$1" 2>/dev/null; }
installed() { [ "$(version "$1")" = "installed ${2:-1.0}" ]; }
absent() { [[ $(version "$1") != installed* ]]; }

mkdir -p /srv/repo
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/preferences.d/* /var/lib/apt/lists/* /var/lib/apt/extended_states
rm -rf /var/cache/apt/*.bin
if [ -z "${REAL_PACKAGES:-}" ]; then
        rm -rf /var/lib/dpkg
        mkdir -p /var/lib/dpkg/{alternatives,info,parts,triggers,updates}
        touch /var/lib/dpkg/{available,diversions,statoverride,status,lock,lock-frontend}
fi
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
PATIENCE=40
