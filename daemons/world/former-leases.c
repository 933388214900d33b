/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See former-leases.h. */

#include <errno.h>
#include <stdlib.h>

#include "common/sd/log.h"
#include "daemons/world/former-leases.h"
#include "daemons/world/store.h"

static void forget(FormerLeases *f, size_t i) {
        memmove(&f->ids[i], &f->ids[i + 1], (f->n - i - 1) * sizeof(f->ids[0]));
        f->n--;
}

/* One that is being ended stays where it is: at the front. */
void former_leases_add(FormerLeases *f, int64_t id) {
        for (size_t i = 0; i < f->n; i++)
                if (f->ids[i] == id)
                        return;
        if (id <= 0)
                return;
        if (f->n == FORMER_LEASES_MAX)
                forget(f, f->call ? 1 : 0);
        f->ids[f->n++] = id;
}

void former_leases_print(const FormerLeases *f, int64_t own, StrBuf *ret) {
        strbuf_printf(ret, "%lld", (long long) own);
        for (size_t i = f->n; i > 0; i--)
                strbuf_printf(ret, " %lld", (long long) f->ids[i - 1]);
}

void former_leases_parse(FormerLeases *f, const char *text, size_t size) {
        _cleanup_free_ char *copy = strndup(text, size);
        int64_t ids[FORMER_LEASES_MAX];
        char *word, *save = NULL;
        size_t n = 0;

        for (word = copy ? strtok_r(copy, " ", &save) : NULL; word && n < FORMER_LEASES_MAX; word = strtok_r(NULL, " ", &save))
                ids[n++] = strtoll(word, NULL, 10);
        while (n > 0)
                former_leases_add(f, ids[--n]);         /* the oldest stands last */
}

static void on_ended(const StoreReply *reply, void *userdata) {
        FormerLeases *f = userdata;

        f->call = NULL;
        if (reply->error == -ECANCELED)
                return;
        if (reply->error < 0 && reply->error != -EHOSTDOWN && reply->error != -ESTALE)
                log_warning(reply->error, "cannot end a lease of before, it runs out by itself: %s",
                            reply->problem ?: strerrordesc_np(-reply->error));
        if (reply->error != -EHOSTDOWN)
                forget(f, 0);
        former_leases_end(f);
}

void former_leases_end(FormerLeases *f) {
        int r;

        if (f->call || f->n == 0)
                return;
        r = store_lease_end(f->store, f->ids[0], on_ended, f, &f->call);
        if (r < 0)
                log_warning(r, "cannot end a lease of before: %m");
}

void former_leases_clear(FormerLeases *f) {
        f->call = store_call_cancel(f->call);
        f->n = 0;
}
