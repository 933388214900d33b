/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The command line of libguestfs's virt-builder: what an image is to be, in the order in which virt-builder shall do it. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "common/value.h"

/* Everything is borrowed. */
typedef struct ImageSpec {
        const char *output;     /* where it is to write */
        const char *os_version; /* "debian-12" */
        const char *arch, *hostname, *format;   /* "": not said */
        int64_t size;           /* bytes; 0: as the template */
        char **packages;
        bool update, selinux_relabel, root_ssh_inject, bootstrap, tweaks;
        Value ssh_keys;         /* list of structs of user, type, key and comment */
        const char *root_password_selector;
        char **seeds, **mkdir, **run_cmd, **firstboot_cmd;
        Value copy_in;          /* list of structs of path and dest */
} ImageSpec;

/* Whether it is known what mgmt needs there. */
bool image_can_bootstrap(const char *os_version);

/* The arguments, NULL-terminated, owned by the caller (strv_free()). -EOPNOTSUPP: bootstrap for a distribution that is not known. */
int image_argv(const ImageSpec *s, char ***ret);

/* The architecture of this machine, as templates call it; "" if there are none for it. Static. */
const char *image_host_arch(void);
