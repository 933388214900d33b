# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# For the cases with a real docker. Those that use this name their packages as 97-docker does.
. "${LIB%/*}/kinds.sh"

PATIENCE=60
DOCKER=/usr/bin/docker

has_docker() { [ -x /usr/sbin/dockerd ] && [ -x $DOCKER ]; }

has_docker || compgen -G '/srv/packages/docker.io_*.deb' >/dev/null || skip "needs docker (docker.io), or a way to download it"
[ -x /usr/bin/busybox ] && ! ldd /usr/bin/busybox >/dev/null 2>&1 || [ -x /bin/busybox ] || skip "needs a static busybox (busybox-static)"

# What the overlay of this container is made of cannot be a layer of another.
prepare_docker() {
        mkdir -p /var/lib/docker /var/lib/containerd
        mount -t tmpfs tmpfs /var/lib/docker
        mount -t tmpfs tmpfs /var/lib/containerd
}

install_docker() {      # as somebody would by hand
        prepare_docker
        has_docker || check "docker is installed" env DEBIAN_FRONTEND=noninteractive dpkg --install --force-confold /srv/packages/*.deb
        check "docker has its socket" systemctl start docker.socket
}

make_root() {           # make_root FILE: the files of an image, as a tar archive
        local dir name
        dir=$(mktemp -d)
        mkdir -p "$dir"/{bin,dev,etc,proc,sys,tmp}
        cp "$(command -v busybox)" "$dir/bin/busybox"
        for name in cat echo env httpd nc sh sleep true; do ln -s busybox "$dir/bin/$name"; done
        echo "$RANDOM$RANDOM" >"$dir/etc/serial"
        tar -C "$dir" -cf "$1" .
        rm -rf "$dir"
}

make_image() {          # make_image NAME [CHANGE…], such as 'ENV A=1'; what runs in it does not have to be waited for when it is stopped
        make_root /root/image.tar
        $DOCKER import /root/image.tar imported:1 >/dev/null || fail "docker import"
        printf '%s\n' 'FROM imported:1' 'STOPSIGNAL SIGKILL' "${@:2}" | DOCKER_BUILDKIT=0 $DOCKER build --quiet --tag "$1" - >/dev/null ||
                fail "docker build"
}

inspect() { $DOCKER inspect --type container --format "{{$1}}" "$2" 2>/dev/null; }
container_is() { [ "$(inspect .State.Status "$1")" = "$2" ] || { inspect .State.Status "$1"; return 1; }; }
container_has() { [ "$(inspect "$2" "$1")" = "$3" ] || { inspect "$2" "$1"; return 1; }; }
no_container() { ! $DOCKER inspect --type container "$1" >/dev/null 2>&1; }
