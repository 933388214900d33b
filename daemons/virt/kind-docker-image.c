/* SPDX-License-Identifier: GPL-3.0-or-later */

/* docker:image: one that is here is used as it is, and no registry is asked about it. */

#include <stdio.h>

#include "common/edge-rule.h"
#include "daemons/virt/docker-kind.h"

typedef struct DockerImageKind {
        DockerKind docker;
        char *state;
} DockerImageKind;

static const FieldSpec docker_image_fields[] = {
        DOCKER_APIVERSION(DockerImageKind),
        FIELD(DockerImageKind, state, FIELD_STR, 0, "exists or absent.", .initial = "\"exists\""),
        {}
};

static const EdgeRule docker_image_edges[] = {
        { .domain = "docker:image", .offers = true, .image = true },
        {}
};

static int image_validate(const Resource *r, Diag *reterr) {
        const DockerImageKind *i = (const DockerImageKind *) r;

        if (!streq(i->state, "exists") && !streq(i->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "state must be exists or absent, got '%s'", i->state);
        if (!docker_image_name_valid(r->name))
                return resource_error(r, reterr, -EINVAL, "name must be that of an image, got '%s'", r->name);
        return docker_kind_validate(&i->docker, reterr);
}

static void on_changed(DockerUser *u, const char *action) {
        resource_changed(&container_of(u, DockerKind, user)->resource);
}

static int image_prepare(Resource *r, Diag *reterr) {
        return docker_kind_prepare((DockerKind *) r, r->name);
}

static int image_watch(Resource *r, Diag *reterr) {
        return docker_kind_watch((DockerKind *) r, NULL, on_changed, reterr);
}

static void image_unwatch(Resource *r) {
        docker_kind_unwatch((DockerKind *) r);
}

static void on_pulled(DockerKind *k, const DockerReply *reply) {
        if (k->image_here)
                docker_kind_finish(k, CHECK_CHANGED);
        else
                docker_kind_fail(k, -ENOENT, NULL, "docker says that it has pulled the image, but it is not here");
}

static void on_removed(DockerKind *k, const DockerReply *reply) {
        docker_kind_forget_image(k);
        if (reply->status == 200 || reply->status == 404)
                docker_kind_finish(k, CHECK_CHANGED);
        else
                docker_kind_fail(k, -EIO, reply, "cannot remove the image");
}

static void remove_image(DockerKind *k) {
        char *path;

        if (asprintf(&path, "/images/%s", k->reference) < 0)
                path = NULL;
        docker_kind_ask(k, "DELETE", path, NULL, on_removed);
}

static void on_looked(DockerKind *k, const DockerReply *reply) {
        const DockerImageKind *i = (const DockerImageKind *) k;
        bool wanted = streq(i->state, "exists");

        if (k->image_here == wanted) {
                docker_kind_finish(k, CHECK_OK);
                return;
        }
        resource_differs(&k->resource, "state", wanted ? "absent" : "exists", i->state);
        if (!k->apply)
                docker_kind_finish(k, CHECK_CHANGED);
        else if (wanted)
                docker_kind_pull(k, on_pulled);
        else
                remove_image(k);
}

static void look(DockerKind *k) {
        docker_kind_look_at_image(k, on_looked);
}

static int image_check_apply(Resource *r, bool apply, Diag *reterr) {
        return docker_kind_begin((DockerKind *) r, apply, look, reterr);
}

static void image_cancel(Resource *r) {
        docker_kind_cancel((DockerKind *) r);
}

static void image_done(Resource *r) {
        docker_kind_done((DockerKind *) r);
}

const ResourceType docker_image_type = {
        .kind = "docker:image",
        .doc = "An image of docker, or of podman behind docker's socket. The name is that of the image; without a tag it is the one with "
               "the tag latest. An image that is here already is not looked for elsewhere; one that is not is pulled.",
        .example = "docker:image \"registry.example.com/web:1.2\" {\n"
                   "\tstate => \"exists\",\n"
                   "}\n",
        .size = sizeof(DockerImageKind),
        .fields = docker_image_fields,
        .edges = docker_image_edges,
        .done = image_done,
        .validate = image_validate,
        .prepare = image_prepare,
        .watch = image_watch,
        .unwatch = image_unwatch,
        .check_apply = image_check_apply,
        .cancel = image_cancel,
};
