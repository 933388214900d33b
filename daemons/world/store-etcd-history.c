/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A cluster that is restored from a backup goes back: what was written since is gone, and its revisions are given out a second time. A
 * watch that goes on where it was would wait for a revision that is still to come, and miss all until then; and of what was written
 * under leases that are in the backup nobody would know that it has to be written again.
 *
 * In one history whatever an answer to a read or a commit says of its moment (the term of its leader, its revision) is no less than
 * what any answer said before the question. If it is less, or the cluster has another name, it is another history: then every lease
 * counts as lost, and every watch looks again. Who connects again asks once, so that it is found out.
 *
 * Should others have written so much by then that the revision is not less, there is a landmark: the key that was written last, of all
 * that we know of. At its revision it was written, in our history; so that is what is asked for. */

#include <errno.h>
#include <json.h>
#include <stdlib.h>

#include <systemd/sd-event.h>

#include "common/sd/log.h"
#include "daemons/world/store-etcd.h"

/* Up to 2⁶⁴ - 1. */
static uint64_t cluster_of(json_object *header) {
        json_object *id = etcd_get(header, "cluster_id");

        return id ? strtoull(json_object_get_string(id), NULL, 10) : 0;
}

static bool is_another(const EtcdMoment *now, const EtcdMoment *before) {
        return before->cluster != 0 &&
                (now->cluster != before->cluster || now->term < before->term || now->revision < before->revision);
}

static void forget_landmark(EtcdStore *s) {
        free(TAKE_PTR(s->landmark));
        s->landmark_at = 0;
}

/* Not now: whoever is told of it may end the call whose answer this is. */
static void begin_anew(EtcdStore *s, const EtcdMoment *now) {
        int r;

        s->now = (EtcdMoment) { .cluster = now->cluster, .term = now->term, .revision = now->revision, .history = s->now.history + 1 };
        forget_landmark(s);
        r = s->anew ? 0 : sd_event_add_defer(s->event, &s->anew, etcd_on_anew, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->anew, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error(r, "the cluster was restored from a backup, or made anew, which mgmt-world has to be restarted for: %m");
}

void etcd_heard(EtcdStore *s, json_object *answer, const EtcdMoment *asked) {
        json_object *header = etcd_get(answer, "header");
        EtcdMoment now = { .cluster = cluster_of(header), .term = etcd_get_number(header, "raft_term"),
                           .revision = etcd_get_number(header, "revision") };

        if (now.cluster == 0 || asked->history != s->now.history)
                return;
        if (is_another(&now, asked)) {
                begin_anew(s, &now);
                return;
        }
        s->now.cluster = now.cluster;
        s->now.term = MAX(s->now.term, now.term);
        s->now.revision = MAX(s->now.revision, now.revision);
}

int etcd_on_anew(sd_event_source *source, void *userdata) {
        EtcdStore *s = userdata;

        log_warning(0, "the cluster was restored from a backup, or made anew: everything is read and written again");
        etcd_watches_anew(s);
        etcd_leases_anew(s);
        return 0;
}

/* ---- after a connection was lost ---- */

void etcd_history_note(EtcdStore *s, const StoreItem *items, size_t n) {
        const StoreItem *last = NULL;
        char *key;

        for (size_t i = 0; i < n; i++)
                if (items[i].data && items[i].modified > (last ? last->modified : s->landmark_at))
                        last = &items[i];
        key = last ? strdup(last->key) : NULL;
        if (!key)
                return;
        free(s->landmark);
        s->landmark = key;
        s->landmark_at = last->modified;
}

static void ask(EtcdStore *s);

static void on_asked(const EtcdReply *reply, void *userdata) {
        EtcdStore *s = userdata;
        json_object *kvs = etcd_get(reply->json, "kvs");
        unsigned history = s->now.history;

        s->asking = NULL;
        if (reply->error == -ECANCELED || reply->error == -EHOSTDOWN)
                return;         /* the next connection asks */
        etcd_heard(s, reply->json, &s->asked);
        if (reply->error < 0 && s->asked_for > 0) {     /* its revision is gone, or to come */
                forget_landmark(s);
                ask(s);
        } else if (reply->error >= 0 && s->asked_for > 0 && history == s->now.history &&
                   (!json_object_is_type(kvs, json_type_array) || json_object_array_length(kvs) != 1 ||
                    etcd_get_number(json_object_array_get_idx(kvs, 0), "mod_revision") != s->asked_for))
                begin_anew(s, &s->now);
}

/* For the landmark, or for no more than an answer. */
static void ask(EtcdStore *s) {
        _cleanup_(strbuf_done) StrBuf b = {};
        int r;

        strbuf_puts(&b, "{\"keys_only\":true,");
        if (s->landmark)
                strbuf_printf(&b, "\"revision\":\"%lld\",", (long long) s->landmark_at);
        etcd_put_range(&b, (StoreRange) { .key = s->landmark ?: "history" });
        strbuf_putc(&b, '}');
        s->asked = s->now;
        s->asked_at = etcd_generation(s->etcd);
        s->asked_for = s->landmark_at;
        r = b.failed ? -ENOMEM : etcd_call(s->etcd, "kv/range", b.data, true, on_asked, s, &s->asking);
        if (r < 0)
                log_error(r, "cannot find out whether the cluster is the same as before: %m");
}

void etcd_history_ask(EtcdStore *s) {
        if (s->now.cluster != 0 && s->asked_at != etcd_generation(s->etcd) && !s->asking)
                ask(s);
}

void etcd_history_done(EtcdStore *s) {
        s->asking = etcd_call_cancel(s->asking);
        (void) sd_event_source_disable_unref(s->anew);
        forget_landmark(s);
}
