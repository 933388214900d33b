/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The environment of this process, as sys and golang/os show it. It does not change while the process runs. */

#include <ctype.h>

#include "common/strbuf.h"
#include "daemons/lang/sources.h"

/* The variable of that name; NULL if it is not set, or if the name is none. */
static const char *variable(Value name) {
        const char *text = value_cstr(name);

        return strlen(text) == name.s->size && !strchr(text, '=') ? getenv(text) : NULL;
}

static int getenv_open(Source *s, Diag *reterr) {
        const char *value = variable(s->args[0]);

        if (value)
                source_set_text(s, value);
        else
                source_failf(s, true, -ENOENT, "environment variable not set: %s", value_cstr(s->args[0]));
        return 0;
}

static int hasenv_open(Source *s, Diag *reterr) {
        source_set(s, VALUE_BOOL(variable(s->args[0])));
        return 0;
}

static int getenv_or_empty_open(Source *s, Diag *reterr) {
        source_set_text(s, variable(s->args[0]) ?: "");
        return 0;
}

static int env_open(Source *s, Diag *reterr) {
        size_t n = 0, n_pairs = 0;
        Value v = VALUE_NIL;
        int r = 0;

        while (environ && environ[n])
                n++;
        _cleanup_free_ Value *items = calloc(2 * n + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < n && r >= 0; i++) {
                const char *equals = strchr(environ[i], '=');

                if (!equals)
                        continue;
                r = value_str(&items[2 * n_pairs], environ[i], (size_t) (equals - environ[i]));
                if (r >= 0)
                        r = value_strz(&items[2 * n_pairs + 1], equals + 1);
                n_pairs++;
        }
        if (r >= 0)
                r = value_map(&v, items, n_pairs);
        else
                for (size_t i = 0; i < 2 * n_pairs; i++)
                        value_done(&items[i]);
        source_result(s, r, v);
        return 0;
}

/* ---- $NAME in texts ---- */

/* How long the name is that stands behind a $: one of the names that are one sign long, or letters, digits and underscores. */
static size_t name_size(const char *s) {
        size_t n = 0;

        if (*s && strchr("*#$@!?-0123456789", *s))
                return 1;
        while (s[n] == '_' || isalnum((unsigned char) s[n]))
                n++;
        return n;
}

/* What stands behind the $ is replaced, or goes; how much of s that was. A $ that is just one stays: 0. */
static size_t expand(const char *s, StrBuf *out) {
        bool braces = *s == '{';
        const char *name = s + braces;
        size_t n = braces ? strcspn(name, "}") : name_size(name);

        if (braces && name[n] != '}')
                return 1;               /* of "${x" only the first two go */
        if (n == 0)
                return braces ? 2 : 0;  /* "${}" goes */

        _cleanup_free_ char *copy = strndup(name, n);
        if (!copy)
                out->failed = true;
        else
                strbuf_puts(out, getenv(copy) ?: "");
        return n + (braces ? 2 : 0);
}

static int expand_env_open(Source *s, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf b = {};
        const char *text = value_cstr(s->args[0]), *end = text + s->args[0].s->size;
        Value v = VALUE_NIL;

        while (text < end) {
                const char *dollar = memchr(text, '$', (size_t) (end - text));

                strbuf_add(&b, text, (size_t) ((dollar ?: end) - text));
                if (!dollar)
                        break;
                size_t n = expand(dollar + 1, &b);
                if (n == 0)
                        strbuf_putc(&b, '$');
                text = dollar + 1 + n;
        }
        int r = value_str_take(&v, &b);
        source_result(s, r, v);
        return 0;
}

/* ---- directories that it names ---- */

static int temp_dir_open(Source *s, Diag *reterr) {
        const char *directory = getenv("TMPDIR");

        source_set_text(s, directory && *directory ? directory : "/tmp");
        return 0;
}

static int home_open(Source *s, Diag *reterr) {
        const char *home = getenv("HOME");

        if (!home || !*home)
                return diag_set(reterr, (Pos) {}, -ENOENT, "$HOME is not defined");
        source_set_text(s, home);
        return 0;
}

/* The directory that the variable names, or one below the home. */
static int user_directory(Source *s, const char *name, const char *below_home, Diag *reterr) {
        const char *directory = getenv(name), *home = getenv("HOME");
        Value v = VALUE_NIL;

        if (directory && *directory && directory[0] != '/')
                return diag_set(reterr, (Pos) {}, -EINVAL, "path in $%s is relative", name);
        if (directory && *directory) {
                source_set_text(s, directory);
                return 0;
        }
        if (!home || !*home)
                return diag_set(reterr, (Pos) {}, -ENOENT, "neither $%s nor $HOME are defined", name);
        int r = value_strf(&v, "%s/%s", home, below_home);
        source_result(s, r, v);
        return 0;
}

static int cache_open(Source *s, Diag *reterr) {
        return user_directory(s, "XDG_CACHE_HOME", ".cache", reterr);
}

static int config_open(Source *s, Diag *reterr) {
        return user_directory(s, "XDG_CONFIG_HOME", ".config", reterr);
}

const SourceType environment_sources[] = {
        { .name = "golang/os.expand_env", .size = sizeof(Source), .open = expand_env_open },
        { .name = "golang/os.getenv", .size = sizeof(Source), .open = getenv_or_empty_open },
        { .name = "golang/os.temp_dir", .size = sizeof(Source), .open = temp_dir_open },
        { .name = "golang/os.user_cache_dir", .size = sizeof(Source), .open = cache_open },
        { .name = "golang/os.user_config_dir", .size = sizeof(Source), .open = config_open },
        { .name = "golang/os.user_home_dir", .size = sizeof(Source), .open = home_open },
        { .name = "sys.env", .size = sizeof(Source), .open = env_open },
        { .name = "sys.getenv", .size = sizeof(Source), .open = getenv_open },
        { .name = "sys.hasenv", .size = sizeof(Source), .open = hasenv_open },
        {}
};
