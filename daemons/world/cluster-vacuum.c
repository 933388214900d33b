/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Removes old deploys, one commit each, with all their parts. */

#include <errno.h>

#include "common/sd/log.h"
#include "daemons/world/cluster-work.h"

typedef struct Vacuum {
        ClusterWork work;       /* first */
        ClusterEntry *entries;  /* newest first */
        size_t n, next;
        size_t n_all, n_some;   /* complete ones before next: meant for all, for some */
} Vacuum;

static void vacuum_end(ClusterWork *w, int error) {
        Vacuum *v = container_of(w, Vacuum, work);

        if (error < 0 && error != -ECANCELED)
                log_warning(error, "cannot remove old deploys, the next deploy will: %m");
        cluster_entries_free(v->entries, v->n);
        free(v);
}

/* One that is not complete may still be written, as long as nothing newer is there. */
static bool is_old(Vacuum *v, const ClusterEntry *e) {
        size_t *n = cluster_entry_is_for(e, NULL) ? &v->n_all : &v->n_some;

        if (!e->complete)
                return v->n_all + v->n_some > 0;
        return (*n)++ >= CLUSTER_DEPLOYS_KEPT;
}

static void vacuum_next(Vacuum *v);

static void on_removed(const StoreReply *reply, void *userdata) {
        Vacuum *v = userdata;
        int r = cluster_work_answered(&v->work, reply);

        if (r < 0 && r != -EINPROGRESS)
                cluster_work_end(&v->work, r);
        else
                vacuum_next(v);         /* if it has changed meanwhile, it is somebody's */
}

static int remove_entry(Vacuum *v, const ClusterEntry *e) {
        StoreWrite writes[CLUSTER_PARTS_MAX + 1] = {};
        char *keys[CLUSTER_PARTS_MAX + 1] = {};
        StoreCondition unchanged = { .kind = STORE_MODIFIED, .modified = e->modified };
        size_t n = e->n_parts + 1;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                keys[i] = i == 0 ? cluster_entry_key(e->id) : cluster_part_key(e->id, (uint32_t) i - 1);
                writes[i].key = keys[i];
                r = keys[i] ? r : -ENOMEM;
        }
        unchanged.key = keys[0];
        if (r >= 0)
                r = store_commit(v->work.deploys->store,
                                 &(StoreCommit) { .conditions = &unchanged, .n_conditions = 1, .writes = writes, .n_writes = n },
                                 on_removed, v, &v->work.call);
        for (size_t i = 0; i < n; i++)
                free(keys[i]);
        return r;
}

static void vacuum_next(Vacuum *v) {
        int r = 0;

        while (v->next < v->n) {
                const ClusterEntry *e = &v->entries[v->next++];

                if (!is_old(v, e))
                        continue;
                r = remove_entry(v, e);
                if (r >= 0)
                        return;
                break;
        }
        cluster_work_end(&v->work, r);
}

static void on_listed(const StoreReply *reply, void *userdata) {
        Vacuum *v = userdata;
        int r = cluster_work_answered(&v->work, reply);

        if (r >= 0)
                r = cluster_entries_decode(reply->items, reply->n, &v->entries, &v->n);
        if (r < 0)
                cluster_work_end(&v->work, r);
        else
                vacuum_next(v);
}

void cluster_vacuum(ClusterDeploys *c) {
        Vacuum *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return;
        cluster_work_begin(&v->work, c, vacuum_end);
        r = cluster_work_list(&v->work, on_listed);
        if (r < 0)
                cluster_work_end(&v->work, r);
}
