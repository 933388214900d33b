/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "common/sd/log.h"
#include "daemons/world/troubles.h"

typedef struct Trouble {
        char *about, *text;
        TAILQ_ENTRY(Trouble) link;
} Trouble;

struct Troubles {
        TAILQ_HEAD(, Trouble) all;
        size_t n;
        void (*changed)(void *userdata);
        void *userdata;
};

static Trouble *find(const Troubles *t, const char *about) {
        Trouble *found = NULL;

        if (t)
                TAILQ_FOREACH(found, &t->all, link)
                        if (streq(found->about, about))
                                break;
        return found;
}

static void trouble_free(Troubles *t, Trouble *one) {
        TAILQ_REMOVE(&t->all, one, link);
        t->n--;
        free(one->about);
        free(one->text);
        free(one);
}

static void add(Troubles *t, const char *about, const char *text) {
        Trouble *one = t->n < TROUBLES_MAX ? calloc(1, sizeof(*one)) : NULL;

        if (!one)
                return;
        *one = (Trouble) { .about = strdup(about), .text = strdup(text) };
        TAILQ_INSERT_TAIL(&t->all, one, link);
        t->n++;
        if (!one->about || !one->text)
                trouble_free(t, one);
}

void troubles_set(Troubles *t, const char *about, const char *text) {
        Trouble *one = find(t, about);

        if (one && streq(one->text, text))
                return;
        log_error(0, "%s", text);
        if (one)
                trouble_free(t, one);
        if (!t)
                return;
        add(t, about, text);
        t->changed(t->userdata);
}

void troubles_over(Troubles *t, const char *about) {
        Trouble *one = find(t, about);

        if (!one)
                return;
        log_info("this is over: %s", one->text);
        trouble_free(t, one);
        t->changed(t->userdata);
}

void troubles_touch(Troubles *t) {
        if (t)
                t->changed(t->userdata);
}

const char **troubles_texts(const Troubles *t) {
        const char **texts = calloc(t->n + 1, sizeof(char *));
        const Trouble *one;
        size_t i = 0;

        if (texts)
                TAILQ_FOREACH(one, &t->all, link)
                        texts[i++] = one->text;
        return texts;
}

Troubles *troubles_new(void (*changed)(void *userdata), void *userdata) {
        Troubles *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        *t = (Troubles) { .changed = changed, .userdata = userdata };
        TAILQ_INIT(&t->all);
        return t;
}

Troubles *troubles_free(Troubles *t) {
        if (!t)
                return NULL;
        while (!TAILQ_EMPTY(&t->all))
                trouble_free(t, TAILQ_FIRST(&t->all));
        free(t);
        return NULL;
}
