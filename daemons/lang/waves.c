/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See waves.h. Which programs there are is lang-manager.c's business. */

#include "common/sd/log.h"
#include "daemons/lang/deployed.h"
#include "daemons/lang/engine-link.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/waves.h"

/* What went wrong is said once, where it stops travelling. */
static void report(Manager *m, const Deployed *p, const Diag *d) {
        if (d->message)
                log_diag(LOG_ERR, d);
        else
                log_info("the program has a graph again: %s", p->options.source);
        manager_emit_changed(m);
        manager_report(m);
}

void manager_wave(void *userdata, Deployed *p) {
        Manager *m = userdata;
        _cleanup_(diag_done) Diag d = {};
        _cleanup_(change_set_done) ChangeSet set = {};
        bool news;
        int r;

        if (engine_link_is_busy(m->engine)) {
                p->behind = true;       /* manager_catch_up() comes back to it; meanwhile more may be due */
                return;
        }
        r = deployed_step(p, &set, &news, &d);
        if (r < 0 && p == m->change.program && !lang_is_running(p->lang)) {
                manager_change_finish(m, r, &d);
                return;
        }
        if (news)
                report(m, p, &d);
        if (r < 0 || change_set_is_empty(&set) || p != manager_offered(m))
                return;
        r = engine_link_send(m->engine, p, &set);
        if (r < 0)
                log_error(r, "cannot hand the changes to mgmt-engine: %m");
}

void manager_catch_up(Manager *m) {
        if (m->change.program && m->change.program->behind)
                deployed_poke(m->change.program);
        if (m->current && m->current->behind)
                deployed_poke(m->current);
}
