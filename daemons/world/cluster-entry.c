/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/deploy.h"
#include "common/sd/log.h"
#include "daemons/world/cluster-deploys.h"
#include "daemons/world/cluster-entry.h"
#include "daemons/world/stored-fields.h"

static const FieldSpec entry_fields[] = {
        FIELD(ClusterEntry, time_usec,  FIELD_UINT64, 0, "When it was deployed."),
        FIELD(ClusterEntry, n_files,    FIELD_UINT64, 0, "How many files it has."),
        FIELD(ClusterEntry, size_bytes, FIELD_UINT64, 0, "All parts together."),
        FIELD(ClusterEntry, n_parts,    FIELD_UINT32, 0, "How many parts there are, or will be."),
        FIELD(ClusterEntry, complete,   FIELD_BOOL,   0, "Whether all parts are there."),
        FIELD(ClusterEntry, token,      FIELD_STR,    0, "Of the request that made it."),
        FIELD(ClusterEntry, options,    FIELD_VALUE,  0, "How it is to be run.", .mcl_type = "variant"),
        {}
};

char *cluster_entry_key(uint64_t id) {
        char *key;

        return asprintf(&key, CLUSTER_LIST "%020" PRIu64, id) < 0 ? NULL : key;
}

char *cluster_part_key(uint64_t id, uint32_t part) {
        char *key;

        return asprintf(&key, CLUSTER_PARTS "%020" PRIu64 "/%04" PRIu32, id, part) < 0 ? NULL : key;
}

int cluster_entry_encode(const ClusterEntry *e, char **ret) {
        return stored_fields_encode(entry_fields, e, ret);
}

int cluster_entry_number(const char *key, uint64_t *ret) {
        const char *text = startswith(key, CLUSTER_LIST);
        char *end;

        if (!text || strspn(text, "0123456789") != 20)
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno == 0 && !*end && *ret > 0 && *ret <= INT64_MAX ? 0 : -EBADMSG;
}

int cluster_entry_decode(const StoreItem *item, ClusterEntry *ret) {
        _cleanup_(cluster_entry_done) ClusterEntry e = { .modified = item->modified };
        int r;

        r = cluster_entry_number(item->key, &e.id);
        if (r >= 0)
                r = fields_init(entry_fields, &e);
        if (r >= 0)
                r = stored_fields_decode(entry_fields, &e, item->data);
        if (r >= 0 && (e.options.kind != TYPE_STRUCT || e.n_parts == 0 || e.n_parts > CLUSTER_PARTS_MAX ||
                       e.size_bytes > (uint64_t) e.n_parts * CLUSTER_PART_SIZE))
                r = -EBADMSG;
        if (r < 0)
                return r;
        *ret = e;
        e = (ClusterEntry) {};
        return 0;
}

/* What else the options say may be a later version's business; whoever takes it then says that it cannot. */
bool cluster_entry_is_for(const ClusterEntry *e, const char *hostname) {
        const Value *hosts = value_struct_get(e->options, "hosts");

        if (!hosts)
                return true;
        if (hosts->kind != TYPE_STR)
                return false;
        return hostname ? deploy_hosts_have(value_cstr(*hosts), hostname) : !*value_cstr(*hosts);
}

void cluster_entry_done(ClusterEntry *e) {
        fields_done(entry_fields, e);
        *e = (ClusterEntry) {};
}

static int newer_first(const void *a, const void *b) {
        const ClusterEntry *x = a, *y = b;

        return x->id < y->id ? 1 : x->id > y->id ? -1 : 0;
}

int cluster_entries_decode(const StoreItem *items, size_t n, ClusterEntry **ret, size_t *ret_n) {
        ClusterEntry *entries = calloc(n + 1, sizeof(*entries));
        size_t filled = 0;

        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = cluster_entry_decode(&items[i], &entries[filled]);

                if (r == -ENOMEM) {
                        cluster_entries_free(entries, filled);
                        return r;
                }
                if (r >= 0)
                        filled++;
                else
                        log_warning(r, "cannot read '%s' in the store: %m, ignoring", items[i].key);
        }
        qsort(entries, filled, sizeof(*entries), newer_first);
        *ret = entries;
        *ret_n = filled;
        return 0;
}

void cluster_entries_free(ClusterEntry *entries, size_t n) {
        for (size_t i = 0; i < n; i++)
                cluster_entry_done(&entries[i]);
        free(entries);
}
