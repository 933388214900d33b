/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>

#include "common/edge-rule.h"
#include "common/paths.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "daemons/virt/docker-json.h"

enum {
        DEPTH_MAX = 32,
        LIST_MAX = 10000,
};

typedef struct json_object Json;

static inline void json_putp(Json **j) {
        (void) json_object_put(*j);
}

static int parse_object(const char *text, size_t size, Json **ret) {
        struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
        Json *j;

        if (!t)
                return -ENOMEM;
        if (size > INT_MAX) {
                json_tokener_free(t);
                return -EBADMSG;
        }
        j = json_tokener_parse_ex(t, text, (int) size);
        json_tokener_free(t);
        if (!json_object_is_type(j, json_type_object)) {
                (void) json_object_put(j);
                return -EBADMSG;
        }
        *ret = j;
        return 0;
}

/* A member of this type, or NULL. json-c compares what it is asked for up to the first NUL, and so do we with what it returns. */
static Json *get(Json *j, const char *key, json_type type) {
        Json *m;

        return json_object_is_type(j, json_type_object) && json_object_object_get_ex(j, key, &m) && json_object_is_type(m, type) ? m : NULL;
}

static const char *get_text(Json *j, const char *key) {
        Json *m = get(j, key, json_type_string);

        return m ? json_object_get_string(m) : NULL;
}

static int copy_text(const char *s, char **ret) {
        *ret = strdup(s ? s : "");
        return *ret ? 0 : -ENOMEM;
}

/* ---- lists ---- */

typedef struct List {
        char **items;
        size_t n, capacity;
        bool failed;
} List;

static void list_take(List *l, char *s) {
        if (s && !l->failed && l->n < LIST_MAX && GROW(l->items, l->n + 1, l->capacity) >= 0) {
                l->items[l->n++] = s;
                l->items[l->n] = NULL;
                return;
        }
        free(s);
        l->failed = true;
}

static int list_end(List *l, char ***ret) {
        if (l->failed) {
                strv_free(l->items);
                return -ENOMEM;
        }
        *ret = l->items;
        return 0;
}

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void docker_list_sort(char **list) {
        size_t n = strv_count(list), kept = 0;

        if (n < 2)
                return;
        qsort(list, n, sizeof(*list), compare_texts);
        for (size_t i = 1; i < n; i++)
                if (streq(list[i], list[kept]))
                        free(list[i]);
                else
                        list[++kept] = list[i];
        list[kept + 1] = NULL;
}

static int read_list(Json *array, char ***ret) {
        List l = {};

        for (size_t i = 0; array && i < json_object_array_length(array); i++) {
                const char *s = json_object_get_string(json_object_array_get_idx(array, i));
                list_take(&l, strdup(s ? s : ""));
        }
        return list_end(&l, ret);
}

/* ---- versions ---- */

/* "1.41" as 1041; 0 if it is no version */
static unsigned version_number(const char *s) {
        unsigned major, minor;
        char rest;

        return s && sscanf(s, "%3u.%3u%c", &major, &minor, &rest) == 2 ? major * 1000 + minor : 0;
}

int docker_parse_version(const char *json, size_t size, char ret[static 16], Diag *reterr) {
        _cleanup_(json_putp) Json *j = NULL;
        unsigned newest, oldest, ours = version_number(DOCKER_API_MAX);
        const char *text;
        int r;

        r = parse_object(json, size, &j);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "the answer is not an object");
        text = get_text(j, "ApiVersion");
        newest = version_number(text);
        oldest = version_number(get_text(j, "MinAPIVersion"));
        if (newest == 0)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "the answer has no version");
        if (newest < version_number(DOCKER_API_MIN))
                return diag_set(reterr, (Pos) {}, -EPROTO, "it speaks at most %s, which is older than %s", text, DOCKER_API_MIN);
        if (oldest > ours)
                return diag_set(reterr, (Pos) {}, -EPROTO, "it speaks at least %s, which is newer than %s",
                                get_text(j, "MinAPIVersion"), DOCKER_API_MAX);
        (void) snprintf(ret, 16, "v%u.%u", MIN(newest, ours) / 1000, MIN(newest, ours) % 1000);
        return 0;
}

bool docker_image_name_valid(const char *name) {
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/:@");

        return n > 0 && n < 1024 && !name[n] && !strchr("/:@.-", name[0]) && !strchr("/:@", name[n - 1]) && !strstr(name, "..") &&
               !strstr(name, "//");
}

/* ---- events ---- */

/* All that change what a container is or does; "remove" and "died" are podman's words. The rest (exec_start, health_status, …) comes
 * often, and does not. */
static bool changes_container(const char *action) {
        static const char *const actions[] = { "create", "destroy", "die", "died", "kill", "oom", "pause", "remove", "rename",
                                               "restart", "start", "stop", "unpause", "update" };

        for (size_t i = 0; i < ELEMENTSOF(actions); i++)
                if (streq(actions[i], action))
                        return true;
        return false;
}

/* Of a pull docker says the repository alone, and the rest of the name in place of the image's number. */
static const char *image_of(const char *id, const char *name) {
        const char *rest = id ? startswith(id, name) : NULL;

        return rest && (rest[0] == ':' || rest[0] == '@') ? id : name;
}

static int read_event(Json *j, DockerEvent *ret) {
        const char *type = get_text(j, "Type"), *action = get_text(j, "Action");
        Json *actor = get(j, "Actor", json_type_object);
        Json *attributes = get(actor, "Attributes", json_type_object);
        const char *name = get_text(attributes, "name"), *old = get_text(attributes, "oldName");

        if (!type || !action)
                return -EBADMSG;
        ret->action = strndup(action, strcspn(action, ":"));
        if (!ret->action)
                return -ENOMEM;
        if (streq(type, "image")) {
                ret->type = DOCKER_EVENT_IMAGE;
                if (!name || startswith(name, "sha256:"))
                        return 1;
                ret->image = image_reference(image_of(get_text(actor, "ID"), name));
                return ret->image ? 1 : -ENOMEM;
        }
        if (!streq(type, "container") || !changes_container(ret->action))
                return 0;
        if (!name)
                return -EBADMSG;
        ret->type = DOCKER_EVENT_CONTAINER;
        ret->name = strdup(name[0] == '/' ? name + 1 : name);
        ret->old_name = old ? strdup(old[0] == '/' ? old + 1 : old) : NULL;
        return ret->name && (!old || ret->old_name) ? 1 : -ENOMEM;
}

int docker_parse_event(const char *line, size_t size, DockerEvent *ret) {
        _cleanup_(json_putp) Json *j = NULL;
        int r;

        while (size > 0 && strchr("\r\n\t ", line[size - 1]))
                size--;
        if (size == 0)
                return 0;
        r = parse_object(line, size, &j);
        return r < 0 ? r : read_event(j, ret);
}

void docker_event_done(DockerEvent *e) {
        free(e->action);
        free(e->name);
        free(e->old_name);
        free(e->image);
        *e = (DockerEvent) {};
}

/* ---- containers ---- */

static const char *const status_names[_DOCKER_STATUS_MAX] = {
        [DOCKER_CREATED] = "created",
        [DOCKER_RUNNING] = "running",
        [DOCKER_PAUSED] = "paused",
        [DOCKER_RESTARTING] = "restarting",
        [DOCKER_REMOVING] = "removing",
        [DOCKER_EXITED] = "exited",
        [DOCKER_DEAD] = "dead",
};

const char *docker_status_name(DockerStatus s) {
        return status_names[s];
}

static int read_status(Json *state, DockerStatus *ret) {
        /* podman has more words */
        static const struct {
                const char *word;
                DockerStatus status;
        } others[] = {
                { "configured", DOCKER_CREATED },
                { "initialized", DOCKER_CREATED },
                { "stopped", DOCKER_EXITED },
                { "stopping", DOCKER_EXITED },
        };
        const char *word = get_text(state, "Status");

        for (DockerStatus s = 0; word && s < _DOCKER_STATUS_MAX; s++)
                if (streq(status_names[s], word)) {
                        *ret = s;
                        return 0;
                }
        for (size_t i = 0; word && i < ELEMENTSOF(others); i++)
                if (streq(others[i].word, word)) {
                        *ret = others[i].status;
                        return 0;
                }
        return -EBADMSG;
}

static bool is_everywhere(const char *address) {
        return !address || !address[0] || streq(address, "0.0.0.0");
}

static void read_bindings(List *l, const char *port, Json *bindings) {
        for (size_t i = 0; json_object_is_type(bindings, json_type_array) && i < json_object_array_length(bindings); i++) {
                Json *b = json_object_array_get_idx(bindings, i);
                const char *address = get_text(b, "HostIp"), *host = get_text(b, "HostPort");
                bool everywhere = is_everywhere(address);
                char *s;

                if (asprintf(&s, "%s%s%s:%s%s", everywhere ? "" : address, everywhere ? "" : ":", host ? host : "", port,
                             strchr(port, '/') ? "" : "/tcp") < 0)
                        s = NULL;
                list_take(l, s);
        }
}

static int read_ports(Json *bindings, char ***ret) {
        List l = {};

        if (bindings) {
                json_object_object_foreach(bindings, port, value)
                        read_bindings(&l, port, value);
        }
        int r = list_end(&l, ret);
        if (r >= 0)
                docker_list_sort(*ret);
        return r;
}

static void put_path(StrBuf *b, const char *path, size_t size) {
        _cleanup_free_ char *clean = size > 0 ? malloc(size + 2) : NULL;

        if (size == 0)
                return;
        if (clean)
                strbuf_add(b, clean, path_clean(path, size, clean));
        else
                b->failed = true;
}

char *docker_volume_text(const char *source, size_t n_source, const char *target, size_t n_target, bool read_only) {
        StrBuf b = {};

        put_path(&b, source, n_source);
        strbuf_putc(&b, ':');
        put_path(&b, target, n_target);
        if (read_only)
                strbuf_puts(&b, ":ro");
        return strbuf_take(&b);
}

/* Docker gives a volume without a name one of 64 digits. */
static bool is_anonymous(const char *name) {
        return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static void read_mount(Json *m, List *volumes) {
        const char *type = get_text(m, "Type"), *target = get_text(m, "Destination");
        bool volume = type && streq(type, "volume");
        const char *source = get_text(m, volume ? "Name" : "Source");
        Json *writable = get(m, "RW", json_type_boolean);

        if (!target || !source || (volume && is_anonymous(source)))
                return;
        list_take(volumes, docker_volume_text(source, strlen(source), target, strlen(target),
                                              writable && !json_object_get_boolean(writable)));
}

static int read_mounts(Json *mounts, char ***ret) {
        List l = {};

        for (size_t i = 0; mounts && i < json_object_array_length(mounts); i++)
                read_mount(json_object_array_get_idx(mounts, i), &l);
        int r = list_end(&l, ret);
        if (r >= 0)
                docker_list_sort(*ret);
        return r;
}

static int read_restart(Json *policy, char **ret) {
        const char *name = get_text(policy, "Name");
        Json *count = get(policy, "MaximumRetryCount", json_type_int);
        int n = count ? json_object_get_int(count) : 0;

        if (name && streq(name, "on-failure") && n > 0)
                return asprintf(ret, "on-failure:%d", n) < 0 ? -ENOMEM : 0;
        return copy_text(name && name[0] ? name : "no", ret);
}

static const char *without_algorithm(const char *id) {
        const char *rest = id ? startswith(id, "sha256:") : NULL;

        return rest ? rest : id;
}

static int read_container(Json *j, DockerContainer *c) {
        Json *config = get(j, "Config", json_type_object), *host = get(j, "HostConfig", json_type_object);
        Json *state = get(j, "State", json_type_object), *code = get(state, "ExitCode", json_type_int);
        const char *id = get_text(j, "Id"), *name = get_text(j, "Name");
        int r;

        if (!id || !name || !config || read_status(state, &c->status) < 0)
                return -EBADMSG;
        c->exit_code = code ? json_object_get_int(code) : 0;
        if ((r = copy_text(id, &c->id)) < 0 || (r = copy_text(name[0] == '/' ? name + 1 : name, &c->name)) < 0 ||
            (r = copy_text(get_text(config, "Image"), &c->image)) < 0 ||
            (r = copy_text(without_algorithm(get_text(j, "Image")), &c->image_id)) < 0 ||
            (r = read_list(get(config, "Cmd", json_type_array), &c->cmd)) < 0 ||
            (r = read_list(get(config, "Env", json_type_array), &c->env)) < 0 ||
            (r = read_ports(get(host, "PortBindings", json_type_object), &c->ports)) < 0 ||
            (r = read_mounts(get(j, "Mounts", json_type_array), &c->volumes)) < 0 ||
            (r = read_restart(get(host, "RestartPolicy", json_type_object), &c->restart)) < 0)
                return r;
        docker_list_sort(c->env);
        return 0;
}

char *docker_parse_created(const char *json, size_t size) {
        _cleanup_(json_putp) Json *j = NULL;
        const char *id = parse_object(json, size, &j) >= 0 ? get_text(j, "Id") : NULL;

        return id ? strdup(id) : NULL;
}

int docker_parse_container(const char *json, size_t size, DockerContainer *ret, Diag *reterr) {
        _cleanup_(json_putp) Json *j = NULL;
        int r;

        r = parse_object(json, size, &j);
        if (r >= 0)
                r = read_container(j, ret);
        if (r < 0) {
                docker_container_done(ret);
                return diag_set(reterr, (Pos) {}, r, "cannot understand what docker says of the container: %m");
        }
        return 0;
}

void docker_container_done(DockerContainer *c) {
        free(c->id);
        free(c->name);
        free(c->image);
        free(c->image_id);
        strv_free(c->cmd);
        strv_free(c->env);
        strv_free(c->ports);
        strv_free(c->volumes);
        free(c->restart);
        *c = (DockerContainer) {};
}

/* ---- images ---- */

static int read_image(Json *j, DockerImage *i) {
        Json *config = get(j, "Config", json_type_object);
        const char *id = get_text(j, "Id");
        int r;

        if (!id)
                return -EBADMSG;
        if ((r = copy_text(without_algorithm(id), &i->id)) < 0 || (r = read_list(get(config, "Cmd", json_type_array), &i->cmd)) < 0)
                return r;
        return read_list(get(config, "Env", json_type_array), &i->env);
}

int docker_parse_image(const char *json, size_t size, DockerImage *ret, Diag *reterr) {
        _cleanup_(json_putp) Json *j = NULL;
        int r;

        r = parse_object(json, size, &j);
        if (r >= 0)
                r = read_image(j, ret);
        if (r < 0) {
                docker_image_done(ret);
                return diag_set(reterr, (Pos) {}, r, "cannot understand what docker says of the image: %m");
        }
        return 0;
}

void docker_image_done(DockerImage *i) {
        free(i->id);
        strv_free(i->cmd);
        strv_free(i->env);
        *i = (DockerImage) {};
}

/* ---- errors ---- */

/* For people: one line, without control characters, not too long. */
static char *clean(const char *s, size_t size) {
        enum { SHOWN_MAX = 1000 };
        char *copy;

        copy = strndup(s, MIN(size, (size_t) SHOWN_MAX));
        bool valid = copy && utf8_valid(copy, strlen(copy));
        for (char *c = copy; c && *c; c++)
                if ((unsigned char) *c < ' ' || *c == 127 || (!valid && (unsigned char) *c > 127))
                        *c = ' ';
        for (size_t n = copy ? strlen(copy) : 0; n > 0 && copy[n - 1] == ' '; n--)
                copy[n - 1] = 0;
        return copy;
}

static const char *error_of(Json *j) {
        static const char *const keys[] = { "message", "error", "cause" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *s = get_text(j, keys[i]);
                if (s && s[0])
                        return s;
        }
        return NULL;
}

char *docker_parse_error(const char *json, size_t size) {
        _cleanup_(json_putp) Json *j = NULL;
        const char *s = parse_object(json, size, &j) >= 0 ? error_of(j) : NULL;

        return s ? clean(s, strlen(s)) : clean(json, size);
}

/* An old member and a new one say the same; one day there will be only the new one. */
static const char *pull_error(Json *j) {
        Json *detail = get(j, "errorDetail", json_type_object);
        const char *old = get_text(j, "error");

        return old || !detail ? old : get_text(detail, "message") ?: "no reason";
}

int docker_parse_pull(const char *text, size_t size, char **ret_error) {
        _cleanup_free_ char *error = NULL;

        while (size > 0) {
                const char *end = memchr(text, '\n', size);
                size_t n = end ? (size_t) (end - text) + 1 : size;
                _cleanup_(json_putp) Json *j = NULL;
                /* the first one may be cut */
                const char *s = parse_object(text, n, &j) >= 0 ? pull_error(j) : NULL;

                if (s) {
                        free(error);
                        error = clean(s, strlen(s));
                        if (!error)
                                return -ENOMEM;
                }
                text += n;
                size -= n;
        }
        *ret_error = TAKE_PTR(error);
        return 0;
}
