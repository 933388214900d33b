/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An archive of the files of the program itself, as mgmt-lang has them: also of one that is run and was never deployed. Of a file of a
 * program nothing is known but its path and its content. So owner, mode and time are the same for all, and the same program gives the
 * same bytes on every host. */

#include "common/bundle.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/host-bus.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/kinds/tar-archive.h"
#include "daemons/engine/local-host.h"

#define SERVICE "org.mgmt.lang1"
#define SERVICE_PATH "/org/mgmt/lang1"
#define MANAGER SERVICE ".Manager"

typedef struct DeployTar {
        Resource resource;
        char *path;
        int64_t format;

        BusClient bus;
        Packing *packing;
        PathWatch *watch;
} DeployTar;

typedef struct DeployPacking {
        Packing packing;
        TarArchive archive;
        Value bundle;
        uint32_t next;                  /* file of the bundle */
        size_t at;                      /* in its content */
        bool begun;                     /* it has its entry */
        size_t above;                   /* so much of its path is directories that have one */
} DeployPacking;

static const FieldSpec deploy_tar_fields[] = {
        FIELD(DeployTar, path, FIELD_STR, FIELD_IS_NAME, "The archive, an absolute path."),
        FIELD(DeployTar, format, FIELD_INT64, 0,
              "The format of headers, one of the constants $const.res.tar.format: ustar, pax or gnu; unknown is the simplest in which each "
              "entry can be said."),
        {}
};

static int deploy_tar_validate(const Resource *r, Diag *reterr) {
        const DeployTar *t = (const DeployTar *) r;

        if (*t->path != '/' || path_is_directory(t->path))
                return resource_error(r, reterr, -EINVAL, "path must be absolute and not end in a slash, got '%s'", t->path);
        return tar_format_is_known(t->format) ? 0 : resource_error(r, reterr, -EINVAL, "format must be one of $const.res.tar.format");
}

/* ---- packing ---- */

static void reset(Packing *p) {
        DeployPacking *d = (DeployPacking *) p;

        tar_archive_done(&d->archive);
}

static void done(Packing *p) {
        value_done(&((DeployPacking *) p)->bundle);
}

static int begin(Packing *p) {
        DeployPacking *d = (DeployPacking *) p;
        int r;

        p->n_bytes = 0;
        d->next = 0;
        d->at = d->above = 0;
        d->begun = false;
        r = tar_archive_begin(&d->archive, p, ((const DeployTar *) p->resource)->format);
        return r < 0 ? packing_fail(p, r, "cannot begin the archive: %s", tar_archive_problem(&d->archive)) : 0;
}

static int add(DeployPacking *d, const char *name, mode_t mode, size_t size) {
        const struct stat st = { .st_mode = mode, .st_size = (off_t) size };
        int r = tar_archive_add(&d->archive, name, &st);

        return r < 0 ? packing_fail(&d->packing, r, "cannot pack '%s': %s", name, tar_archive_problem(&d->archive)) : 1;
}

static const char *path_at(const DeployPacking *d, uint32_t i) {
        return value_cstr(d->bundle.m->items[i].key);
}

/* How much of the path is directories that the one before lies in as well; they stand together, since paths are sorted. */
static size_t shared_directories(const char *path, const char *before) {
        size_t n = 0;

        for (size_t i = 0; path[i] && path[i] == before[i]; i++)
                if (path[i] == '/')
                        n = i + 1;
        return n;
}

/* The next directory above the file, or the file itself. */
static int begin_entry(DeployPacking *d) {
        const char *path = path_at(d, d->next), *slash;

        if (d->above == 0)              /* the top one has no entry */
                d->above = d->next > 0 ? MAX(shared_directories(path, path_at(d, d->next - 1)), (size_t) 1) : 1;
        slash = strchr(path + d->above, '/');
        if (!slash) {
                d->begun = true;
                return add(d, path, S_IFREG | 0644, d->bundle.m->items[d->next].value.s->size);
        }
        d->above = (size_t) (slash + 1 - path);
        _cleanup_free_ char *directory = strndup(path, d->above);
        return directory ? add(d, directory, S_IFDIR | 0755, 0) : -ENOMEM;
}

static int step(Packing *p) {
        DeployPacking *d = (DeployPacking *) p;
        int r;

        if (d->next == d->bundle.m->n) {
                r = tar_archive_end(&d->archive);
                return r < 0 ? packing_fail(p, r, "cannot end the archive: %s", tar_archive_problem(&d->archive)) : 0;
        }
        if (!d->begun)
                return begin_entry(d);
        const Value *content = &d->bundle.m->items[d->next].value;
        size_t n = MIN(content->s->size - d->at, (size_t) FILE_PIECE_SIZE);
        r = n > 0 ? tar_archive_write(&d->archive, content->s->data + d->at, n) : 0;
        if (r < 0)
                return packing_fail(p, r, "cannot pack '%s': %s", path_at(d, d->next), tar_archive_problem(&d->archive));
        p->n_bytes += n;
        d->at += n;
        if (d->at < content->s->size)
                return 1;
        d->next++;
        d->at = d->above = 0;
        d->begun = false;
        return 1;
}

static const PackingType packing_type = { .begin = begin, .step = step, .reset = reset, .done = done };

/* ---- attempts ---- */

static int start_packing(DeployTar *t, Value bundle, Diag *reterr) {
        DeployPacking *d = calloc(1, sizeof(*d));

        if (!d) {
                value_done(&bundle);
                return -ENOMEM;
        }
        d->bundle = bundle;
        return packing_start(&d->packing, &packing_type, &t->resource, t->path, t->resource.applies, &t->packing, reterr);
}

static int on_files(BusClient *c, sd_bus_message *m, Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        Value bundle = VALUE_NIL;
        int fd, r;

        if (sd_bus_message_is_method_error(m, "org.mgmt.Error.NoProgram"))
                return resource_waiting(c->resource, "no program is in force yet");
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot get the files of the program");
        r = sd_bus_message_read(m, "h", &fd);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        r = bundle_unseal(fd, &bundle, &diag);
        if (r < 0)
                return resource_error(c->resource, reterr, r, "cannot read the files of the program: %s",
                                      diag.message ? diag.message : "out of memory");
        return start_packing((DeployTar *) c->resource, bundle, reterr);
}

/* Another program may be in force before this resource is another one. */
static int deploy_tar_open(DeployTar *t) {
        int r;

        if (t->bus.resource)
                return 0;
        r = bus_client_open(&t->bus, &t->resource, host_bus_own(), SERVICE, NULL);
        if (r >= 0)
                r = bus_client_listen(&t->bus, "type='signal',sender='" SERVICE "',path='" SERVICE_PATH "',interface='" MANAGER "',"
                                      "member='ProgramChanged'");
        if (r < 0)
                bus_client_close(&t->bus);
        return r;
}

static int deploy_tar_check_apply(Resource *r, bool apply, Diag *reterr) {
        DeployTar *t = (DeployTar *) r;
        int k = deploy_tar_open(t);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask mgmt-lang: %m");
        return bus_call(&t->bus, SERVICE_PATH, MANAGER, "GetFiles", on_files, reterr, NULL);
}

static void deploy_tar_cancel(Resource *r) {
        DeployTar *t = (DeployTar *) r;

        bus_cancel(&t->bus);
        t->packing = packing_free(t->packing);
}

/* ---- watch ---- */

static int deploy_tar_watch(Resource *r, Diag *reterr) {
        DeployTar *t = (DeployTar *) r;
        int k = deploy_tar_open(t);

        if (k >= 0)
                k = local_host_watch(r, t->path, 0, &t->watch, reterr);
        if (k >= 0)
                k = bus_client_watch(&t->bus);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch the files of the program: %m") : 0;
}

static void deploy_tar_unwatch(Resource *r) {
        DeployTar *t = (DeployTar *) r;

        t->watch = path_watch_free(t->watch);
        bus_client_close(&t->bus);
}

/* ---- autoedge ---- */

static int deploy_tar_uids(const Resource *r, ResourceUids *ret) {
        return resource_uids_add(ret, "file", ((const DeployTar *) r)->path, false);
}

static int deploy_tar_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        return file_path_wants_above(((const DeployTar *) r)->path, batch, ret);
}

static void deploy_tar_done(Resource *r) {
        deploy_tar_unwatch(r);
        deploy_tar_cancel(r);
}

const ResourceType deploy_tar_type = {
        .kind = "deploy:tar",
        .doc = "An archive of the files of the program that is in force, by their whole paths in it, such as '/main.mcl'.",
        .example = "deploy:tar \"/srv/tftp/site.tar\" {\n"
                   "\tformat => $const.res.tar.format.ustar,\n"
                   "}\n",
        .size = sizeof(DeployTar),
        .fields = deploy_tar_fields,
        .done = deploy_tar_done,
        .validate = deploy_tar_validate,
        .watch = deploy_tar_watch,
        .unwatch = deploy_tar_unwatch,
        .check_apply = deploy_tar_check_apply,
        .cancel = deploy_tar_cancel,
        .uids = deploy_tar_uids,
        .wants = deploy_tar_wants,
        .first_match_ends = true,
};
