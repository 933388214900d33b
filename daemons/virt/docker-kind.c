/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "common/edge-rule.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/docker-kind.h"

static Docker *docker_of(const DockerKind *k) {
        return ((const VirtManager *) k->resource.host->manager)->docker;
}

/* "v1.41" */
static bool is_version(const char *s) {
        const char *digits = startswith(s, "v");

        if (!digits || digits[0] < '1' || digits[0] > '9' || digits[1] != '.' || digits[2] < '0' || digits[2] > '9')
                return false;
        return strlen(digits) < 8 && strspn(digits + 2, "0123456789") == strlen(digits + 2);
}

int docker_kind_validate(const DockerKind *k, Diag *reterr) {
        if (k->apiversion[0] && !is_version(k->apiversion))
                return resource_error(&k->resource, reterr, -EINVAL, "apiversion must be of the form v1.41, got '%s'", k->apiversion);
        return 0;
}

int docker_kind_prepare(DockerKind *k, const char *image) {
        free(k->reference);
        k->reference = image_reference(image);
        return k->reference ? 0 : -ENOMEM;
}

int docker_kind_watch(DockerKind *k, const char *container, void (*changed)(DockerUser *u, const char *action), Diag *reterr) {
        int r;

        k->user.container = container;
        k->user.image = k->reference;
        k->user.changed = changed;
        r = docker_attach(docker_of(k), &k->user);
        if (r < 0)
                return resource_error(&k->resource, reterr, r, "cannot watch docker: %m");
        resource_armed(&k->resource);
        return 0;
}

int docker_kind_follow_image(DockerKind *k, const char *image, Diag *reterr) {
        int r;

        if (k->resource.received == 0)
                return 0;
        docker_detach(&k->user);
        r = docker_kind_prepare(k, image);
        k->user.image = k->reference;
        if (r >= 0 && k->user.changed)
                r = docker_attach(docker_of(k), &k->user);
        return r < 0 ? resource_error(&k->resource, reterr, r, "cannot watch docker: %m") : 0;
}

void docker_kind_unwatch(DockerKind *k) {
        docker_detach(&k->user);
        k->user.changed = NULL;
}

void docker_kind_cancel(DockerKind *k) {
        k->call = docker_call_free(k->call);
}

void docker_kind_done(DockerKind *k) {
        docker_kind_cancel(k);
        docker_kind_unwatch(k);
        docker_image_done(&k->own_image);
        free(k->reference);
}

void docker_kind_finish(DockerKind *k, int result) {
        Diag none = {};

        resource_finish(&k->resource, result, &none);
}

void docker_kind_fail(DockerKind *k, int error, const DockerReply *reply, const char *what) {
        _cleanup_free_ char *message = reply ? docker_parse_error(reply->body, reply->size) : NULL;
        _cleanup_(diag_done) Diag diag = {};

        if (message && message[0])
                (void) resource_error(&k->resource, &diag, error, "%s: %s", what, message);
        else if (reply && reply->status >= 300)
                (void) resource_error(&k->resource, &diag, error, "%s: status %ld", what, reply->status);
        else
                (void) resource_error(&k->resource, &diag, error, "%s", what);
        resource_finish(&k->resource, error, &diag);
}

void docker_kind_wait(DockerKind *k, const char *reason) {
        Diag none = {};

        resource_finish(&k->resource, resource_waiting(&k->resource, reason), &none);
}

static void on_reply(DockerCall *c, int result, const DockerReply *reply, Diag *diag, void *userdata) {
        DockerKind *k = userdata;

        k->call = NULL;
        if (result == -EAGAIN)
                docker_kind_wait(k, diag && diag->message ? diag->message : "waiting for docker");
        else if (result < 0)
                docker_kind_fail(k, result, NULL, diag && diag->message ? diag->message : "no answer from docker");
        else
                k->next(k, reply);
        docker_call_free(c);            /* the reply was in it */
}

/* An attempt that ends before its hook has returned ends by what the hook returns. */
static void cannot_ask(DockerKind *k, int error) {
        if (k->beginning)
                k->begin_error = error;
        else
                docker_kind_fail(k, error, NULL, "cannot make a request to docker");
}

int docker_kind_begin(DockerKind *k, bool apply, void (*first)(DockerKind *k), Diag *reterr) {
        k->apply = apply;
        k->beginning = true;
        k->begin_error = 0;
        first(k);
        k->beginning = false;
        return k->begin_error < 0 ? resource_error(&k->resource, reterr, k->begin_error, "cannot make a request to docker: %m")
                                  : CHECK_PENDING;
}

void docker_kind_request(DockerKind *k, DockerRequest *request, docker_next_t next) {
        int r;

        k->next = next;
        request->version = k->apiversion[0] ? k->apiversion : NULL;
        request->goes_on = !k->beginning;
        r = docker_call(&k->call, docker_of(k), request, on_reply, k);
        if (r < 0)
                cannot_ask(k, r);
}

void docker_kind_ask(DockerKind *k, const char *method, char *path, char *body, docker_next_t next) {
        docker_kind_request(k, &(DockerRequest) { .method = method, .path = path, .body = body }, next);
}

/* ---- images ---- */

static void on_image(DockerKind *k, const DockerReply *reply) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        docker_image_done(&k->own_image);
        k->image = NULL;
        k->image_here = reply->status == 200;
        if (reply->status == 404) {
                k->after_look(k, reply);
                return;
        }
        if (reply->status != 200) {
                docker_kind_fail(k, -EIO, reply, "cannot look at the image");
                return;
        }
        r = docker_parse_image(reply->body, reply->size, &k->own_image, &diag);
        if (r < 0) {
                docker_kind_fail(k, r, NULL, diag.message ? diag.message : "cannot look at the image");
                return;
        }
        k->image = docker_image_learn(docker_of(k), k->reference, k->image_age, &k->own_image) ?: &k->own_image;
        k->after_look(k, reply);
}

void docker_kind_look_at_image(DockerKind *k, docker_next_t next) {
        char *path;

        if (asprintf(&path, "/images/%s/json", k->reference) < 0)
                path = NULL;
        k->after_look = next;
        k->image_age = docker_image_age(docker_of(k));
        docker_kind_ask(k, "GET", path, NULL, on_image);
}

void docker_kind_recall_image(DockerKind *k, docker_next_t next) {
        static const DockerReply none = { .status = 200, .body = "" };

        k->image = docker_image_known(docker_of(k), k->reference);
        if (!k->image) {
                docker_kind_look_at_image(k, next);
                return;
        }
        k->image_here = true;
        next(k, &none);
}

void docker_kind_forget_image(DockerKind *k) {
        docker_image_forget(docker_of(k), k->reference);
}

static void on_pulled(DockerKind *k, const DockerReply *reply) {
        _cleanup_free_ char *error = NULL, *what = NULL;
        int r = 0;

        if (asprintf(&what, "image '%s' is not here, and cannot be pulled", k->reference) < 0)
                what = NULL;
        if (reply->status == 200)
                r = docker_parse_pull(reply->body, reply->size, &error);
        if (r < 0) {
                docker_kind_fail(k, r, NULL, "cannot read what docker says of the pull");
                return;
        }
        if (reply->status != 200 || error) {
                const DockerReply said = { .status = reply->status, .body = error ? error : reply->body,
                                           .size = error ? strlen(error) : reply->size };
                docker_kind_fail(k, reply->status == 404 ? -ENOENT : -EIO, &said, what ? what : "image cannot be pulled");
                return;
        }
        docker_kind_forget_image(k);
        docker_kind_look_at_image(k, k->after_pull);
}

void docker_kind_pull(DockerKind *k, docker_next_t next) {
        const char *last = strrchr(k->reference, '/'), *mark;
        char *path;

        last = last ? last : k->reference;
        mark = strchr(last, '@');
        mark = mark ? mark : strchr(last, ':');
        if (asprintf(&path, "/images/create?fromImage=%.*s&tag=%s", (int) (mark - k->reference), k->reference, mark + 1) < 0)
                path = NULL;
        k->after_pull = next;
        docker_kind_request(k, &(DockerRequest) { .method = "POST", .path = path, .pulls = true }, on_pulled);
}
