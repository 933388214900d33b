/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What all stores have in common: arguments are checked and copied. */

#include <errno.h>

#include "daemons/world/store.h"

static bool key_is_valid(const char *key) {
        size_t n = strlen(key);

        return n > 0 && n <= STORE_KEY_MAX;
}

int store_read(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret) {
        return key_is_valid(range.key) ? s->ops->read(s, range, callback, userdata, ret) : -EINVAL;
}

static int check_writes(const StoreWrite *writes, size_t n) {
        if (n > STORE_WRITES_MAX)
                return -E2BIG;
        for (size_t i = 0; i < n; i++) {
                if (!key_is_valid(writes[i].key))
                        return -EINVAL;
                if (writes[i].lease && !writes[i].lease->held)
                        return -ESTALE;
        }
        return 0;
}

int store_commit(Store *s, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret) {
        int r;

        if (commit->n_conditions > STORE_WRITES_MAX)
                return -E2BIG;
        for (size_t i = 0; i < commit->n_conditions; i++)
                if (!key_is_valid(commit->conditions[i].key))
                        return -EINVAL;
        r = check_writes(commit->writes, commit->n_writes);
        if (r >= 0)
                r = check_writes(commit->otherwise, commit->n_otherwise);
        return r < 0 ? r : s->ops->commit(s, commit, callback, userdata, ret);
}

StoreCall *store_call_cancel(StoreCall *c) {
        if (c)
                c->store->ops->cancel(c);
        return NULL;
}

int store_watch(Store *s, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret) {
        return key_is_valid(range.key) ? s->ops->watch(s, range, callback, userdata, ret) : -EINVAL;
}

StoreWatch *store_watch_free(StoreWatch *w) {
        if (w)
                w->store->ops->unwatch(w);
        return NULL;
}

int store_lease_new(Store *s, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret) {
        return ttl_sec == 0 ? -EINVAL : s->ops->lease(s, ttl_sec, callback, userdata, ret);
}

bool store_lease_held(const StoreLease *l) {
        return l && l->held;
}

int64_t store_lease_id(const StoreLease *l) {
        return l->id;
}

int store_lease_end(Store *s, int64_t id, store_callback_t callback, void *userdata, StoreCall **ret) {
        return id <= 0 ? -EINVAL : s->ops->lease_end(s, id, callback, userdata, ret);
}

StoreLease *store_lease_free(StoreLease *l, bool revoke) {
        if (l)
                l->store->ops->unlease(l, revoke);
        return NULL;
}

void store_changed(Store *s) {
        if (s->ops->changed)
                s->ops->changed(s);
}

const char *store_problem(const Store *s) {
        return s->ops->problem ? s->ops->problem(s) : NULL;
}

Store *store_free(Store *s) {
        if (s)
                s->ops->free(s);
        return NULL;
}

/* ---- for stores ---- */

/* NULL data stays NULL, which says something else than no bytes. */
static int copy_bytes(const void **ret, const void *data, size_t size) {
        char *copy;

        *ret = NULL;
        if (!data)
                return 0;
        copy = malloc(size + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, data, size);
        copy[size] = 0;
        *ret = copy;
        return 0;
}

static int copy_writes(StoreCommitCopy *to, size_t list, const StoreWrite *writes, size_t n) {
        to->writes[list] = calloc(n + 1, sizeof(StoreWrite));
        if (!to->writes[list])
                return -ENOMEM;
        to->n_writes[list] = n;
        for (size_t i = 0; i < n; i++) {
                StoreWrite *w = &to->writes[list][i];

                w->size = writes[i].size;
                w->lease_id = writes[i].lease ? writes[i].lease->id : 0;
                w->key = strdup(writes[i].key);
                if (!w->key || copy_bytes(&w->data, writes[i].data, writes[i].size) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int copy_conditions(StoreCommitCopy *to, const StoreCondition *conditions, size_t n) {
        to->conditions = calloc(n + 1, sizeof(StoreCondition));
        if (!to->conditions)
                return -ENOMEM;
        to->n_conditions = n;
        for (size_t i = 0; i < n; i++) {
                StoreCondition *c = &to->conditions[i];

                *c = (StoreCondition) { .kind = conditions[i].kind, .modified = conditions[i].modified, .size = conditions[i].size };
                c->key = strdup(conditions[i].key);
                if (!c->key || copy_bytes(&c->data, conditions[i].data, conditions[i].size) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int store_commit_copy(StoreCommitCopy *ret, const StoreCommit *c) {
        int r;

        *ret = (StoreCommitCopy) {};
        r = copy_conditions(ret, c->conditions, c->n_conditions);
        if (r >= 0)
                r = copy_writes(ret, 0, c->writes, c->n_writes);
        if (r >= 0)
                r = copy_writes(ret, 1, c->otherwise, c->n_otherwise);
        if (r < 0)
                store_commit_copy_done(ret);
        return r;
}

void store_commit_copy_done(StoreCommitCopy *c) {
        for (size_t i = 0; i < c->n_conditions; i++) {
                free((char *) c->conditions[i].key);
                free((void *) c->conditions[i].data);
        }
        for (size_t list = 0; list < 2; list++) {
                for (size_t i = 0; i < c->n_writes[list]; i++) {
                        free((char *) c->writes[list][i].key);
                        free((void *) c->writes[list][i].data);
                }
                free(c->writes[list]);
        }
        free(c->conditions);
        *c = (StoreCommitCopy) {};
}

char *store_range_end(const char *key) {
        char *end = strdup(key);

        for (size_t n = end ? strlen(end) : 0; n > 0; n--) {
                if ((unsigned char) end[n - 1] < 0xff) {
                        end[n - 1]++;
                        break;
                }
                end[n - 1] = 0;
        }
        return end;
}
