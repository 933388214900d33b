/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a store says about a deploy: whatever it is, an entry that can be read says within its bounds what it says again when it is
 * written. */

#include <stdint.h>
#include <stdio.h>

#include "daemons/world/cluster-deploys.h"
#include "daemons/world/cluster-entry.h"

static void check(bool holds) {
        if (!holds)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(cluster_entry_done) ClusterEntry e = {}, again = {};
        _cleanup_free_ char *text = strndup((const char *) data, size), *once = NULL, *twice = NULL, *key = cluster_entry_key(7);

        check(text && key);
        if (cluster_entry_decode(&(StoreItem) { .key = key, .data = text, .size = strlen(text) }, &e) < 0)
                return 0;
        check(e.id == 7 && e.n_parts > 0 && e.n_parts <= CLUSTER_PARTS_MAX);
        check(e.size_bytes <= (uint64_t) CLUSTER_PARTS_MAX * CLUSTER_PART_SIZE);
        (void) cluster_entry_is_for(&e, "h1");
        (void) cluster_entry_is_for(&e, NULL);

        check(cluster_entry_encode(&e, &once) >= 0);
        check(cluster_entry_decode(&(StoreItem) { .key = key, .data = once, .size = strlen(once) }, &again) >= 0);
        check(cluster_entry_encode(&again, &twice) >= 0);
        check(streq(once, twice));
        return 0;
}
