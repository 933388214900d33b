/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Counting semaphores over vertices. The engine is one thread, so taking several is a look at all and then a step; what needs
 * care is waking: whoever is woken and finds another semaphore taken must pass the chance on. */

#include <limits.h>

#include "daemons/engine/semaphore.h"

struct Semaphore {
        char *id;
        uint32_t capacity, used;
        unsigned n_ref;                 /* vertices that name it */
        VertexList waiters;
};

uint32_t semaphore_capacity(const char *id) {
        const char *colon = strrchr(id, ':');
        if (!colon || colon[1] < '0' || colon[1] > '9')
                return 1;

        char *end;
        errno = 0;
        unsigned long n = strtoul(colon + 1, &end, 10);
        return errno == 0 && *end == '\0' && n > 0 && n <= UINT32_MAX ? (uint32_t) n : 1;
}

static Semaphore *semaphore_free(Semaphore *s) {
        if (s)
                free(s->id);
        free(s);
        return NULL;
}
DEFINE_CLEANUP(Semaphore *, semaphore_free)

static int semaphore_get(Map *all, const char *id, Semaphore **ret) {
        Semaphore *found = map_get(all, id);
        if (found) {
                *ret = found;
                return 0;
        }

        _cleanup_(semaphore_freep) Semaphore *s = calloc(1, sizeof(*s));
        if (!s || !(s->id = strdup(id)))
                return -ENOMEM;
        s->capacity = semaphore_capacity(id);
        TAILQ_INIT(&s->waiters);
        int r = map_put(all, id, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

void semaphores_unbind(Map *all, Vertex *v) {
        for (size_t i = 0; i < v->n_semaphores; i++) {
                Semaphore *s = v->semaphores[i];
                if (--s->n_ref > 0)
                        continue;
                map_remove(all, s->id);
                semaphore_free(s);
        }
        free(v->semaphores);
        v->semaphores = NULL;
        v->n_semaphores = 0;
}

int semaphores_bind(Map *all, Vertex *v) {
        size_t n = 0;
        int r;

        semaphores_unbind(all, v);
        for (size_t i = 0; i < vertex_n_members(v); i++)
                n += strv_count(vertex_member(v, i)->resource->meta.sema);
        if (n == 0)
                return 0;

        v->semaphores = calloc(n, sizeof(*v->semaphores));
        if (!v->semaphores)
                return -ENOMEM;
        for (size_t i = 0; i < vertex_n_members(v); i++)
                for (char **id = vertex_member(v, i)->resource->meta.sema; id && *id; id++) {
                        Semaphore *s = NULL;
                        bool known = false;

                        r = semaphore_get(all, *id, &s);
                        if (r < 0)
                                return r;
                        for (size_t k = 0; k < v->n_semaphores; k++)
                                known = known || v->semaphores[k] == s;
                        if (known)
                                continue;
                        s->n_ref++;
                        v->semaphores[v->n_semaphores++] = s;
                }
        return 0;
}

static void wake_first(Semaphore *s, VertexList *ready) {
        if (s->used < s->capacity && !TAILQ_EMPTY(&s->waiters))
                vertex_enlist(TAILQ_FIRST(&s->waiters), ready);
}

void semaphores_pass_on(Vertex *v, VertexList *ready) {
        for (size_t i = 0; i < v->n_semaphores; i++)
                wake_first(v->semaphores[i], ready);
}

static Semaphore *find_taken(const Vertex *v) {
        for (size_t i = 0; i < v->n_semaphores; i++)
                if (v->semaphores[i]->used >= v->semaphores[i]->capacity)
                        return v->semaphores[i];
        return NULL;
}

const char *semaphores_taken(const Vertex *v) {
        const Semaphore *s = v->holds_semaphores ? NULL : find_taken(v);
        return s ? s->id : NULL;
}

bool semaphores_take(Vertex *v, VertexList *ready) {
        Semaphore *taken = find_taken(v);

        if (taken) {
                vertex_enlist(v, &taken->waiters);
                semaphores_pass_on(v, ready);
                return false;
        }
        for (size_t i = 0; i < v->n_semaphores; i++)
                v->semaphores[i]->used++;
        v->holds_semaphores = true;
        return true;
}

void semaphores_release(Vertex *v, VertexList *ready) {
        if (!v->holds_semaphores)
                return;
        v->holds_semaphores = false;
        for (size_t i = 0; i < v->n_semaphores; i++) {
                v->semaphores[i]->used--;
                wake_first(v->semaphores[i], ready);
        }
}

void semaphores_free_all(Map *all) {
        size_t i = 0;
        void *s;

        while (map_next(all, &i, NULL, &s))
                semaphore_free(s);
        map_free(all);
}
