/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One key of GSettings of one user: by the program gsettings, run as that user, since the settings are behind a bus of the user's own,
 * which does not talk to anybody else. Without that bus they can be read but not set, so it is waited for. What changes them writes
 * one file, which is watched. */

#include <ctype.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "common/resource.h"
#include "common/sd/child.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/account.h"
#include "daemons/engine/local-host.h"

enum { SAID_MAX = 256 * 1024, WATCHES_MAX = 4 };

typedef struct Gsettings {
        Resource resource;
        char *schema, *key, *type;
        Value value;
        char *user, *group;

        char own[24];           /* the number of the user that the engine runs as */
        Account account;        /* as of the attempt */
        Child *child;
        bool setting;           /* what the child does */
        bool set;               /* in this attempt, and looked at once more */
        char *wanted;           /* as GVariant writes it */
        PathWatch *watches[WATCHES_MAX];
        char *watched;          /* the home directory whose files they are of */
} Gsettings;

static const FieldSpec gsettings_fields[] = {
        FIELD(Gsettings, schema, FIELD_STR, 0, "The schema. If this and key are empty, both are in the name, with a blank between them."),
        FIELD(Gsettings, key, FIELD_STR, 0, "The key in it."),
        FIELD(Gsettings, type, FIELD_STR, FIELD_REQUIRED, "Of the value: 'bool', 'str', 'int', or 'custom' for a string that is the text of a GVariant."),
        FIELD(Gsettings, value, FIELD_VALUE, FIELD_REQUIRED, "What it shall be.", .mcl_type = "variant"),
        FIELD(Gsettings, user, FIELD_STR, 0, "Whose settings; if it is empty, those of the user that the engine runs as."),
        FIELD(Gsettings, group, FIELD_STR, 0, "Group that the program runs as; if it is empty, the user's primary one."),
        {}
};

/* ---- names and values ---- */

/* Borrowed from the fields, or a copy of the name that is to be freed. */
static int find_key(const Gsettings *g, char **ret_free, const char **ret_schema, const char **ret_key) {
        char *blank;

        *ret_free = NULL;
        *ret_schema = g->schema;
        *ret_key = g->key;
        if (*g->schema || *g->key)
                return 0;
        *ret_free = strdup(g->resource.name);
        if (!*ret_free)
                return -ENOMEM;
        blank = strchr(*ret_free, ' ');
        if (!blank || strchr(blank + 1, ' '))
                return 0;
        *blank = '\0';
        *ret_schema = *ret_free;
        *ret_key = blank + 1;
        return 0;
}

static bool has_type(const Gsettings *g) {
        int wanted = streq(g->type, "bool") ? TYPE_BOOL : streq(g->type, "int") ? TYPE_INT : TYPE_STR;

        return (int) g->value.kind == wanted;
}

static int gsettings_validate(const Resource *r, Diag *reterr) {
        const Gsettings *g = (const Gsettings *) r;
        static const char *const types[] = { "bool", "str", "int", "custom" };
        _cleanup_free_ char *copy = NULL;
        const char *schema, *key;
        size_t i = 0;

        if (find_key(g, &copy, &schema, &key) < 0)
                return -ENOMEM;
        if (!*schema || !*key || *schema == '-' || *key == '-')
                return resource_error(r, reterr, -EINVAL, "schema and key must be given, or the name must be both, got '%s'", r->name);
        while (i < ELEMENTSOF(types) && !streq(g->type, types[i]))
                i++;
        if (i == ELEMENTSOF(types))
                return resource_error(r, reterr, -EINVAL, "type must be 'bool', 'str', 'int' or 'custom', got '%s'", g->type);
        if (!has_type(g))
                return resource_error(r, reterr, -EINVAL, "value must be of type '%s'", g->type);
        return 0;
}

static void put_string(StrBuf *b, const char *text) {
        static const char special[] = "\a\b\f\n\r\t\v", letters[] = "abfnrtv";
        char quote = strchr(text, '\'') ? '"' : '\'';

        strbuf_putc(b, quote);
        for (const char *p = text; *p; p++) {
                const char *s = strchr(special, *p);
                if (s)
                        strbuf_printf(b, "\\%c", letters[s - special]);
                else if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        strbuf_printf(b, "\\u%04x", (unsigned char) *p);
                else
                        strbuf_printf(b, "%s%c", *p == '\\' || *p == quote ? "\\" : "", *p);
        }
        strbuf_putc(b, quote);
}

/* As GVariant prints it, so that it reads it as well. */
static char *value_as_text(const Gsettings *g) {
        StrBuf b = {};

        if (g->value.kind == TYPE_BOOL)
                strbuf_puts(&b, g->value.b ? "true" : "false");
        else if (g->value.kind == TYPE_INT)
                strbuf_printf(&b, "%" PRIi64, g->value.i);
        else if (streq(g->type, "custom"))
                strbuf_puts(&b, value_cstr(g->value));
        else
                put_string(&b, value_cstr(g->value));
        return strbuf_take(&b);
}

/* "uint32 5" is 5. */
static bool is_value(const Gsettings *g, const char *text, size_t size) {
        const char *blank = g->value.kind == TYPE_INT ? memchr(text, ' ', size) : NULL;

        if (blank) {
                size -= (size_t) (blank + 1 - text);
                text = blank + 1;
        }
        return size == strlen(g->wanted) && memcmp(text, g->wanted, size) == 0;
}

/* ---- watch ---- */

static const char *user_name(const Gsettings *g) {
        return *g->user ? g->user : g->own;
}

static void unwatch_files(Gsettings *g, size_t from) {
        for (size_t i = from; i < WATCHES_MAX; i++)
                g->watches[i] = path_watch_free(g->watches[i]);
        free(g->watched);
        g->watched = NULL;
}

static int watch_path(Gsettings *g, size_t i, char *path, Diag *reterr) {
        int r = path ? local_host_watch(&g->resource, path, 0, &g->watches[i], reterr) : -ENOMEM;

        free(path);
        return r;
}

static char *joined(const char *a, const char *b) {
        char *text;

        return asprintf(&text, "%s%s", a, b) < 0 ? NULL : text;
}

static char *bus_path(uid_t uid) {
        char *path;

        return asprintf(&path, "/run/user/%u/bus", uid) < 0 ? NULL : path;
}

/* Once it is known whose they are. */
static int watch_files(Gsettings *g, uid_t uid, const char *home, Diag *reterr) {
        int r;

        if (!g->watches[0] || streq_ptr(g->watched, home))
                return 0;
        unwatch_files(g, 1);
        r = watch_path(g, 1, bus_path(uid), reterr);
        if (r >= 0)
                r = watch_path(g, 2, joined(home, "/.config/dconf/user"), reterr);
        if (r >= 0)
                r = watch_path(g, 3, joined(home, "/.config/glib-2.0/settings/keyfile"), reterr);
        if (r >= 0 && !(g->watched = strdup(home)))
                r = -ENOMEM;
        return r < 0 ? resource_error(&g->resource, reterr, r, "cannot watch the settings below '%s': %m", home) : 0;
}

/* Of a user who stands in a directory elsewhere, the files are watched when they are known. */
static int gsettings_watch(Resource *r, Diag *reterr) {
        Gsettings *g = (Gsettings *) r;
        _cleanup_(name_entry_done) NameEntry user = {};
        int k = watch_path(g, 0, joined(local_host_etc(r), "/passwd"), reterr);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot watch the users: %m");
        if (names_find_local(local_host_names(r), NAME_USER, user_name(g), &user) > 0) {
                k = watch_files(g, user.id, user.home, reterr);
                if (k < 0)
                        return k;
        }
        resource_armed(r);
        return 0;
}

static void gsettings_unwatch(Resource *r) {
        unwatch_files((Gsettings *) r, 0);
}

/* ---- check and apply ---- */

static void on_end(Child *c, ChildResult *result, void *userdata);

static int run(Gsettings *g, bool set, Diag *reterr) {
        const Account *a = &g->account;
        _cleanup_free_ char *copy = NULL, *address = NULL, *runtime = NULL, *home = NULL;
        _cleanup_(diag_done) Diag diag = {};
        const char *schema, *key;
        int r;

        if (find_key(g, &copy, &schema, &key) < 0 || !(home = joined("HOME=", a->home)))
                return -ENOMEM;
        if (asprintf(&address, "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%u/bus", a->uid) < 0) {
                address = NULL;
                return -ENOMEM;
        }
        if (asprintf(&runtime, "XDG_RUNTIME_DIR=/run/user/%u/", a->uid) < 0) {
                runtime = NULL;
                return -ENOMEM;
        }
        char *const argv[] = { (char *) "gsettings", (char *) (set ? "set" : "get"), (char *) schema, (char *) key,
                               set ? g->wanted : NULL, NULL };
        char *const env[] = { address, runtime, home, (char *) "LC_ALL=C.UTF-8", (char *) "PATH=/usr/local/bin:/usr/bin:/bin", NULL };
        const ChildSpec spec = { .argv = argv, .env = env, .cwd = "/", .uid = a->uid, .gid = *g->group ? a->gid : a->user_gid,
                                 .output_max = SAID_MAX };

        g->setting = set;
        r = child_start(&g->child, g->resource.host->event, &spec, on_end, g, &diag);
        if (r < 0)
                return resource_error(&g->resource, reterr, r, "gsettings: %s", diag.message ? diag.message : "cannot be started");
        return CHECK_PENDING;
}

static int after_run(Gsettings *g, ChildResult *result, Diag *reterr) {
        const StrBuf *b = result->err.data ? &result->err : &result->out;
        size_t size = result->out.data ? result->out.size : 0;

        if (result->status != 0 || result->signal)
                return resource_error(&g->resource, reterr, -EPROTO, "gsettings failed with status %d%s%.*s", result->status,
                                      b->size > 0 ? ": " : "", (int) (b->data ? strcspn(b->data, "\n") : 0), b->data ? b->data : "");
        if (g->setting) {
                g->set = true;
                return run(g, false, reterr);
        }
        while (size > 0 && isspace((unsigned char) result->out.data[size - 1]))
                size--;
        if (is_value(g, result->out.data ? result->out.data : "", size))
                return g->set ? CHECK_CHANGED : CHECK_OK;
        /* Written otherwise, or not writable and silently left: it would be set for ever, as that is an event. */
        if (g->set)
                return resource_error(&g->resource, reterr, -EPROTO, "value: '%s' was set, but gsettings shows '%.*s'", g->wanted,
                                      (int) MIN(size, (size_t) 200), result->out.data ? result->out.data : "");
        resource_differs_bytes(&g->resource, "value", result->out.data, size, g->wanted, strlen(g->wanted));
        return g->resource.applies ? run(g, true, reterr) : CHECK_CHANGED;
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        Gsettings *g = userdata;
        _cleanup_(child_freep) _unused_ Child *ended = TAKE_PTR(g->child);
        _cleanup_(diag_done) Diag diag = {};
        int r = after_run(g, result, &diag);

        if (r != CHECK_PENDING)
                resource_finish(&g->resource, r, &diag);
}

static int look(Gsettings *g, Diag *reterr) {
        _cleanup_free_ char *bus = bus_path(g->account.uid);
        int k;

        g->set = false;
        free(g->wanted);
        g->wanted = value_as_text(g);
        if (!bus || !g->wanted)
                return -ENOMEM;
        k = watch_files(g, g->account.uid, g->account.home, reterr);
        if (k < 0)
                return k;
        return access(bus, F_OK) < 0 ? resource_waiting(&g->resource, "there is no bus of this user") : run(g, false, reterr);
}

static void on_account(Account *a, int error, Diag *diag, void *userdata) {
        Gsettings *g = userdata;
        int r = error < 0 ? error : look(g, diag);

        if (r != CHECK_PENDING)
                resource_finish(&g->resource, r, diag);
}

static int gsettings_check_apply(Resource *r, bool apply, Diag *reterr) {
        Gsettings *g = (Gsettings *) r;
        int k = account_find(&g->account, r, user_name(g), g->group, on_account, g, reterr);

        return k > 0 ? look(g, reterr) : k == 0 ? CHECK_PENDING : k;
}

static void gsettings_cancel(Resource *r) {
        Gsettings *g = (Gsettings *) r;

        g->child = child_free(g->child);
        account_done(&g->account);
}

static int gsettings_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const Gsettings *g = (const Gsettings *) r;

        return batch == 0 && *g->user ? resource_uids_add(ret, "user", g->user, false) : 0;
}

static int gsettings_init(Resource *r) {
        Gsettings *g = (Gsettings *) r;

        (void) snprintf(g->own, sizeof(g->own), "%u", geteuid());
        return 0;
}

static void gsettings_done(Resource *r) {
        Gsettings *g = (Gsettings *) r;

        gsettings_unwatch(r);
        gsettings_cancel(r);
        free(g->wanted);
}

const ResourceType gsettings_type = {
        .kind = "gsettings",
        .doc = "A setting of a user's desktop.",
        .example = "gsettings \"org.gnome.desktop.interface clock-format\" {\n"
                   "\ttype => \"str\",\n"
                   "\tvalue => \"24h\",\n"
                   "\tuser => \"james\",\n"
                   "}\n",
        .size = sizeof(Gsettings),
        .fields = gsettings_fields,
        .init = gsettings_init,
        .done = gsettings_done,
        .validate = gsettings_validate,
        .watch = gsettings_watch,
        .unwatch = gsettings_unwatch,
        .check_apply = gsettings_check_apply,
        .cancel = gsettings_cancel,
        .wants = gsettings_wants,
};
