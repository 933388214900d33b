/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether docker is there, which version it speaks, and what it tells of. The stream of events is what tells us that a daemon has gone. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/virt/activation.h"
#include "daemons/virt/docker-calls.h"
#include "daemons/virt/docker-json.h"
#include "daemons/virt/docker.h"

enum { EVENT_MAX = 256 * 1024 };        /* one line; labels are in it */

/* How long to wait before the next try, where the file system will not tell; doubled each time. */
#define WAIT_FIRST_USEC UINT64_C(50000)
#define WAIT_LAST_USEC UINT64_C(30000000)

/* How long the connection outlives its last user: a resource that is replaced by a changed one hands it on. */
#define LEFT_USEC UINT64_C(500000)

/* A daemon that was there for so long has not failed us. */
#define STABLE_USEC UINT64_C(10000000)

typedef enum DockerState {
        DOCKER_CLOSED,
        DOCKER_ASKING,                  /* for its version */
        DOCKER_SUBSCRIBING,
        DOCKER_OPEN,
        DOCKER_WAITING,
        DOCKER_FAILED,
        _DOCKER_STATE_MAX,
} DockerState;

struct Docker {
        sd_event *event;
        PathWatcher *paths;
        char *socket;
        DockerUser *users;
        Map *by_container, *by_image;   /* → the first of the users with this name */
        Map *images;                    /* what is known of some that users are about: reference → DockerImage, owned */
        uint64_t image_age;             /* counts what happens to images */
        sd_event_source *left;          /* enabled while there are none */
        CurlLoop *loop;                 /* made by the first call */
        DockerState state;
        char version[16];               /* agreed on: "v1.41" */

        CurlJob hello;                  /* asks for the version, then carries the events */
        StrBuf line;                    /* of the reply, then of an event that is not complete */
        bool broken;                    /* it said something that cannot be understood */
        char error[CURL_ERROR_SIZE];
        uint64_t opened_usec;

        char *why;                      /* it waits; NULL: no words for it */
        PathWatch *watch;               /* of the socket, while nobody is behind it */
        Activation activation;
        bool absent;                    /* it waits because there is no socket, or nobody who listens there */
        bool needed;                    /* by users who came since it was open last, or since systemd was asked for it */
        sd_event_source *timer;         /* the next try; while it subscribes, the end of patience */
        uint64_t wait_usec;             /* the last wait, 0 before the first */
        unsigned n_lost;                /* daemons that went as soon as they had come, in a row */
        sd_event_source *starter;       /* calls begin in the loop */

        DockerCalls calls;

        void (*observer)(void *userdata);
        void *observer_userdata;
};

static void set_state(Docker *d, DockerState state) {
        if (d->state == state)
                return;
        d->state = state;
        if (d->observer)
                d->observer(d->observer_userdata);
}

static uint64_t now_usec(const Docker *d) {
        uint64_t now = 0;

        (void) sd_event_now(d->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void free_image(void *userdata) {
        docker_image_done(userdata);
        free(userdata);
}

static void tell_all(Docker *d) {
        docker_image_forget(d, NULL);
        for (DockerUser *u = d->users; u; u = u->next)
                u->changed(u, NULL);
}

/* Nobody needs the connection any more. */
static void leave(Docker *d) {
        if (d->users || !docker_calls_is_empty(&d->calls))
                return;
        (void) sd_event_source_set_time_relative(d->left, LEFT_USEC);
        (void) sd_event_source_set_enabled(d->left, SD_EVENT_ONESHOT);
}

static void kick(Docker *d) {
        (void) sd_event_source_set_enabled(d->starter, SD_EVENT_ONESHOT);
}

static void on_moved(DockerCalls *s) {
        Docker *d = container_of(s, Docker, calls);

        kick(d);
        leave(d);
}

/* ---- there, or not ---- */

static void hello_end(Docker *d) {
        if (d->hello.easy) {
                curl_loop_remove(d->loop, &d->hello);
                curl_easy_cleanup(d->hello.easy);
                d->hello.easy = NULL;
                (void) sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        }
        strbuf_done(&d->line);
        d->broken = false;
}

static void try_again(Docker *d) {
        if (d->state != DOCKER_WAITING && d->state != DOCKER_FAILED)
                return;
        d->watch = path_watch_free(d->watch);
        (void) sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        set_state(d, DOCKER_CLOSED);
        tell_all(d);
}

static void fail(Docker *d, int error, const char *why);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Docker *d = userdata;

        if (d->state == DOCKER_SUBSCRIBING)
                fail(d, -ETIMEDOUT, "docker has a version, but does not say whether it tells of events");
        else
                try_again(d);
        return 0;
}

static void on_socket(PathWatch *w, int error, void *userdata) {
        Docker *d = userdata;

        if (error < 0)
                d->watch = path_watch_free(d->watch);
        else
                d->wait_usec = 0;
        try_again(d);
}

/* Where the socket itself is missing the file system tells; where it is there, only another try. */
static void wait_for_it(Docker *d, bool timed, const char *why) {
        hello_end(d);
        free(d->why);
        d->why = strdup(why);
        set_state(d, DOCKER_WAITING);
        if (!d->watch && path_watch_new(&d->watch, d->paths, d->socket, 0, on_socket, d) < 0)
                timed = true;
        if (!timed && access(d->socket, F_OK) < 0)
                return;
        d->wait_usec = d->wait_usec ? MIN(d->wait_usec * 2, WAIT_LAST_USEC) : WAIT_FIRST_USEC;
        (void) sd_event_source_set_time_relative(d->timer, d->wait_usec);
        (void) sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

/* The daemon we knew has gone. The next one is looked for soon, unless they go as fast as they come. */
static void lose(Docker *d) {
        if (d->state != DOCKER_OPEN)
                return;
        d->n_lost = now_usec(d) - d->opened_usec >= STABLE_USEC ? 0 : d->n_lost + 1;
        d->wait_usec = d->n_lost > 1 ? WAIT_FIRST_USEC << MIN(d->n_lost - 2, 9U) : 0;
        docker_image_forget(d, NULL);
        d->absent = false;
        wait_for_it(d, true, "waiting for docker, which has just gone");
        docker_calls_fail(&d->calls, -EAGAIN, "waiting for docker, which has just gone");
}

static void on_call_lost(DockerCalls *s) {
        lose(container_of(s, Docker, calls));
}

/* ---- events ---- */

static void tell(Docker *d, const DockerEvent *e) {
        if (e->type == DOCKER_EVENT_CONTAINER) {
                for (DockerUser *u = map_get(d->by_container, e->name); u; u = u->next_container)
                        u->changed(u, e->action);
                for (DockerUser *u = e->old_name ? map_get(d->by_container, e->old_name) : NULL; u; u = u->next_container)
                        u->changed(u, e->action);
                /* podman does not say what its name was */
                for (DockerUser *u = streq(e->action, "rename") && !e->old_name ? d->users : NULL; u; u = u->next)
                        if (u->container && !streq(u->container, e->name))
                                u->changed(u, e->action);
        } else if (e->image) {
                docker_image_forget(d, e->image);
                for (DockerUser *u = map_get(d->by_image, e->image); u; u = u->next_image)
                        u->changed(u, e->action);
        } else {
                /* it is known by its digest only */
                docker_image_forget(d, NULL);
                for (DockerUser *u = d->users; u; u = u->next)
                        if (u->image)
                                u->changed(u, e->action);
        }
}

static void on_line(Docker *d, const char *line, size_t size) {
        _cleanup_(docker_event_done) DockerEvent e = {};
        int r = docker_parse_event(line, size, &e);

        if (r > 0)
                tell(d, &e);
        else if (r < 0 && !d->broken) {
                d->broken = true;
                (void) log_warning(r, "docker tells of an event that cannot be understood: %m, beginning anew");
        }
}

static size_t on_events(char *data, size_t one, size_t n, void *userdata) {
        Docker *d = userdata;
        size_t left = n;

        if (d->state != DOCKER_OPEN)
                return n;               /* an error, which is not worth reading */
        while (left > 0 && !d->broken) {
                const char *end = memchr(data, '\n', left);
                size_t size = end ? (size_t) (end - data) + 1 : left;

                strbuf_add(&d->line, data, size);
                if (d->line.failed || d->line.size > EVENT_MAX)
                        d->broken = true;
                else if (end) {
                        StrBuf line = d->line;

                        d->line = (StrBuf) {};
                        on_line(d, line.data, line.size);
                        strbuf_done(&line);
                }
                data += size;
                left -= size;
        }
        return d->broken ? 0 : n;
}

static void on_events_end(CurlJob *j, CURLcode result);

static void opened(Docker *d) {
        (void) sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        d->opened_usec = now_usec(d);
        d->wait_usec = 0;
        d->needed = false;
        set_state(d, DOCKER_OPEN);
        kick(d);
}

/* The end of the headers: it listens. */
static size_t on_events_header(char *data, size_t one, size_t n, void *userdata) {
        Docker *d = userdata;
        long status = 0;

        (void) curl_easy_getinfo(d->hello.easy, CURLINFO_RESPONSE_CODE, &status);
        if (n <= 2 && status == 200 && d->state == DOCKER_SUBSCRIBING)
                opened(d);
        return n;
}

static int subscribe(Docker *d) {
        /* {"type":["container","image"]} */
        static const char filter[] = "%7B%22type%22%3A%5B%22container%22%2C%22image%22%5D%7D";
        _cleanup_free_ char *url = NULL;
        struct timespec now;

        /* What happens between the headers and docker's own subscription is told as well, because of since. */
        (void) clock_gettime(CLOCK_REALTIME, &now);
        if (asprintf(&url, "http://docker/%s/events?since=%lld.%09ld&filters=%s", d->version, (long long) now.tv_sec, now.tv_nsec,
                     filter) < 0)
                return -ENOMEM;
        d->hello = (CurlJob) { .easy = curl_easy_init(), .done = on_events_end };
        if (!d->hello.easy || !docker_transfer_set(d->hello.easy, d->socket, url, d->error) ||
            curl_easy_setopt(d->hello.easy, CURLOPT_HEADERFUNCTION, on_events_header) != CURLE_OK ||
            curl_easy_setopt(d->hello.easy, CURLOPT_HEADERDATA, d) != CURLE_OK ||
            curl_easy_setopt(d->hello.easy, CURLOPT_WRITEFUNCTION, on_events) != CURLE_OK ||
            curl_easy_setopt(d->hello.easy, CURLOPT_WRITEDATA, d) != CURLE_OK)
                return -ENOMEM;
        /* Not for the transfer as a whole: it has no end. */
        (void) sd_event_source_set_time_relative(d->timer, DOCKER_CALL_SECONDS * UINT64_C(1000000));
        (void) sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
        return curl_loop_add(d->loop, &d->hello);
}

/* ---- the beginning ---- */

/* No reason to wait: whoever is told asks again if it likes, and that is another try. So is a change of the socket. */
static void fail(Docker *d, int error, const char *why) {
        hello_end(d);
        set_state(d, DOCKER_FAILED);
        if (!d->watch)
                (void) path_watch_new(&d->watch, d->paths, d->socket, 0, on_socket, d);
        docker_calls_fail(&d->calls, error, why);
}

static void start_service(Docker *d) {
        static const char *const units[] = { "docker.socket", "docker.service", NULL };

        if (!d->needed || !d->absent)
                return;
        d->needed = false;
        activation_ask(&d->activation, units);
}

static void on_no_connection(Docker *d, CURLcode result) {
        _cleanup_free_ char *why = NULL;
        long error = 0;
        bool missing;
        int r;

        if (!docker_transfer_hung_up(result)) {
                if (asprintf(&why, "no answer from docker at '%s': %s", d->socket, d->error[0] ? d->error : curl_easy_strerror(result)) < 0)
                        why = NULL;
                fail(d, -EIO, why ? why : "no answer from docker");
                return;
        }
        if (result == CURLE_COULDNT_CONNECT)
                (void) curl_easy_getinfo(d->hello.easy, CURLINFO_OS_ERRNO, &error);
        missing = error == ENOENT;
        d->absent = missing || error == ECONNREFUSED;
        if (missing)
                r = asprintf(&why, "waiting for docker: there is no '%s'", d->socket);
        else
                r = asprintf(&why, "waiting for docker at '%s': %s", d->socket, error != 0 ? strerror((int) error) : "it hung up");
        if (r < 0)
                why = NULL;
        /* Timed also where we may not connect: a socket that was just made is given to its group a moment later. */
        wait_for_it(d, !missing, why ? why : "waiting for docker");
        docker_calls_fail(&d->calls, -EAGAIN, why ? why : "waiting for docker");
        start_service(d);
}

static void on_events_end(CurlJob *j, CURLcode result) {
        Docker *d = container_of(j, Docker, hello);
        long status = 0;

        if (d->state == DOCKER_OPEN) {
                lose(d);
                return;
        }
        (void) curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
        if (result != CURLE_OK) {
                on_no_connection(d, result);
                return;
        }
        _cleanup_free_ char *why = NULL;
        if (asprintf(&why, "docker at '%s' does not tell of events: status %ld", d->socket, status) < 0)
                why = NULL;
        fail(d, -EPROTO, why ? why : "docker does not tell of events");
}

static void on_version(CurlJob *j, CURLcode result) {
        Docker *d = container_of(j, Docker, hello);
        _cleanup_(diag_done) Diag diag = {};
        long status = 0;
        int r;

        if (result != CURLE_OK) {
                on_no_connection(d, result);
                return;
        }
        (void) curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
        r = status == 200 ? docker_parse_version(d->line.data ? d->line.data : "", d->line.size, d->version, &diag)
                          : diag_set(&diag, (Pos) {}, -EPROTO, "status %ld", status);
        if (r < 0) {
                (void) diag_prefix(&diag, "cannot agree with docker at '%s' on a version", d->socket);
                fail(d, r, diag.message ? diag.message : "cannot agree with docker on a version");
                return;
        }
        hello_end(d);
        set_state(d, DOCKER_SUBSCRIBING);
        r = subscribe(d);
        if (r < 0)
                fail(d, r, "cannot make a request to docker");
}

static size_t on_version_data(char *data, size_t one, size_t n, void *userdata) {
        Docker *d = userdata;

        if (d->line.size + n > EVENT_MAX)
                return 0;
        strbuf_add(&d->line, data, n);
        return d->line.failed ? 0 : n;
}

static int ask_version(Docker *d) {
        int r;

        if (!d->loop) {
                r = curl_loop_new(&d->loop, d->event);
                if (r < 0)
                        return r;
                d->calls.loop = d->loop;
        }
        d->error[0] = 0;
        d->hello = (CurlJob) { .easy = curl_easy_init(), .done = on_version };
        if (!d->hello.easy || !docker_transfer_set(d->hello.easy, d->socket, "http://docker/version", d->error) ||
            curl_easy_setopt(d->hello.easy, CURLOPT_TIMEOUT, (long) DOCKER_CALL_SECONDS) != CURLE_OK ||
            curl_easy_setopt(d->hello.easy, CURLOPT_WRITEFUNCTION, on_version_data) != CURLE_OK ||
            curl_easy_setopt(d->hello.easy, CURLOPT_WRITEDATA, d) != CURLE_OK)
                return -ENOMEM;
        return curl_loop_add(d->loop, &d->hello);
}

static int on_start(sd_event_source *source, void *userdata) {
        Docker *d = userdata;
        int r;

        switch (d->state) {
        case DOCKER_OPEN:
                docker_calls_start(&d->calls);
                break;
        case DOCKER_CLOSED:
        case DOCKER_FAILED:
                if (TAILQ_EMPTY(&d->calls.queued))
                        break;
                (void) sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
                d->watch = path_watch_free(d->watch);
                set_state(d, DOCKER_ASKING);
                r = ask_version(d);
                if (r < 0)
                        fail(d, r, "cannot make a request to docker");
                break;
        case DOCKER_WAITING:
                start_service(d);
                docker_calls_fail(&d->calls, -EAGAIN, d->why ? d->why : "waiting for docker");
                break;
        default:
                break;          /* what is under way will start them */
        }
        return 0;
}

/* ---- from outside ---- */

int docker_call(DockerCall **ret, Docker *d, DockerRequest *request, docker_call_done_t done, void *userdata) {
        return docker_calls_add(ret, &d->calls, request, done, userdata);
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        Docker *d = userdata;

        if (!docker_calls_is_empty(&d->calls))
                return 0;               /* their owner has no need of events; the last one to end will leave */
        hello_end(d);
        docker_image_forget(d, NULL);
        d->watch = path_watch_free(d->watch);
        (void) sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        set_state(d, DOCKER_CLOSED);
        return 0;
}

/* What is left of a list is put in place of it, which cannot fail: the key is there. */
static void put_back(Map *m, const char *key, DockerUser *first) {
        if (first)
                (void) map_put(m, key, first);
        else
                (void) map_remove(m, key);
}

int docker_attach(Docker *d, DockerUser *u) {
        int r;

        if (u->docker)
                return 0;
        u->next_container = u->container ? map_get(d->by_container, u->container) : NULL;
        u->next_image = u->image ? map_get(d->by_image, u->image) : NULL;
        r = u->container ? map_put(d->by_container, u->container, u) : 0;
        if (r < 0)
                return r;
        r = u->image ? map_put(d->by_image, u->image, u) : 0;
        if (r < 0) {
                if (u->container)
                        put_back(d->by_container, u->container, u->next_container);
                return r;
        }
        d->needed = d->state != DOCKER_OPEN;
        u->docker = d;
        u->next = d->users;
        d->users = u;
        (void) sd_event_source_set_enabled(d->left, SD_EVENT_OFF);
        if (d->observer)
                d->observer(d->observer_userdata);
        return 0;
}

#define UNLINK(first, u, link) \
        ({ \
                DockerUser *_first = (first), **_at = &_first; \
                while (*_at != (u)) \
                        _at = &(*_at)->link; \
                *_at = (u)->link; \
                (u)->link = NULL; \
                _first; \
        })

void docker_detach(DockerUser *u) {
        Docker *d = u->docker;

        if (!d)
                return;
        d->users = UNLINK(d->users, u, next);
        if (u->container)
                put_back(d->by_container, u->container, UNLINK(map_get(d->by_container, u->container), u, next_container));
        if (u->image)
                put_back(d->by_image, u->image, UNLINK(map_get(d->by_image, u->image), u, next_image));
        if (u->image && !map_get(d->by_image, u->image))
                docker_image_forget(d, u->image);
        u->docker = NULL;
        leave(d);
        if (d->observer)
                d->observer(d->observer_userdata);
}

/* ---- images ---- */

const DockerImage *docker_image_known(const Docker *d, const char *reference) {
        return map_get(d->images, reference);
}

uint64_t docker_image_age(const Docker *d) {
        return d->image_age;
}

const DockerImage *docker_image_learn(Docker *d, const char *reference, uint64_t age, DockerImage *image) {
        DockerImage *known;

        if (d->state != DOCKER_OPEN || d->image_age != age || !map_get(d->by_image, reference) || map_get(d->images, reference))
                return NULL;
        known = malloc(sizeof(*known));
        if (!known || map_put(d->images, reference, known) < 0) {
                free(known);
                return NULL;
        }
        *known = *image;
        *image = (DockerImage) {};
        return known;
}

void docker_image_forget(Docker *d, const char *reference) {
        const char *key;
        void *image;
        size_t i = 0;

        d->image_age++;
        if (reference) {
                image = map_remove(d->images, reference);
                if (image)
                        free_image(image);
                return;
        }
        while (map_next(d->images, &i, &key, &image)) {
                (void) map_remove(d->images, key);
                free_image(image);
        }
}

int docker_new(Docker **ret, sd_event *event, PathWatcher *paths, const char *socket) {
        _cleanup_(docker_freep) Docker *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        TAILQ_INIT(&d->calls.queued);
        TAILQ_INIT(&d->calls.running);
        d->event = sd_event_ref(event);
        d->paths = paths;
        d->socket = strdup(socket);
        d->by_container = map_new();
        d->by_image = map_new();
        d->images = map_new();
        d->calls.socket = d->socket;
        d->calls.version = d->version;
        d->calls.moved = on_moved;
        d->calls.lost = on_call_lost;
        if (!d->socket || !d->by_container || !d->by_image || !d->images)
                return -ENOMEM;
        r = sd_event_add_time(event, &d->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &d->left, CLOCK_MONOTONIC, UINT64_MAX, 1, on_left, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->left, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &d->starter, on_start, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->starter, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

Docker *docker_free(Docker *d) {
        if (!d)
                return NULL;
        hello_end(d);
        path_watch_free(d->watch);
        activation_done(&d->activation);
        curl_loop_free(d->loop);
        map_free(d->by_container);
        map_free(d->by_image);
        map_free_with(d->images, free_image);
        sd_event_source_disable_unref(d->timer);
        sd_event_source_disable_unref(d->left);
        sd_event_source_disable_unref(d->starter);
        sd_event_unref(d->event);
        free(d->why);
        free(d->socket);
        free(d);
        return NULL;
}

void docker_set_bus(Docker *d, sd_bus *const *bus) {
        d->activation.bus = bus;
}

const char *docker_state_name(const Docker *d) {
        static const char *const names[_DOCKER_STATE_MAX] = {
                [DOCKER_CLOSED] = "closed",
                [DOCKER_ASKING] = "connecting",
                [DOCKER_SUBSCRIBING] = "connecting",
                [DOCKER_OPEN] = "open",
                [DOCKER_WAITING] = "waiting",
                [DOCKER_FAILED] = "failed",
        };

        return names[d->state];
}

const char *docker_socket(const Docker *d) {
        return d->socket;
}

unsigned docker_n_users(const Docker *d) {
        unsigned n = 0;

        for (const DockerUser *u = d->users; u; u = u->next)
                n++;
        return n;
}

void docker_set_observer(Docker *d, void (*changed)(void *userdata), void *userdata) {
        d->observer = changed;
        d->observer_userdata = userdata;
}
