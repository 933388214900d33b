/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How a deploy is added. First the list is read, for the next number. What is small is written at once, on the condition that nobody
 * has that number. What is not takes the number with an entry that is not complete; then come the parts, each on the condition that
 * the entry is still ours; the last one completes it. Whoever dies in between leaves an entry that counts for nobody, and goes with
 * the next addition. A commit whose answer was lost is looked for by its token. */

#include <errno.h>

#include <systemd/sd-id128.h>

#include "common/usec.h"
#include "daemons/world/cluster-work.h"
#include "daemons/world/stored-value.h"

typedef struct Addition {
        ClusterWork work;       /* first */
        ClusterEntry entry;     /* as it will be; id 0: it has no number yet */
        int64_t claimed;        /* the revision that wrote it when it was not complete; 0: it is not there */
        uint64_t after, above;
        uint32_t part;          /* the next one to be written */
        Value bundle;
        WireWriter bytes;
        deploys_callback_t callback;
        void *userdata;
} Addition;

static void addition_end(ClusterWork *w, int error) {
        Addition *a = container_of(w, Addition, work);
        Deploy added = cluster_entry_deploy(&a->entry);

        added.bundle = a->bundle;
        if (error >= 0)
                cluster_vacuum(w->deploys);
        a->callback(error, &added, error < 0 ? 0 : 1, a->userdata);
        cluster_entry_done(&a->entry);
        value_done(&a->bundle);
        wire_writer_done(&a->bytes);
        free(a);
}

/* ---- writing ---- */

static void look(Addition *a);
static int write_next(Addition *a);

static void on_written(const StoreReply *reply, void *userdata) {
        Addition *a = userdata;
        bool claims = a->claimed == 0;
        int r = cluster_work_answered(&a->work, reply);

        if (r == -EINPROGRESS || (r >= 0 && !reply->holds && claims)) {
                look(a);        /* whether it happened; who has the number */
                return;
        }
        if (r >= 0 && !reply->holds)
                r = -ESTALE;    /* somebody took it for dead, and was faster */
        if (r >= 0 && a->part + 1 == a->entry.n_parts) {
                cluster_work_end(&a->work, 0);
                return;
        }
        if (r >= 0) {
                if (claims)
                        a->claimed = reply->revision;
                else
                        a->part++;
                r = write_next(a);
        }
        if (r < 0)
                cluster_work_end(&a->work, r);
}

/* The number alone; a part; or the last part and what makes the entry complete, which may be all there is. */
static int write_next(Addition *a) {
        bool last = a->part + 1 == a->entry.n_parts, claims = a->claimed == 0;
        size_t from = (size_t) a->part * CLUSTER_PART_SIZE;
        _cleanup_free_ char *key = cluster_entry_key(a->entry.id), *part = cluster_part_key(a->entry.id, a->part), *text = NULL;
        StoreCondition ours = { .kind = STORE_MODIFIED, .key = key, .modified = a->claimed };
        StoreWrite writes[2] = {};
        size_t n = 0;
        int r;

        if (!key || !part)
                return -ENOMEM;
        if (claims || last) {
                a->entry.complete = last;
                r = cluster_entry_encode(&a->entry, &text);
                if (r < 0)
                        return r;
                writes[n++] = (StoreWrite) { .key = key, .data = text, .size = strlen(text) };
        }
        if (!claims || last)
                writes[n++] = (StoreWrite) { .key = part, .data = a->bytes.data + from,
                                             .size = MIN((size_t) CLUSTER_PART_SIZE, a->bytes.size - from) };
        return store_commit(a->work.deploys->store,
                            &(StoreCommit) { .conditions = &ours, .n_conditions = 1, .writes = writes, .n_writes = n },
                            on_written, a, &a->work.call);
}

/* ---- the number ---- */

static const ClusterEntry *find_token(const Addition *a, const ClusterEntry *entries, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq_ptr(entries[i].token, a->entry.token))
                        return &entries[i];
        return NULL;
}

/* Also of those that a later version wrote. */
static uint64_t newest_number(const StoreItem *items, size_t n) {
        uint64_t newest = 0, number;

        for (size_t i = 0; i < n; i++)
                if (cluster_entry_number(items[i].key, &number) >= 0)
                        newest = MAX(newest, number);
        return newest;
}

/* 1: it is there already. */
static int take_number(Addition *a, const ClusterEntry *entries, size_t n, uint64_t newest) {
        const ClusterEntry *own = find_token(a, entries, n);

        if (own) {
                a->entry.id = own->id;
                if (own->complete)
                        return 1;
                if (a->claimed != own->modified)
                        a->part = 0;
                a->claimed = own->modified;
                return 0;
        }
        if (a->claimed > 0 || (a->after > 0 && newest != a->after))
                return -ESTALE;
        a->entry.id = MAX(newest, a->above) + 1;
        return a->entry.id > INT64_MAX ? -EOVERFLOW : 0;
}

static void on_listed(const StoreReply *reply, void *userdata) {
        Addition *a = userdata;
        ClusterEntry *entries = NULL;
        size_t n = 0;
        int r = cluster_work_answered(&a->work, reply);

        if (r >= 0)
                r = cluster_entries_decode(reply->items, reply->n, &entries, &n);
        if (r >= 0)
                r = take_number(a, entries, n, newest_number(reply->items, reply->n));
        cluster_entries_free(entries, n);
        if (r == 0)
                r = write_next(a);
        else if (r > 0)
                cluster_work_end(&a->work, 0);
        if (r < 0)
                cluster_work_end(&a->work, r);
}

static void look(Addition *a) {
        int r = cluster_work_list(&a->work, on_listed);

        if (r < 0)
                cluster_work_end(&a->work, r);
}

/* ---- the beginning ---- */

static char *make_token(const char *given) {
        char text[SD_ID128_STRING_MAX];
        sd_id128_t id;

        if (given)
                return strdup(given);
        return sd_id128_randomize(&id) < 0 ? NULL : strdup(sd_id128_to_string(id, text));
}

static int prepare(Addition *a, const ClusterAddition *what, Diag *reterr) {
        int r;

        r = value_check_type(what->bundle, a->work.deploys->bundle_type, reterr);
        if (r < 0)
                return r;
        if (what->options.kind != TYPE_STRUCT)
                return diag_set(reterr, (Pos) {}, -EINVAL, "options must be a struct, got %s", type_kind_name(what->options.kind));
        r = stored_value_encode(&a->bytes, what->bundle);
        if (r < 0)
                return r;
        if (a->bytes.size > (size_t) CLUSTER_PART_SIZE * CLUSTER_PARTS_MAX)
                return diag_set(reterr, (Pos) {}, -EFBIG, "a deploy of a cluster may have up to %d bytes, this one has %zu",
                                CLUSTER_PART_SIZE * CLUSTER_PARTS_MAX, a->bytes.size);
        a->entry = (ClusterEntry) {
                .time_usec = usec_now(CLOCK_REALTIME),
                .n_files = what->bundle.m->n,
                .size_bytes = a->bytes.size,
                .n_parts = (uint32_t) ((a->bytes.size + CLUSTER_PART_SIZE - 1) / CLUSTER_PART_SIZE),
                .token = make_token(what->token),
                .options = value_ref(what->options),
        };
        a->bundle = value_ref(what->bundle);
        return a->entry.token ? 0 : -ENOMEM;
}

static void addition_drop(ClusterWork *w, int error) {
        Addition *a = container_of(w, Addition, work);

        cluster_entry_done(&a->entry);
        value_done(&a->bundle);
        wire_writer_done(&a->bytes);
        free(a);
}

int cluster_deploys_add(ClusterDeploys *c, const ClusterAddition *what, deploys_callback_t callback, void *userdata, Diag *reterr) {
        Addition *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return diag_set(reterr, (Pos) {}, -ENOMEM, "cannot store the deploy: %m");
        *a = (Addition) { .after = what->after, .above = what->above, .callback = callback, .userdata = userdata };
        cluster_work_begin(&a->work, c, addition_drop);
        r = prepare(a, what, reterr);
        if (r >= 0)
                r = cluster_work_list(&a->work, on_listed);
        if (r < 0) {
                cluster_work_end(&a->work, r);
                return diag_set(reterr, (Pos) {}, r, "cannot store the deploy: %m");
        }
        a->work.end = addition_end;
        return 0;
}
