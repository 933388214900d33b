/* SPDX-License-Identifier: GPL-3.0-or-later */

/* There are few at a time: those that are busy, and those that wait for them. */

#include <errno.h>

#include "common/macro.h"
#include "daemons/http/bmc-hold.h"
#include "daemons/http/http-manager.h"

static bool is_taken(const HttpManager *m, const BmcHold *mine) {
        for (const BmcHold *h = m->holds; h; h = h->next)
                if (h != mine && h->held && streq(h->name, mine->name))
                        return true;
        return false;
}

int bmc_hold_take(BmcHold *h, HttpManager *m, Resource *r, const char *name) {
        if (!h->manager) {
                *h = (BmcHold) { .manager = m, .resource = r, .name = name, .next = m->holds };
                m->holds = h;
        }
        h->held = h->held || !is_taken(m, h);
        return h->held ? 0 : resource_waiting(r, "another resource is busy with the machine");
}

/* Of those that wait the first to look again gets it. */
void bmc_hold_release(BmcHold *h) {
        HttpManager *m = h->manager;
        BmcHold **at;

        if (!m)
                return;
        for (at = &m->holds; *at != h; at = &(*at)->next)
                ;
        *at = h->next;
        for (const BmcHold *other = h->held ? m->holds : NULL; other; other = other->next)
                if (!other->held && streq(other->name, h->name))
                        resource_changed(other->resource);
        *h = (BmcHold) {};
}
