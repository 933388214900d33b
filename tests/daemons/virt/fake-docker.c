/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <json-c/json.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/edge-rule.h"
#include "tests/daemons/virt/fake-docker.h"

#define NEED(condition) do { if (!(condition)) abort(); } while (0)

typedef struct FakeClient {
        FakeDocker *docker;
        int fd;
        sd_event_source *source;
        char request[65536];
        size_t size;
        bool listens, answered;
} FakeClient;

static char *duplicate(const char *s) {
        char *d = strdup(s);

        NEED(d);
        return d;
}

void fake_client_close(FakeClient *c) {
        for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
                if (c->docker->clients[i] == c)
                        c->docker->clients[i] = NULL;
        sd_event_source_disable_unref(c->source);
        (void) close(c->fd);
        free(c);
}

void fake_client_write(FakeClient *c, const char *bytes) {
        (void) !send(c->fd, bytes, strlen(bytes), MSG_NOSIGNAL);
}

void fake_client_reply(FakeClient *c, unsigned status, const char *body) {
        char head[256];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
                        strlen(body));
        fake_client_write(c, head);
        fake_client_write(c, body);
}

void fake_docker_say(FakeDocker *f, const char *bytes) {
        for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
                if (f->clients[i] && f->clients[i]->listens) {
                        char head[32];
                        (void) snprintf(head, sizeof(head), "%zx\r\n", strlen(bytes));
                        fake_client_write(f->clients[i], head);
                        fake_client_write(f->clients[i], bytes);
                        fake_client_write(f->clients[i], "\r\n");
                }
}

void fake_docker_event(FakeDocker *f, const char *type, const char *action, const char *name, const char *old_name) {
        char line[1024];

        (void) snprintf(line, sizeof(line),
                        "{\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"x\",\"Attributes\":{\"name\":\"%s\"%s%s%s}},\"time\":1}\n",
                        type, action, name, old_name ? ",\"oldName\":\"/" : "", old_name ? old_name : "", old_name ? "\"" : "");
        fake_docker_say(f, line);
}

/* ---- what it keeps ---- */

FakeContainer *fake_container(FakeDocker *f, const char *name) {
        char id[32];

        for (FakeContainer *c = f->containers; c; c = c->next) {
                (void) snprintf(id, sizeof(id), "%031u", c->id);
                if (streq(c->name, name) || streq(id, name))
                        return c;
        }
        return NULL;
}

static FakeImage *find_image(FakeDocker *f, const char *name) {
        _cleanup_free_ char *reference = image_reference(name);

        NEED(reference);
        for (FakeImage *i = f->images; i; i = i->next)
                if (streq(i->reference, reference))
                        return i;
        return NULL;
}

void fake_image_add(FakeDocker *f, const char *reference, const char *id) {
        FakeImage *i = find_image(f, reference);

        if (!i) {
                i = calloc(1, sizeof(*i));
                NEED(i);
                i->reference = image_reference(reference);
                i->next = f->images;
                f->images = i;
        }
        free(i->id);
        i->id = duplicate(id);
        fake_docker_event(f, "image", "tag", reference, NULL);
}

void fake_image_remove(FakeDocker *f, const char *reference) {
        for (FakeImage **at = &f->images; *at; at = &(*at)->next)
                if (streq((*at)->reference, reference)) {
                        FakeImage *i = *at;
                        *at = i->next;
                        fake_docker_event(f, "image", "untag", reference, NULL);        /* it may be the name of this one */
                        free(i->reference);
                        free(i->id);
                        free(i);
                        return;
                }
}

void fake_container_set(FakeDocker *f, const char *name, const char *status, const char *action) {
        FakeContainer *c = fake_container(f, name);

        NEED(c);
        c->status = status;
        fake_docker_event(f, "container", action, c->name, NULL);
}

void fake_container_remove(FakeDocker *f, const char *name) {
        for (FakeContainer **at = &f->containers; *at; at = &(*at)->next)
                if (*at == fake_container(f, name)) {
                        FakeContainer *c = *at;
                        *at = c->next;
                        fake_docker_event(f, "container", "destroy", c->name, NULL);
                        free(c->name);
                        free(c->image);
                        free(c->image_id);
                        json_object_put(c->body);
                        free(c);
                        return;
                }
}

/* ---- requests ---- */

static Json *member(Json *j, const char *key) {
        Json *m = NULL;

        return json_object_object_get_ex(j, key, &m) ? m : NULL;
}

static void add(Json *to, const char *key, Json *value) {
        NEED(json_object_object_add(to, key, value ? json_object_get(value) : NULL) == 0);
}

static Json *mounts_of(Json *host) {
        Json *mounts = json_object_new_array(), *binds = member(host, "Binds");

        for (size_t i = 0; binds && i < json_object_array_length(binds); i++) {
                char source[256] = "", target[256] = "", options[64] = "";
                Json *m = json_object_new_object();
                NEED(sscanf(json_object_get_string(json_object_array_get_idx(binds, i)), "%255[^:]:%255[^:]:%63s", source, target,
                            options) >= 2);
                bool bind = source[0] == '/';
                json_object_object_add(m, "Type", json_object_new_string(bind ? "bind" : "volume"));
                if (!bind)
                        json_object_object_add(m, "Name", json_object_new_string(source));
                json_object_object_add(m, "Source", json_object_new_string(bind ? source : "/var/lib/docker/volumes/x/_data"));
                json_object_object_add(m, "Destination", json_object_new_string(target));
                json_object_object_add(m, "RW", json_object_new_boolean(!streq(options, "ro")));
                json_object_array_add(mounts, m);
        }
        return mounts;
}

static void inspect(FakeClient *client, FakeContainer *c) {
        Json *j = json_object_new_object(), *config = json_object_new_object(), *state = json_object_new_object();
        char text[512];

        (void) snprintf(text, sizeof(text), "%031u", c->id);
        json_object_object_add(j, "Id", json_object_new_string(text));
        (void) snprintf(text, sizeof(text), "/%s", c->name);
        json_object_object_add(j, "Name", json_object_new_string(text));
        (void) snprintf(text, sizeof(text), "sha256:%s", c->image_id);
        json_object_object_add(j, "Image", json_object_new_string(text));
        json_object_object_add(config, "Image", json_object_new_string(c->image));
        add(config, "Cmd", member(c->body, "Cmd"));
        add(config, "Env", member(c->body, "Env"));
        json_object_object_add(j, "Config", config);
        json_object_object_add(state, "Status", json_object_new_string(c->status));
        json_object_object_add(state, "ExitCode", json_object_new_int(c->exit_code));
        json_object_object_add(j, "State", state);
        add(j, "HostConfig", member(c->body, "HostConfig"));
        json_object_object_add(j, "Mounts", mounts_of(member(c->body, "HostConfig")));
        fake_client_reply(client, 200, json_object_to_json_string(j));
        json_object_put(j);
}

/* The image's own variable comes last. */
static void complete_env(Json *body) {
        Json *env = member(body, "Env");

        if (!env) {
                env = json_object_new_array();
                json_object_object_add(body, "Env", env);
        }
        json_object_array_add(env, json_object_new_string("PATH=/bin"));
}

static void create(FakeClient *client, const char *name, const char *body) {
        FakeDocker *f = client->docker;
        Json *j = json_tokener_parse(body);
        const char *image = j ? json_object_get_string(member(j, "Image")) : NULL;
        FakeImage *i = image ? find_image(f, image) : NULL;
        FakeContainer *c;
        char reply[128];

        if (!i || fake_container(f, name)) {
                fake_client_reply(client, i ? 409 : image ? 404 : 400, "{\"message\":\"No such image, or the name is in use\"}");
                json_object_put(j);
                return;
        }
        complete_env(j);
        c = calloc(1, sizeof(*c));
        NEED(c);
        *c = (FakeContainer) { .name = duplicate(name), .image = duplicate(image), .image_id = duplicate(i->id), .status = "created", .body = j,
                               .id = ++f->last_id, .next = f->containers };
        f->containers = c;
        f->n_created++;
        (void) snprintf(reply, sizeof(reply), "{\"Id\":\"%031u\",\"Warnings\":[]}", c->id);
        fake_client_reply(client, 201, reply);
        fake_docker_event(f, "container", "create", name, NULL);
}

static void act(FakeClient *client, FakeContainer *c, const char *action, const char *body) {
        FakeDocker *f = client->docker;
        bool runs = streq(c->status, "running");

        if (streq(action, "start")) {
                f->n_started++;
                fake_client_reply(client, runs ? 304 : 204, "");
                if (!runs)
                        fake_container_set(f, c->name, "running", "start");
        } else if (streq(action, "stop")) {
                fake_client_reply(client, runs ? 204 : 304, "");
                fake_docker_event(f, "container", "kill", c->name, NULL);
                fake_container_set(f, c->name, "exited", "die");
        } else if (streq(action, "unpause")) {
                fake_client_reply(client, 204, "");
                fake_container_set(f, c->name, "running", "unpause");
        } else if (streq(action, "update")) {
                Json *j = json_tokener_parse(body);
                add(member(c->body, "HostConfig"), "RestartPolicy", member(j, "RestartPolicy"));
                json_object_put(j);
                fake_client_reply(client, 200, "{\"Warnings\":null}");
                fake_docker_event(f, "container", "update", c->name, NULL);
        } else
                fake_client_reply(client, 404, "{\"message\":\"page not found\"}");
}

static void on_containers(FakeClient *client, const char *method, char *path, const char *body) {
        FakeDocker *f = client->docker;
        const char *name = startswith(path, "create?name=");
        char *action = strchr(path, '/');
        FakeContainer *c;

        if (name) {
                create(client, name, body);
                return;
        }
        if (action)
                *action++ = 0;
        c = fake_container(f, path);
        if (!c)
                fake_client_reply(client, 404, "{\"message\":\"No such container\"}");
        else if (streq(method, "DELETE") && streq(c->status, "running"))
                fake_client_reply(client, 409, "{\"message\":\"You cannot remove a running container\"}");
        else if (streq(method, "DELETE")) {
                fake_client_reply(client, 204, "");
                fake_container_remove(f, c->name);
        } else if (action && streq(action, "json"))
                inspect(client, c);
        else
                act(client, c, action ? action : "", body);
}

static void on_images(FakeClient *client, const char *method, char *path) {
        FakeDocker *f = client->docker;
        char *end = strstr(path, "/json"), reply[256];
        FakeImage *i;

        if (startswith(path, "create?")) {
                f->n_pulled++;
                fake_client_reply(client, 500, "{\"message\":\"Get \\\"https://registry.test/v2/\\\": dial tcp: lookup registry.test: no such host\"}");
                return;
        }
        if (end)
                *end = 0;
        i = find_image(f, path);
        if (!i)
                fake_client_reply(client, 404, "{\"message\":\"No such image\"}");
        else if (streq(method, "DELETE")) {
                fake_client_reply(client, 200, "[]");
                fake_image_remove(f, path);
        } else {
                (void) snprintf(reply, sizeof(reply), "{\"Id\":\"sha256:%s\",\"Config\":{\"Env\":[\"PATH=/bin\"],\"Cmd\":null}}", i->id);
                fake_client_reply(client, 200, reply);
        }
}

static void on_request(FakeClient *c, const char *method, char *path, const char *body) {
        FakeDocker *f = c->docker;
        char reply[256], *rest;

        f->n_requests++;
        (void) snprintf(f->last, sizeof(f->last), "%s %.200s", method, path);
        if (f->intercept && f->intercept(f, c, method, path))
                return;
        if (streq(path, "/version")) {
                (void) snprintf(reply, sizeof(reply), "{\"ApiVersion\":\"%s\",\"MinAPIVersion\":\"%s\"}", f->api, f->api_min);
                fake_client_reply(c, 200, reply);
                return;
        }
        if (streq(path, "/_ping")) {
                f->n_pings++;
                fake_client_reply(c, 200, "OK");
                return;
        }
        rest = strchr(path + 1, '/');
        if (!rest || path[1] != 'v')
                fake_client_reply(c, 400, "{\"message\":\"no version\"}");
        else if (startswith(rest, "/events")) {
                f->n_subscribed++;
                c->listens = true;
                fake_client_write(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        } else if (startswith(rest, "/containers/"))
                on_containers(c, method, rest + strlen("/containers/"), body);
        else if (startswith(rest, "/images/"))
                on_images(c, method, rest + strlen("/images/"));
        else
                fake_client_reply(c, 404, "{\"message\":\"page not found\"}");
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        FakeClient *c = userdata;
        ssize_t n = read(fd, c->request + c->size, sizeof(c->request) - 1 - c->size);
        char method[16], path[1024], *body, *length;

        if (n <= 0) {
                fake_client_close(c);
                return 0;
        }
        c->size += (size_t) n;
        c->request[c->size] = 0;
        body = strstr(c->request, "\r\n\r\n");
        if (!body || c->answered)
                return 0;
        body += 4;
        length = strstr(c->request, "Content-Length: ");
        if (length && strlen(body) < strtoul(length + 16, NULL, 10))
                return 0;
        NEED(sscanf(c->request, "%15s %1023s", method, path) == 2);
        c->answered = true;
        on_request(c, method, path, body);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        FakeDocker *f = userdata;
        size_t i = 0;
        FakeClient *c = calloc(1, sizeof(*c));

        NEED(c);
        while (i < FAKE_CLIENTS_MAX && f->clients[i])
                i++;
        NEED(i < FAKE_CLIENTS_MAX);
        *c = (FakeClient) { .docker = f, .fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC) };
        NEED(c->fd >= 0 && sd_event_add_io(f->event, &c->source, c->fd, EPOLLIN, on_client, c) >= 0);
        f->clients[i] = c;
        return 0;
}

bool fake_intercept(FakeDocker *f, FakeClient *client, const char *method, const char *path) {
        char line[1100];

        (void) snprintf(line, sizeof(line), "%s %s", method, path);
        if (f->n_times == 0 || !strstr(line, f->wanted))
                return false;
        f->n_times--;
        if (f->answer) {
                fake_client_write(client, f->answer);
                fake_client_close(client);
        }
        return true;
}

/* ---- there and gone ---- */

void fake_docker_listen(FakeDocker *f) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        memcpy(a.sun_path, f->path, sizeof(f->path));
        (void) unlink(f->path);
        f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        NEED(f->listener >= 0 && bind(f->listener, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(f->listener, 64) == 0 &&
             sd_event_add_io(f->event, &f->source, f->listener, EPOLLIN, on_connection, f) >= 0);
}

void fake_docker_stop(FakeDocker *f, bool keep_socket) {
        f->source = sd_event_source_disable_unref(f->source);
        if (f->listener >= 0)
                (void) close(f->listener);
        f->listener = -1;
        if (!keep_socket)
                (void) unlink(f->path);
        for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
                if (f->clients[i])
                        fake_client_close(f->clients[i]);
}

void fake_docker_new(FakeDocker *f, sd_event *event) {
        char dir[] = "/tmp/test-docker-XXXXXX";

        *f = (FakeDocker) { .event = event, .listener = -1, .api = "1.41", .api_min = "1.12" };
        NEED(mkdtemp(dir));
        (void) snprintf(f->path, sizeof(f->path), "%s/docker.sock", dir);
}

void fake_docker_free(FakeDocker *f) {
        fake_docker_stop(f, false);
        while (f->containers)
                fake_container_remove(f, f->containers->name);
        while (f->images)
                fake_image_remove(f, f->images->reference);
        *strrchr(f->path, '/') = 0;
        (void) rmdir(f->path);
}
