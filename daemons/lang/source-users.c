/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os, the part that is about users. Those of this host are known at once; a directory server may take its time, and nobody waits
 * for it but the program. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "common/paths.h"
#include "daemons/lang/sources.h"

/* Programs speak for the host, whose resources the engine makes as root; that this daemon has a user of its own is not their
 * matter. */
#define OWN_USER "mgmt-lang"

typedef struct User User;

struct User {
        Source source;
        char *name;             /* who is asked for */
        bool by_number;         /* by number, which is our own */
        SteadyWatch *watch;     /* of os.user_exists */
        NameQuery *query;       /* NULL while nothing is asked */

        /* What is said of this user, or of nobody (NULL); negative errno with reterr set. */
        int (*answer)(User *u, const NameEntry *entry, Diag *reterr);
};

/* ---- asking ---- */

/* Names are looked for as numbers as well, but here they are nothing but names. */
static bool is_asked_for(const User *u, const NameEntry *entry) {
        return u->by_number || u->name[strspn(u->name, "0123456789")] != '\0' || streq(u->name, entry->name);
}

static void on_found(NameQuery *q, int result, NameEntry *entry, void *userdata) {
        User *u = userdata;
        _cleanup_(diag_done) Diag d = {};
        int r;

        u->query = NULL;
        if (result < 0 && result != -ESRCH)
                r = result;
        else
                r = u->answer(u, result == 0 && is_asked_for(u, entry) ? entry : NULL, &d);
        name_query_free(q);
        if (r < 0) {
                (void) diag_set(&d, (Pos) {}, r, "cannot look up user '%s': %m", u->name);
                source_fail(&u->source, false, &d);
        }
}

static int ask(User *u, Diag *reterr) {
        NameEntry entry = {};
        Names *names;
        int r;

        r = source_names(&u->source, &names);
        if (r >= 0)
                r = names_find(names, NAME_USER, u->name, &entry, &u->query, on_found, u);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot look up user '%s': %m", u->name);
        if (r > 0)
                r = u->answer(u, is_asked_for(u, &entry) ? &entry : NULL, reterr);
        name_entry_done(&entry);
        return r;
}

static int user_open(Source *s, int (*answer)(User *u, const NameEntry *entry, Diag *reterr), Diag *reterr) {
        User *u = (User *) s;

        u->answer = answer;
        if (strlen(value_cstr(s->args[0])) != s->args[0].s->size)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the name of a user has no NUL byte, got '%s'", value_cstr(s->args[0]));
        u->name = strdup(value_cstr(s->args[0]));
        return u->name ? 0 : -ENOMEM;
}

static void user_close(Source *s) {
        User *u = (User *) s;

        name_query_free(u->query);
        steady_watch_free(u->watch);
        free(u->name);
}

/* ---- os.home, os.uid ---- */

static int unknown(const User *u, Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -ESRCH, "user: unknown user %s", u->name);
}

static int answer_home(User *u, const NameEntry *entry, Diag *reterr) {
        Value v = VALUE_NIL;

        if (!entry)
                return unknown(u, reterr);
        int r = value_strf(&v, "%s%s", entry->home, endswith(entry->home, "/") ? "" : "/");
        source_result(&u->source, r, v);
        return 0;
}

static int home_open(Source *s, Diag *reterr) {
        int r = user_open(s, answer_home, reterr);

        return r < 0 ? r : ask((User *) s, reterr);
}

static int answer_uid(User *u, const NameEntry *entry, Diag *reterr) {
        Value v = VALUE_NIL;

        if (!entry)
                return unknown(u, reterr);
        int r = value_strf(&v, "%" PRIu32, entry->id);
        source_result(&u->source, r, v);
        return 0;
}

static int uid_open(Source *s, Diag *reterr) {
        int r = user_open(s, answer_uid, reterr);

        return r < 0 ? r : ask((User *) s, reterr);
}

/* ---- os.user_exists ---- */

static int answer_exists(User *u, const NameEntry *entry, Diag *reterr) {
        source_set(&u->source, VALUE_BOOL(entry));
        return 0;
}

static void passwd_changed(void *userdata) {
        User *u = userdata;
        _cleanup_(diag_done) Diag d = {};

        u->query = name_query_free(u->query);
        if (ask(u, &d) < 0)
                source_fail(&u->source, false, &d);
}

static int user_exists_open(Source *s, Diag *reterr) {
        User *u = (User *) s;
        char path[PATH_MAX];
        int r;

        r = user_open(s, answer_exists, reterr);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "%s/passwd", source_share(s)->etc ?: "/etc");
        r = source_watch_path(s, path, passwd_changed, u, &u->watch, reterr);
        return r < 0 ? r : ask(u, reterr);
}

/* ---- os.expand_home ---- */

typedef struct Expansion {
        User user;
        char *rest;             /* what stands behind the home */
} Expansion;

static int answer_name(User *u, const NameEntry *entry, Diag *reterr) {
        const char *rest = ((Expansion *) u)->rest;
        _cleanup_free_ char *joined = NULL, *clean = NULL;
        Value v = VALUE_NIL;
        int r;

        if (!entry)
                return diag_set(reterr, (Pos) {}, -ESRCH, "can't expand ~%s/ into home directory", u->by_number ? "" : u->name);
        int size = asprintf(&joined, "%s%s", entry->home, rest);
        if (size < 0) {
                joined = NULL;
                return -ENOMEM;
        }
        clean = malloc((size_t) size + 3);
        if (!clean)
                return -ENOMEM;
        size_t n = path_clean(joined, (size_t) size, clean);
        if (endswith(rest, "/") && clean[n - 1] != '/')
                clean[n++] = '/';
        r = value_str(&v, clean, n);
        source_result(&u->source, r, v);
        return 0;
}

static int answer_self(User *u, const NameEntry *entry, Diag *reterr) {
        if (!entry || !streq(entry->name, OWN_USER))
                return answer_name(u, entry, reterr);
        free(u->name);
        u->name = strdup("root");
        if (!u->name)
                return -ENOMEM;
        u->by_number = false;
        u->answer = answer_name;
        return ask(u, reterr);
}

static int expand_home_open(Source *s, Diag *reterr) {
        Expansion *x = (Expansion *) s;
        User *u = &x->user;
        const char *path = value_cstr(s->args[0]), *slash = strchr(path, '/');

        if (path[0] != '~' || !slash) {
                source_set(s, value_ref(s->args[0]));
                return 0;
        }
        if (strlen(path) != s->args[0].s->size)
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' has a NUL byte in it", path);
        u->by_number = slash == path + 1;
        u->answer = u->by_number ? answer_self : answer_name;
        x->rest = strdup(slash);
        if (!u->by_number)
                u->name = strndup(path + 1, (size_t) (slash - path - 1));
        else if (asprintf(&u->name, "%u", getuid()) < 0)
                u->name = NULL;
        return u->name && x->rest ? ask(u, reterr) : -ENOMEM;
}

static void expand_home_close(Source *s) {
        free(((Expansion *) s)->rest);
        user_close(s);
}

const SourceType users_sources[] = {
        { .name = "os.expand_home", .size = sizeof(Expansion), .open = expand_home_open, .close = expand_home_close },
        { .name = "os.home", .size = sizeof(User), .open = home_open, .close = user_close },
        { .name = "os.uid", .size = sizeof(User), .open = uid_open, .close = user_close },
        { .name = "os.user_exists", .size = sizeof(User), .open = user_exists_open, .close = user_close },
        {}
};
