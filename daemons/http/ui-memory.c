/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The file is small, written at each change and not flushed: it survives the daemon, not a power cut. */

#include <fcntl.h>
#include <json-c/json.h>

#include "common/io.h"
#include "common/macro.h"
#include "daemons/http/ui-memory.h"
#include "daemons/http/ui-type.h"

enum { FILE_MAX = 8 * 1024 * 1024 };

static void forget_recent(UiMemory *m, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(m->recent[i].value);
        m->n_recent -= n;
        memmove(m->recent, m->recent + n, m->n_recent * sizeof(m->recent[0]));
}

void ui_memory_done(UiMemory *m) {
        forget_recent(m, m->n_recent);
        free(m->declared);
        free(m->value);
        free(m->applied);
        *m = (UiMemory) {};
}

/* ---- the file ---- */

static int take_text(struct json_object *j, const char *name, char **ret) {
        struct json_object *text = json_object_object_get(j, name);

        if (!json_object_is_type(text, json_type_string))
                return 0;
        *ret = strdup(json_object_get_string(text));
        return *ret ? 0 : -ENOMEM;
}

static int take_recent(struct json_object *j, UiMemory *m) {
        struct json_object *list = json_object_object_get(j, "recent");
        size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < MIN(n, (size_t) UI_RECENT_MAX); i++) {
                struct json_object *item = json_object_array_get_idx(list, i);
                char *value = NULL;
                int r;

                if (!json_object_is_type(item, json_type_object))
                        continue;
                r = take_text(item, "value", &value);
                if (r < 0)
                        return r;
                if (!value)
                        continue;
                m->recent[m->n_recent].value = value;
                m->recent[m->n_recent++].usec = json_object_get_uint64(json_object_object_get(item, "usec"));
        }
        return 0;
}

int ui_memory_load(UiMemory *ret, const char *path) {
        _cleanup_free_ char *text = NULL;
        struct json_object *j;
        size_t size;
        int r;

        *ret = (UiMemory) {};
        r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        j = json_tokener_parse(text);
        if (!json_object_is_type(j, json_type_object)) {
                json_object_put(j);
                return 0;
        }
        r = take_text(j, "declared", &ret->declared);
        if (r >= 0)
                r = take_text(j, "value", &ret->value);
        if (r >= 0)
                r = take_text(j, "applied", &ret->applied);
        if (r >= 0)
                r = take_recent(j, ret);
        json_object_put(j);
        if (r < 0)
                ui_memory_done(ret);
        return r;
}

static void put_text(struct json_object *j, const char *name, const char *text) {
        if (text)
                json_object_object_add(j, name, json_object_new_string(text));
}

int ui_memory_save(const UiMemory *m, const char *path) {
        struct json_object *j = json_object_new_object(), *list = json_object_new_array();
        const char *text;
        int r;

        put_text(j, "declared", m->declared);
        put_text(j, "value", m->value);
        put_text(j, "applied", m->applied);
        for (size_t i = 0; i < m->n_recent; i++) {
                struct json_object *item = json_object_new_object();

                put_text(item, "value", m->recent[i].value);
                json_object_object_add(item, "usec", json_object_new_uint64(m->recent[i].usec));
                json_object_array_add(list, item);
        }
        json_object_object_add(j, "recent", list);
        text = json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN);
        r = text ? write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600, false) : -ENOMEM;
        json_object_put(j);
        return r;
}

/* ---- what happens ---- */

static void forget_old(UiMemory *m, uint64_t now_usec) {
        size_t n = 0;

        while (n < m->n_recent && m->recent[n].usec + UI_ECHO_USEC < now_usec)
                n++;
        forget_recent(m, n);
}

static int replace(char **at, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*at);
        *at = copy;
        return 0;
}

int ui_memory_accept(UiMemory *m, const char *value, uint64_t now_usec) {
        char *copy = strdup(value);
        int r = copy ? replace(&m->value, value) : -ENOMEM;

        if (r < 0) {
                free(copy);
                return r;
        }
        forget_old(m, now_usec);
        if (m->n_recent == UI_RECENT_MAX)
                forget_recent(m, 1);
        m->recent[m->n_recent].value = copy;
        m->recent[m->n_recent++].usec = now_usec;
        return 0;
}

/* How many of the recent ones an echo of this value takes with it; 0: it is none. Among equals the oldest comes back first. */
static size_t find_echo(const UiMemory *m, const char *value) {
        for (size_t i = 0; i < m->n_recent; i++)
                if (streq(m->recent[i].value, value))
                        return i + 1;
        return 0;
}

int ui_memory_declare(UiMemory *m, const char *value, uint64_t now_usec) {
        bool is_new = !m->declared || !streq(m->declared, value);
        size_t echo;

        if (!is_new)
                return 0;
        if (replace(&m->declared, value) < 0)
                return -ENOMEM;
        forget_old(m, now_usec);
        echo = find_echo(m, value);
        if (echo > 0) {
                forget_recent(m, echo);
                return 0;
        }
        forget_recent(m, m->n_recent);
        return replace(&m->value, value);
}

int ui_memory_apply(UiMemory *m, const char *value) {
        if (value)
                return replace(&m->applied, value);
        free(TAKE_PTR(m->applied));
        return 0;
}

bool ui_memory_is_recent(const UiMemory *m, uint64_t now_usec) {
        return m->n_recent > 0 && m->recent[m->n_recent - 1].usec + UI_ECHO_USEC >= now_usec;
}

bool ui_memory_is_applied(const UiMemory *m) {
        return streq_ptr(m->value, m->applied);
}
