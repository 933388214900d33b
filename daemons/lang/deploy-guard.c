/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/io.h"
#include "common/sign/deploy-signature.h"
#include "daemons/lang/deploy-guard.h"

enum { MEMORY_MAX = 64 };

static int read_memory(DeployGuard *g) {
        _cleanup_free_ char *text = NULL;
        char *end;
        int r;

        r = read_file_at(AT_FDCWD, g->memory, MEMORY_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        errno = 0;
        g->accepted = strtoull(text, &end, 10);
        return errno == 0 && end != text && streq(end, "\n") ? 0 : -EBADMSG;
}

int deploy_guard_init(DeployGuard *g, const char *trust, const char *state_dir) {
        *g = (DeployGuard) { .trust = trust };
        if (!trust)
                return 0;
        if (asprintf(&g->memory, "%s/accepted-sequence", state_dir) < 0) {
                g->memory = NULL;
                return -ENOMEM;
        }
        g->error = read_memory(g);
        return 0;
}

void deploy_guard_done(DeployGuard *g) {
        free(g->memory);
        *g = (DeployGuard) {};
}

int deploy_guard_check(const DeployGuard *g, Value bundle, const DeployOptions *options, Diag *reterr) {
        _cleanup_(trust_done) Trust trust = {};
        int r;

        if (!g->trust)
                return 0;
        r = trust_read(&trust, g->trust, reterr);
        if (r == -ENOENT)
                return 0;
        if (r >= 0 && g->error < 0)
                r = diag_set(reterr, (Pos) {}, g->error, "cannot read '%s': %m", g->memory);
        if (r >= 0)
                r = deploy_verify(&trust, bundle, options, reterr);
        if (r >= 0 && options->sequence < g->accepted)
                r = diag_set(reterr, (Pos) {}, -ESTALE,
                             "it is older (sequence %" PRIu64 ") than one that was accepted before (%" PRIu64 "); to accept older ones "
                             "after all, remove '%s' and restart mgmt-lang", options->sequence, g->accepted, g->memory);
        if (r < 0) {
                (void) diag_prefix(reterr, "this host takes only programs that are signed, see '%s'", g->trust);
                return r;
        }
        return 0;
}

int deploy_guard_accepted(DeployGuard *g, const DeployOptions *options, Diag *reterr) {
        char text[MEMORY_MAX];
        int n, r;

        /* Of a program that nobody had to sign the number may be any, and would shut out those that come later. */
        if (!g->trust || options->sequence <= g->accepted || access(g->trust, F_OK) < 0)
                return 0;
        g->accepted = options->sequence;
        n = snprintf(text, sizeof(text), "%" PRIu64 "\n", options->sequence);
        r = write_file_atomic_at(AT_FDCWD, g->memory, text, (size_t) n, 0600, true);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "cannot write '%s': %m", g->memory) : 0;
}
