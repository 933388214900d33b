/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The report follows from what the manager knows, and is made anew whenever that changes. A repair is no news: what has converged, or
 * failed, is said to have done so until it has failed, or converged. */

#include "daemons/lang/deploy-report.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/world-link.h"

static DeployState state_in_force(const Manager *m, const char **ret_text) {
        const GraphState *g = &m->graph;

        if (m->current->error) {
                *ret_text = m->current->error;
                return DEPLOY_FAILED;
        }
        if (g->generation < m->in_force_since)
                return DEPLOY_ACCEPTED;         /* that was about another one */
        if (g->n_failed > 0) {
                *ret_text = g->text;
                return DEPLOY_FAILED;
        }
        return g->converged ? DEPLOY_CONVERGED : DEPLOY_ACCEPTED;
}

/* The texts are borrowed. */
static DeployReport make_report(const Manager *m) {
        uint64_t in_force = m->current ? m->current->deploy : 0;
        const char *text = NULL;
        DeployReport r = {};

        if (m->refused.deploy > in_force)
                return (DeployReport) { .deploy = m->refused.deploy, .state = DEPLOY_REFUSED, .text = m->refused.text };
        if (in_force == 0)
                return r;
        r = (DeployReport) { .deploy = in_force, .state = state_in_force(m, &text), .in_force = true };
        r.text = (char *) text;
        return r;
}

static bool is_news(const DeployReport *now, const DeployReport *before) {
        bool ended = before->state == DEPLOY_CONVERGED || before->state == DEPLOY_FAILED;

        if (now->deploy == 0)
                return false;
        if (now->deploy != before->deploy)
                return true;
        return now->state != before->state && !(now->state == DEPLOY_ACCEPTED && ended);
}

void manager_report(Manager *m) {
        DeployReport now = make_report(m);

        if (!m->world || !is_news(&now, &m->report))
                return;
        if (now.text)
                now.text = strdup(now.text);    /* out of memory: then without */
        deploy_report_done(&m->report);
        m->report = now;
        world_link_report(m->world, &m->report);
}

void deploy_report_done(DeployReport *r) {
        free(r->text);
        *r = (DeployReport) {};
}
