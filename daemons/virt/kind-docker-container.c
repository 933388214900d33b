/* SPDX-License-Identifier: GPL-3.0-or-later */

/* docker:container. An attempt looks at the container and at the image, decides what is to be done, and does it step by step. If
 * somebody else interferes, it begins again.
 *
 * What docker cannot change in a container takes another one in its place, and that only with force: whatever the old one kept
 * outside of volumes is lost. */

#include <stdio.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/edge-rule.h"
#include "common/strbuf.h"
#include "daemons/virt/docker-kind.h"
#include "daemons/virt/docker-spec.h"

/* One that ends as soon as it was started is not started again at once, every time. */
#define STABLE_USEC UINT64_C(10000000)
#define DELAY_FIRST_USEC UINT64_C(100000)
#define DELAY_LAST_USEC UINT64_C(60000000)

enum { ROUNDS_MAX = 5 };        /* times that others interfered with one attempt */

typedef enum ContainerState {
        CONTAINER_RUNNING,
        CONTAINER_STOPPED,
        CONTAINER_REMOVED,
        _CONTAINER_STATE_MAX,
} ContainerState;

/* In the order in which they are done. */
typedef enum Step {
        STEP_PULL,
        STEP_UPDATE,
        STEP_UNPAUSE,
        STEP_STOP,
        STEP_REMOVE,
        STEP_CREATE,
        STEP_START,
        _STEP_MAX,
} Step;

typedef struct DockerContainerKind {
        DockerKind docker;
        char *state;
        char *image;
        char **cmd, **env;
        Value ports;
        char **volumes;
        char *restart;
        bool force;

        /* of the attempt under way */
        bool found;
        DockerContainer there;
        const char *others[5];          /* fields in which it is another container than the wanted one; static */
        size_t n_others;
        unsigned steps;                 /* bits: what is still to be done */
        Step step;
        unsigned round;
        bool pulled;
        bool expected_found;            /* how it is by now, as long as nobody else does something */
        DockerStatus expected_status;
        char *made;                     /* the id of the one that we have made last of the fields as they are; NULL: none */
        char *complaint;                /* what docker said of the last step, until it is known whether that was the reason */

        /* of a container that ends by itself */
        bool killed;                    /* somebody had it stopped */
        uint64_t started_usec;          /* by us; 0: never */
        uint64_t delay_usec, not_before_usec;
        sd_event_source *timer;
} DockerContainerKind;

static const FieldSpec docker_container_fields[] = {
        DOCKER_APIVERSION(DockerContainerKind),
        FIELD(DockerContainerKind, state, FIELD_STR, 0, "running, stopped or removed.", .initial = "\"running\""),
        FIELD(DockerContainerKind, image, FIELD_STR, FIELD_REQUIRED,
              "What it is made of; without a tag it is the one with the tag latest. It is pulled if it is not here."),
        FIELD(DockerContainerKind, cmd, FIELD_STRV, 0, "Command and arguments; empty: what the image says."),
        FIELD(DockerContainerKind, env, FIELD_STRV, 0, "Variables of its environment, as NAME=value; others it has from the image."),
        FIELD(DockerContainerKind, ports, FIELD_VALUE, 0,
              "Ports of the host that lead into it: for tcp, udp and sctp, the host's port and the container's.",
              .mcl_type = "map{str: map{int: int}}"),
        FIELD(DockerContainerKind, volumes, FIELD_STRV, 0,
              "Directories of the host, or volumes of docker by their names, and where they are in it: source:/target, or "
              "source:/target:ro."),
        FIELD(DockerContainerKind, restart, FIELD_STR, 0,
              "When docker itself starts it again: no, always, unless-stopped, on-failure or on-failure:COUNT; empty: as it is."),
        FIELD(DockerContainerKind, force, FIELD_BOOL, 0,
              "Where the image, the command, the environment, ports or volumes are others, put a new container in place of the old one. "
              "Otherwise that is an error, as what the old one has written outside of volumes would be lost."),
        {}
};

static const EdgeRule docker_container_edges[] = {
        { .domain = "docker:image", .field = "image", .image = true, .after = "state removed" },
        {}
};

static DockerSpec spec_of(const DockerContainerKind *c) {
        return (DockerSpec) {
                .image = c->image,
                .cmd = c->cmd,
                .env = c->env,
                .ports = c->ports,
                .volumes = c->volumes,
                .restart = c->restart,
        };
}

static const char *const state_names[_CONTAINER_STATE_MAX] = { "running", "stopped", "removed" };

static ContainerState state_of(const DockerContainerKind *c) {
        ContainerState s = 0;

        while (s < _CONTAINER_STATE_MAX && !streq(state_names[s], c->state))
                s++;
        return s;
}

static bool is_name(const char *s) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

        return s[0] && s[1] && strchr(letters, s[0]) && strspn(s, all) == strlen(s) && strlen(s) < 256;
}

static int container_validate(const Resource *r, Diag *reterr) {
        const DockerContainerKind *c = (const DockerContainerKind *) r;
        const DockerSpec spec = spec_of(c);
        int k;

        if (state_of(c) == _CONTAINER_STATE_MAX)
                return resource_error(r, reterr, -EINVAL, "state must be running, stopped or removed, got '%s'", c->state);
        if (!is_name(r->name))
                return resource_error(r, reterr, -EINVAL,
                                      "name must be made of at least two of letters, digits, '_', '.' and '-', got '%s'", r->name);
        k = docker_spec_validate(&spec, reterr);
        if (k < 0) {
                if (reterr)
                        diag_place(reterr, r->pos);
                return k;
        }
        return docker_kind_validate(&c->docker, reterr);
}

/* ---- time ---- */

static uint64_t now_usec(const DockerContainerKind *c) {
        uint64_t now = 0;

        (void) sd_event_now(c->docker.resource.host->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void note_end(DockerContainerKind *c) {
        uint64_t now = now_usec(c);

        if (c->started_usec == 0 || c->killed || now - c->started_usec >= STABLE_USEC) {
                c->delay_usec = c->not_before_usec = 0;
                return;
        }
        c->delay_usec = c->delay_usec == 0 ? DELAY_FIRST_USEC : MIN(c->delay_usec * 2, DELAY_LAST_USEC);
        c->not_before_usec = now + c->delay_usec;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        DockerContainerKind *c = userdata;

        resource_changed(&c->docker.resource);
        return 0;
}

static int arm_timer(DockerContainerKind *c) {
        c->timer = sd_event_source_disable_unref(c->timer);
        return sd_event_add_time(c->docker.resource.host->event, &c->timer, CLOCK_MONOTONIC, c->not_before_usec, 1, on_timer, c);
}

static void on_changed(DockerUser *u, const char *action) {
        DockerContainerKind *c = (DockerContainerKind *) container_of(u, DockerKind, user);

        if (action && (streq(action, "kill") || streq(action, "stop")))
                c->killed = true;
        else if (action && streq(action, "start"))
                c->killed = false;
        else if (action && (streq(action, "die") || streq(action, "died")))
                note_end(c);
        resource_changed(&c->docker.resource);
}

/* ---- doing ---- */

static void look(DockerKind *k);

/* Somebody else did something while we were at it. */
static void look_again(DockerContainerKind *c, int error, const DockerReply *reply, const char *what) {
        if (++c->round >= ROUNDS_MAX)
                docker_kind_fail(&c->docker, error, reply, what);
        else
                look(&c->docker);
}

/* An error may be docker's word for the same: then it is another one, or in another state, than we have left it. */
static void look_whether_it_changed(DockerContainerKind *c, const DockerReply *reply, const char *what) {
        _cleanup_free_ char *message = docker_parse_error(reply->body, reply->size);

        free(c->complaint);
        if (!message || asprintf(&c->complaint, "%s: %s", what, message) < 0)
                c->complaint = NULL;
        if (!c->complaint || ++c->round >= ROUNDS_MAX)
                docker_kind_fail(&c->docker, -EIO, reply, what);
        else
                look(&c->docker);
}

/* True if the attempt is over. */
static bool complain(DockerContainerKind *c) {
        _cleanup_free_ char *complaint = TAKE_PTR(c->complaint);

        if (!complaint || c->found != c->expected_found || (c->found && c->there.status != c->expected_status))
                return false;
        docker_kind_fail(&c->docker, -EIO, NULL, complaint);
        return true;
}

static const struct {
        const char *method, *before, *after;    /* of the path, around what tells which container */
        const char *what;                       /* that did not work */
        char *(*body)(const DockerSpec *s);
        bool gone_is_well;                      /* if there is no such container any more */
        bool waits;                             /* for what is in the container, with DockerRequest.waits */
} steps[_STEP_MAX] = {
        [STEP_UPDATE] = { "POST", "/containers/", "/update", "cannot change it", docker_spec_update },
        [STEP_UNPAUSE] = { "POST", "/containers/", "/unpause", "cannot unpause it" },
        [STEP_STOP] = { "POST", "/containers/", "/stop", "cannot stop it", .gone_is_well = true, .waits = true },
        [STEP_REMOVE] = { "DELETE", "/containers/", "", "cannot remove it", .gone_is_well = true },
        [STEP_CREATE] = { "POST", "/containers/create?name=", "", "cannot create it", docker_spec_create },
        [STEP_START] = { "POST", "/containers/", "/start", "cannot start it" },
};

static void proceed(DockerContainerKind *c);

static void on_pulled(DockerKind *k, const DockerReply *reply) {
        DockerContainerKind *c = (DockerContainerKind *) k;

        c->pulled = true;
        if (k->image_here)
                proceed(c);
        else
                docker_kind_fail(k, -ENOENT, NULL, "docker says that it has pulled the image, but it is not here");
}

static void note_step(DockerContainerKind *c, const DockerReply *reply) {
        switch (c->step) {
        case STEP_UNPAUSE:
                c->expected_status = DOCKER_RUNNING;
                break;
        case STEP_STOP:
                c->expected_status = DOCKER_EXITED;
                break;
        case STEP_REMOVE:
                c->expected_found = false;
                break;
        case STEP_CREATE:
                free(c->made);
                c->made = docker_parse_created(reply->body, reply->size);
                c->found = false;               /* what was found is another one */
                c->expected_found = true;
                c->expected_status = DOCKER_CREATED;
                break;
        case STEP_START:
                c->started_usec = now_usec(c);
                c->killed = false;
                break;
        default:
                break;
        }
}

static void on_step(DockerKind *k, const DockerReply *reply) {
        DockerContainerKind *c = (DockerContainerKind *) k;
        bool done = (reply->status >= 200 && reply->status < 300) || reply->status == 304 ||
                    (reply->status == 404 && steps[c->step].gone_is_well);

        if (done) {
                note_step(c, reply);
                proceed(c);
        } else if (c->step == STEP_CREATE && reply->status == 404 && c->pulled)
                docker_kind_fail(k, -ENOENT, reply, steps[c->step].what);
        else if (reply->status == 404 || reply->status == 409) {
                if (c->step == STEP_CREATE)
                        docker_kind_forget_image(k);
                look_again(c, -EBUSY, reply, steps[c->step].what);
        } else if (reply->status >= 500)
                look_whether_it_changed(c, reply, steps[c->step].what);
        else
                docker_kind_fail(k, -EIO, reply, steps[c->step].what);
}

static void proceed(DockerContainerKind *c) {
        const DockerSpec spec = spec_of(c);
        char *path, *body = NULL;

        if (c->steps == 0) {
                docker_kind_finish(&c->docker, CHECK_CHANGED);
                return;
        }
        c->step = (Step) __builtin_ctz(c->steps);
        c->steps &= c->steps - 1;
        if (c->step == STEP_PULL) {
                docker_kind_pull(&c->docker, on_pulled);
                return;
        }
        /* By its number, so that it is the one that we have looked at. */
        if (asprintf(&path, "%s%s%s", steps[c->step].before,
                     c->found && c->step != STEP_CREATE ? c->there.id : c->docker.resource.name, steps[c->step].after) < 0)
                path = NULL;
        if (steps[c->step].body) {
                body = steps[c->step].body(&spec);
                if (!body) {
                        free(path);
                        path = NULL;
                }
        }
        docker_kind_request(&c->docker, &(DockerRequest) { .method = steps[c->step].method, .path = path, .body = body,
                                                           .waits = steps[c->step].waits }, on_step);
}

/* ---- deciding ---- */

static char *join(char *const *list, const char *separator) {
        StrBuf b = {};

        for (; list && *list; list++) {
                if (b.size > 0)
                        strbuf_puts(&b, separator);
                strbuf_puts(&b, *list);
        }
        return strbuf_take(&b);
}

static bool differs(DockerContainerKind *c, const char *field, char *const *from, char *const *to, const char *separator) {
        if (strv_equal(from, to))
                return false;
        _cleanup_free_ char *a = join(from, separator), *b = join(to, separator);
        resource_differs(&c->docker.resource, field, a && a[0] ? a : NULL, b && b[0] ? b : NULL);
        c->others[c->n_others++] = field;
        return true;
}

/* By what it is, if the image is here, else by its name. */
static bool image_is_other(const DockerContainerKind *c) {
        _cleanup_free_ char *reference = NULL;

        if (c->docker.image_here)
                return !streq(c->docker.image->id, c->there.image_id);
        reference = image_reference(c->there.image);
        return !reference || !streq(reference, c->docker.reference);
}

static bool check_image(DockerContainerKind *c) {
        _cleanup_free_ char *reference = image_reference(c->there.image);

        if (!image_is_other(c))
                return false;
        /* the same name may stand for another image by now */
        bool renewed = reference && streq(reference, c->docker.reference);
        resource_differs(&c->docker.resource, "image", renewed ? c->there.image_id : c->there.image,
                         renewed ? c->docker.image->id : c->image);
        c->others[c->n_others++] = "image";
        return true;
}

/* Says what only another container can have: c->others. */
static int compare(DockerContainerKind *c) {
        const DockerSpec spec = spec_of(c);
        /* of an image that nobody knows any more there is nothing to say */
        const DockerImage unknown = { .cmd = c->there.cmd, .env = c->there.env };
        _cleanup_(docker_wanted_done) DockerWanted w = {};
        bool renewed;
        int r;

        r = docker_spec_wanted(&spec, c->docker.image_here ? c->docker.image : &unknown, &c->there, &w);
        if (r < 0)
                return r;
        renewed = check_image(c);
        /* what it has from its image goes with that */
        if (!renewed || (c->cmd && c->cmd[0]))
                (void) differs(c, "cmd", c->there.cmd, w.cmd, " ");
        if (!renewed || (c->env && c->env[0]))
                (void) differs(c, "env", c->there.env, w.env, ", ");
        (void) differs(c, "ports", c->there.ports, w.ports, ", ");
        (void) differs(c, "volumes", c->there.volumes, w.volumes, ", ");
        return 0;
}

/* What we have made ourselves can have another image only because the name stands for another one by now. All else cannot change in a
 * container: so it is docker's way to understand what it is told. */
static bool is_made_so(const DockerContainerKind *c) {
        for (size_t i = 0; i < c->n_others; i++)
                if (streq(c->others[i], "image"))
                        return false;
        return c->made && streq(c->made, c->there.id);
}

static void refuse(DockerContainerKind *c) {
        bool made_so = is_made_so(c);
        StrBuf b = {};

        for (size_t i = 0; i < c->n_others; i++)
                strbuf_printf(&b, "%s%s", i == 0 ? "" : ", ", c->others[i]);
        _cleanup_free_ char *fields = strbuf_take(&b), *what = NULL;
        if (asprintf(&what,
                     made_so ? "docker has made it with another %s than it was told, and would do so again"
                             : "there is a container of this name with another %s, and only with force may a new one take its place",
                     fields ? fields : "image") < 0)
                what = NULL;
        docker_kind_fail(&c->docker, made_so ? -EPROTO : -EEXIST, NULL, what ? what : "there is another container of this name");
}

static void finish_or_proceed(DockerContainerKind *c) {
        if (c->steps == 0 || !c->docker.apply)
                docker_kind_finish(&c->docker, c->steps == 0 && c->round == 0 ? CHECK_OK : CHECK_CHANGED);
        else
                proceed(c);
}

static bool is_active(DockerStatus s) {
        return s == DOCKER_RUNNING || s == DOCKER_PAUSED || s == DOCKER_RESTARTING;
}

/* False: it has to wait, and the attempt is over. */
static bool may_start(DockerContainerKind *c) {
        uint64_t now = now_usec(c);
        char reason[128];

        if (now >= c->not_before_usec || !c->docker.apply)
                return true;
        (void) snprintf(reason, sizeof(reason), "it has ended right after its start, with %d; it is started again in %.1f s",
                        c->there.exit_code, (double) (c->not_before_usec - now) / 1e6);
        if (arm_timer(c) < 0)
                return true;
        docker_kind_wait(&c->docker, reason);
        return false;
}

static void add(DockerContainerKind *c, Step s) {
        c->steps |= 1U << s;
}

static void decide_new(DockerContainerKind *c) {
        if (!c->docker.image_here)
                add(c, STEP_PULL);
        add(c, STEP_CREATE);
        add(c, STEP_START);
}

static void add_removal(DockerContainerKind *c) {
        if (c->there.status == DOCKER_PAUSED)
                add(c, STEP_UNPAUSE);
        if (is_active(c->there.status))
                add(c, STEP_STOP);
        add(c, STEP_REMOVE);
}

static void decide_running(DockerContainerKind *c) {
        Resource *r = &c->docker.resource;
        bool other;
        int k;

        if (!c->found) {
                resource_differs(r, "state", "absent", "running");
                decide_new(c);
                finish_or_proceed(c);
                return;
        }
        k = compare(c);
        if (k < 0) {
                docker_kind_fail(&c->docker, k, NULL, "cannot compare the container with what is wanted");
                return;
        }
        other = c->n_others > 0;
        if (other && (!c->force || is_made_so(c))) {
                refuse(c);
                return;
        }
        if (other || c->there.status == DOCKER_DEAD) {
                add_removal(c);
                decide_new(c);
        } else if (c->restart[0] && !streq(c->restart, c->there.restart)) {
                resource_differs(r, "restart", c->there.restart, c->restart);
                add(c, STEP_UPDATE);
        }
        if (c->there.status == DOCKER_PAUSED)
                add(c, STEP_UNPAUSE);
        else if (c->there.status == DOCKER_CREATED || c->there.status == DOCKER_EXITED)
                add(c, STEP_START);
        if (c->there.status != DOCKER_RUNNING && c->there.status != DOCKER_RESTARTING)
                resource_differs(r, "state", docker_status_name(c->there.status), "running");
        if (!(c->steps & (1U << STEP_START)) || other || may_start(c))
                finish_or_proceed(c);
}

static void decide_not_running(DockerContainerKind *c, ContainerState wanted) {
        bool active = c->found && is_active(c->there.status);

        if (!c->found || (wanted == CONTAINER_STOPPED && !active)) {
                finish_or_proceed(c);
                return;
        }
        if (image_is_other(c) && !c->force) {
                (void) check_image(c);
                refuse(c);
                return;
        }
        resource_differs(&c->docker.resource, "state", docker_status_name(c->there.status), c->state);
        add_removal(c);
        if (wanted == CONTAINER_STOPPED)
                c->steps &= ~(1U << STEP_REMOVE);
        finish_or_proceed(c);
}

static void on_image(DockerKind *k, const DockerReply *reply) {
        DockerContainerKind *c = (DockerContainerKind *) k;
        ContainerState wanted = state_of(c);

        if (c->found && c->there.status == DOCKER_REMOVING)
                docker_kind_wait(k, "waiting for docker, which is removing it");
        else if (wanted == CONTAINER_RUNNING)
                decide_running(c);
        else
                decide_not_running(c, wanted);
}

/* ---- looking ---- */

static void on_container(DockerKind *k, const DockerReply *reply) {
        DockerContainerKind *c = (DockerContainerKind *) k;
        _cleanup_(diag_done) Diag diag = {};
        int r;

        docker_container_done(&c->there);
        c->found = reply->status == 200;
        c->steps = 0;
        c->n_others = 0;
        if (reply->status >= 500) {
                /* podman's word for one that is just being removed */
                look_again(c, -EIO, reply, "cannot look at the container");
                return;
        }
        if (reply->status != 200 && reply->status != 404) {
                docker_kind_fail(k, -EIO, reply, "cannot look at the container");
                return;
        }
        if (c->found) {
                r = docker_parse_container(reply->body, reply->size, &c->there, &diag);
                if (r < 0) {
                        docker_kind_fail(k, r, NULL, diag.message ? diag.message : "cannot look at the container");
                        return;
                }
                /* docker also takes the beginning of a container's number for its name */
                c->found = streq(c->there.name, k->resource.name);
        }
        if (complain(c))
                return;
        c->expected_found = c->found;
        c->expected_status = c->there.status;
        if (c->found || state_of(c) == CONTAINER_RUNNING)
                docker_kind_recall_image(k, on_image);
        else
                finish_or_proceed(c);
}

static void look(DockerKind *k) {
        char *path;

        if (asprintf(&path, "/containers/%s/json", k->resource.name) < 0)
                path = NULL;
        docker_kind_ask(k, "GET", path, NULL, on_container);
}

static int container_check_apply(Resource *r, bool apply, Diag *reterr) {
        DockerContainerKind *c = (DockerContainerKind *) r;
        int k = docker_kind_follow_image(&c->docker, c->image, reterr);

        if (k < 0)
                return k;
        if (r->received != 0)
                free(TAKE_PTR(c->made));
        c->round = 0;
        c->pulled = false;
        free(c->complaint);
        c->complaint = NULL;
        return docker_kind_begin(&c->docker, apply, look, reterr);
}

/* ---- the rest ---- */

static int container_prepare(Resource *r, Diag *reterr) {
        DockerContainerKind *c = (DockerContainerKind *) r;

        return docker_kind_prepare(&c->docker, c->image);
}

static int container_watch(Resource *r, Diag *reterr) {
        return docker_kind_watch((DockerKind *) r, r->name, on_changed, reterr);
}

static void container_unwatch(Resource *r) {
        DockerContainerKind *c = (DockerContainerKind *) r;

        c->timer = sd_event_source_disable_unref(c->timer);
        docker_kind_unwatch(&c->docker);
}

static void container_cancel(Resource *r) {
        docker_kind_cancel((DockerKind *) r);
}

static void container_done(Resource *r) {
        DockerContainerKind *c = (DockerContainerKind *) r;

        docker_kind_done(&c->docker);
        docker_container_done(&c->there);
        free(c->made);
        free(c->complaint);
        sd_event_source_disable_unref(c->timer);
}

const ResourceType docker_container_type = {
        .kind = "docker:container",
        .doc = "A container of docker, or of podman behind docker's socket: that it exists, what it is made of, and whether it runs.",
        .example = "docker:container \"web\" {\n"
                   "\timage => \"registry.example.com/web:1.2\",\n"
                   "\tenv => [\"LANG=C.UTF-8\"],\n"
                   "\tports => {\"tcp\" => {8080 => 80}},\n"
                   "\tvolumes => [\"/srv/web:/srv:ro\"],\n"
                   "\trestart => \"unless-stopped\",\n"
                   "}\n",
        .size = sizeof(DockerContainerKind),
        .fields = docker_container_fields,
        .edges = docker_container_edges,
        .done = container_done,
        .validate = container_validate,
        .prepare = container_prepare,
        .watch = container_watch,
        .unwatch = container_unwatch,
        .check_apply = container_check_apply,
        .cancel = container_cancel,
};
