/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <json-c/json.h>
#include <stdio.h>

#include "common/field.h"
#include "daemons/virt/docker-spec.h"

/* ---- validation ---- */

static bool is_protocol(const char *s) {
        return streq(s, "tcp") || streq(s, "udp") || streq(s, "sctp");
}

static bool is_port(Value v) {
        return v.kind == TYPE_INT && v.i >= 1 && v.i <= 65535;
}

static int validate_ports(Value ports, Diag *reterr) {
        for (size_t i = 0; ports.kind == TYPE_MAP && i < ports.m->n; i++) {
                const char *protocol = value_cstr(ports.m->items[i].key);
                Value map = ports.m->items[i].value;

                if (!is_protocol(protocol))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "ports must be of tcp, udp or sctp, got '%s'", protocol);
                for (size_t k = 0; k < map.m->n; k++) {
                        Value host = map.m->items[k].key, inside = map.m->items[k].value;
                        if (!is_port(host) || !is_port(inside))
                                return diag_set(reterr, (Pos) {}, -EINVAL, "ports must be from 1 to 65535, got '%lld: %lld'",
                                                (long long) host.i, (long long) inside.i);
                }
        }
        return 0;
}

typedef struct Volume {
        const char *source, *target, *options;  /* options may be empty */
        size_t n_source, n_target;
} Volume;

/* "source:target[:options]" */
static bool split_volume(const char *s, Volume *ret) {
        const char *colon = strchr(s, ':');

        if (!colon)
                return false;
        *ret = (Volume) { .source = s, .n_source = (size_t) (colon - s), .target = colon + 1 };
        ret->n_target = strcspn(ret->target, ":");
        ret->options = ret->target + ret->n_target;
        if (ret->options[0])
                ret->options++;
        return ret->n_source > 0 && ret->target[0] == '/' && (s[0] == '/' || !memchr(s, '/', ret->n_source));
}

static bool next_option(const char **at, const char **ret, size_t *ret_size) {
        if (!**at)
                return false;
        *ret = *at;
        *ret_size = strcspn(*at, ",");
        *at += *ret_size;
        if (**at)
                (*at)++;
        return true;
}

static bool has_option(const Volume *v, const char *word) {
        const char *at = v->options, *s;
        size_t n;

        while (next_option(&at, &s, &n))
                if (n == strlen(word) && memcmp(s, word, n) == 0)
                        return true;
        return false;
}

static bool options_known(const Volume *v) {
        static const char *const words[] = { "ro", "rw", "z", "Z" };
        const char *at = v->options, *s;
        size_t n, i;

        while (next_option(&at, &s, &n)) {
                for (i = 0; i < ELEMENTSOF(words) && (n != strlen(words[i]) || memcmp(s, words[i], n) != 0); i++)
                        ;
                if (i == ELEMENTSOF(words))
                        return false;
        }
        return true;
}

static bool is_restart(const char *s) {
        const char *count = startswith(s, "on-failure:");

        if (count)
                return count[0] >= '1' && count[0] <= '9' && strspn(count, "0123456789") == strlen(count) && strlen(count) < 9;
        return streq(s, "") || streq(s, "no") || streq(s, "always") || streq(s, "unless-stopped") || streq(s, "on-failure");
}

int docker_spec_validate(const DockerSpec *s, Diag *reterr) {
        Volume v;

        if (!docker_image_name_valid(s->image))
                return diag_set(reterr, (Pos) {}, -EINVAL, "image must be the name of an image, got '%s'", s->image);
        for (char *const *e = s->env; e && *e; e++)
                if (!strchr(*e, '=') || (*e)[0] == '=' || strchr(*e, ' '))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "env must be made of NAME=value without blanks, got '%s'", *e);
        for (char *const *e = s->volumes; e && *e; e++)
                if (!split_volume(*e, &v) || !options_known(&v))
                        return diag_set(reterr, (Pos) {}, -EINVAL,
                                        "volumes must be of the form source:/target or source:/target:ro, with an absolute path or a "
                                        "name as the source, got '%s'", *e);
        if (!is_restart(s->restart))
                return diag_set(reterr, (Pos) {}, -EINVAL,
                                "restart must be no, always, unless-stopped, on-failure, on-failure:COUNT or empty, got '%s'", s->restart);
        return validate_ports(s->ports, reterr);
}

/* ---- what is compared ---- */

static int list_add(char ***list, size_t *n, size_t *capacity, char *s) {
        if (!s || GROW(*list, *n + 1, *capacity) < 0) {
                free(s);
                return -ENOMEM;
        }
        (*list)[(*n)++] = s;
        (*list)[*n] = NULL;
        return 0;
}

static int wanted_ports(Value ports, char ***ret) {
        size_t n = 0, capacity = 0;

        for (size_t i = 0; ports.kind == TYPE_MAP && i < ports.m->n; i++) {
                Value map = ports.m->items[i].value;

                for (size_t k = 0; k < map.m->n; k++) {
                        char *s;
                        if (asprintf(&s, "%lld:%lld/%s", (long long) map.m->items[k].key.i, (long long) map.m->items[k].value.i,
                                     value_cstr(ports.m->items[i].key)) < 0)
                                s = NULL;
                        if (list_add(ret, &n, &capacity, s) < 0)
                                return -ENOMEM;
                }
        }
        docker_list_sort(*ret);
        return 0;
}

static int wanted_volumes(char *const *volumes, char ***ret) {
        size_t n = 0, capacity = 0;

        for (char *const *e = volumes; e && *e; e++) {
                Volume v;

                if (!split_volume(*e, &v))
                        return -EINVAL;
                if (list_add(ret, &n, &capacity, docker_volume_text(v.source, v.n_source, v.target, v.n_target, has_option(&v, "ro"))) < 0)
                        return -ENOMEM;
        }
        docker_list_sort(*ret);
        return 0;
}

static bool same_variable(const char *a, const char *b) {
        size_t n = strcspn(a, "=");

        return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

static bool has_variable(char *const *list, const char *entry) {
        for (; list && *list; list++)
                if (same_variable(*list, entry))
                        return true;
        return false;
}

static bool is_of_podman(const char *entry) {
        static const char *const names[] = { "container", "HOME", "HOSTNAME", "PATH", "TERM" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (same_variable(names[i], entry))
                        return true;
        return false;
}

/* Ours, then those of the image that we do not set. */
static int wanted_env(char *const *env, char *const *of_image, char *const *there, char ***ret) {
        size_t n = 0, capacity = 0;
        int r = 0;

        for (char *const *e = env; e && *e && r >= 0; e++)
                r = list_add(ret, &n, &capacity, strdup(*e));
        for (char *const *e = of_image; e && *e && r >= 0; e++)
                if (!has_variable(env, *e))
                        r = list_add(ret, &n, &capacity, strdup(*e));
        for (char *const *e = there; e && *e && r >= 0; e++)
                if (is_of_podman(*e) && !has_variable(env, *e) && !has_variable(of_image, *e))
                        r = list_add(ret, &n, &capacity, strdup(*e));
        docker_list_sort(*ret);
        return r;
}

int docker_spec_wanted(const DockerSpec *s, const DockerImage *image, const DockerContainer *there, DockerWanted *ret) {
        _cleanup_(docker_wanted_done) DockerWanted w = {};
        int r;

        r = strv_copy(&w.cmd, s->cmd && s->cmd[0] ? s->cmd : image->cmd);
        if (r >= 0)
                r = wanted_env(s->env, image->env, there ? there->env : NULL, &w.env);
        if (r >= 0)
                r = wanted_ports(s->ports, &w.ports);
        if (r >= 0)
                r = wanted_volumes(s->volumes, &w.volumes);
        if (r < 0)
                return r;
        *ret = w;
        w = (DockerWanted) {};
        return 0;
}

void docker_wanted_done(DockerWanted *w) {
        strv_free(w->cmd);
        strv_free(w->env);
        strv_free(w->ports);
        strv_free(w->volumes);
        *w = (DockerWanted) {};
}

/* ---- requests ---- */

typedef struct json_object Json;

typedef struct Writer {
        bool failed;
} Writer;

/* json-c's functions accept NULL for the object, and so nothing below looks at it. */
static Json *put(Writer *w, Json *object, const char *key, Json *value) {
        if (!object || !value || json_object_object_add(object, key, value) < 0) {
                w->failed = true;
                (void) json_object_put(value);
                return NULL;
        }
        return value;
}

static Json *append(Writer *w, Json *array, Json *value) {
        if (!array || !value || json_object_array_add(array, value) < 0) {
                w->failed = true;
                (void) json_object_put(value);
                return NULL;
        }
        return value;
}

static void put_list(Writer *w, Json *object, const char *key, char *const *list) {
        Json *array;

        if (!list || !list[0])
                return;
        array = put(w, object, key, json_object_new_array());
        for (; *list; list++)
                (void) append(w, array, json_object_new_string(*list));
}

static void put_ports(Writer *w, Json *body, Json *host, Value ports) {
        Json *exposed = put(w, body, "ExposedPorts", json_object_new_object());
        Json *bindings = put(w, host, "PortBindings", json_object_new_object());

        for (size_t i = 0; ports.kind == TYPE_MAP && i < ports.m->n; i++) {
                Value map = ports.m->items[i].value;

                for (size_t k = 0; k < map.m->n && !w->failed; k++) {
                        char inside[32], outside[32];
                        Json *list;

                        (void) snprintf(inside, sizeof(inside), "%lld/%s", (long long) map.m->items[k].value.i,
                                        value_cstr(ports.m->items[i].key));
                        (void) snprintf(outside, sizeof(outside), "%lld", (long long) map.m->items[k].key.i);
                        (void) put(w, exposed, inside, json_object_new_object());
                        if (!json_object_object_get_ex(bindings, inside, &list))
                                list = put(w, bindings, inside, json_object_new_array());
                        Json *binding = append(w, list, json_object_new_object());
                        (void) put(w, binding, "HostIp", json_object_new_string("0.0.0.0"));
                        (void) put(w, binding, "HostPort", json_object_new_string(outside));
                }
        }
}

static void put_restart(Writer *w, Json *host, const char *restart) {
        const char *colon = strchr(restart, ':');
        Json *policy;

        if (!restart[0])
                return;
        policy = put(w, host, "RestartPolicy", json_object_new_object());
        (void) put(w, policy, "Name", json_object_new_string_len(restart, (int) strcspn(restart, ":")));
        (void) put(w, policy, "MaximumRetryCount", json_object_new_int64(colon ? strtoll(colon + 1, NULL, 10) : 0));
}

static char *finish(Writer *w, Json *body) {
        const char *text = w->failed ? NULL : json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN);
        char *copy = text ? strdup(text) : NULL;

        (void) json_object_put(body);
        return copy;
}

char *docker_spec_create(const DockerSpec *s) {
        Writer w = {};
        Json *body = json_object_new_object();

        (void) put(&w, body, "Image", json_object_new_string(s->image));
        put_list(&w, body, "Cmd", s->cmd);
        put_list(&w, body, "Env", s->env);
        Json *host = put(&w, body, "HostConfig", json_object_new_object());
        put_ports(&w, body, host, s->ports);
        put_list(&w, host, "Binds", s->volumes);
        put_restart(&w, host, s->restart);
        return finish(&w, body);
}

char *docker_spec_update(const DockerSpec *s) {
        Writer w = {};
        Json *body = json_object_new_object();

        put_restart(&w, body, s->restart);
        return finish(&w, body);
}
