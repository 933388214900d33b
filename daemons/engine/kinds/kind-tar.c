/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An archive of files and directories. Entries stand in the order of the inputs, those of a directory sorted by name, with mode, owner
 * (as numbers) and time of what they are made from; so it is out of date if any of that is different (packing.h).
 *
 * Directories are walked by descriptors, and no symbolic link below an input is followed: what is neither a file nor a directory is
 * an error, as nobody would miss it in the archive before it is too late. */

#include <fcntl.h>

#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/directory-names.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/tar-archive.h"

enum { DEPTH_MAX = 128 };       /* each level is an open directory */

typedef struct Tar {
        Resource resource;
        char *path, **inputs;
        int64_t format;

        Packing *packing;
        PathWatch **watches;
        size_t n_watches;
} Tar;

typedef struct Level {
        int fd;
        char **names;
        size_t n, next;
        size_t name_size;       /* of the entry's name at this level, with a slash at its end unless it is empty */
} Level;

typedef struct TarPacking {
        Packing packing;
        TarArchive archive;
        char *const *input;     /* the next one */
        Level levels[DEPTH_MAX];
        size_t n_levels;
        StrBuf name;            /* of the entry under way */
        const char *source;     /* the input it comes from, for messages */
        FileContent content;    /* of the file under way */
        uint64_t at;
} TarPacking;

static const FieldSpec tar_fields[] = {
        FIELD(Tar, path, FIELD_STR, FIELD_IS_NAME, "The archive, an absolute path."),
        FIELD(Tar, inputs, FIELD_STRV, 0,
              "What is in it: absolute paths of files and directories. Of a directory with a slash at its end what is in it stands at the top of "
              "the archive; without, it stands in a directory of its last name."),
        FIELD(Tar, format, FIELD_INT64, 0,
              "The format of headers, one of the constants: ustar, pax or gnu; unknown is the simplest in which each entry can be said."),
        {}
};

static int tar_validate(const Resource *r, Diag *reterr) {
        const Tar *t = (const Tar *) r;
        const char *path = t->path;

        if (*path != '/' || path_is_directory(path))
                return resource_error(r, reterr, -EINVAL, "path must be absolute and not end in a slash, got '%s'", path);
        for (char **s = t->inputs; s && *s; s++) {
                if (**s != '/')
                        return resource_error(r, reterr, -EINVAL, "inputs must be absolute paths, got '%s'", *s);
                if (path_is_inside(path, *s))
                        return resource_error(r, reterr, -ELOOP, "the archive '%s' is inside of its input '%s'", path, *s);
        }
        return tar_format_is_known(t->format) ? 0 : resource_error(r, reterr, -EINVAL, "format must be one of $const.res.tar.format");
}

/* ---- the archive ---- */

static int archive_failed(TarPacking *t, int error, const char *what) {
        return packing_fail(&t->packing, error, "cannot %s '%s%s': %s", what, t->source, t->name.data ?: "",
                            tar_archive_problem(&t->archive));
}

static void close_content(TarPacking *t) {
        file_content_done(&t->content);
}

static void pop(TarPacking *t) {
        Level *l = &t->levels[--t->n_levels];

        directory_names_free(l->names, l->n);
        (void) close(l->fd);
}

static void reset(Packing *p) {
        TarPacking *t = (TarPacking *) p;

        tar_archive_done(&t->archive);
        while (t->n_levels > 0)
                pop(t);
        close_content(t);
        strbuf_done(&t->name);
}

static int begin(Packing *p) {
        const Tar *tar = (const Tar *) p->resource;
        TarPacking *t = (TarPacking *) p;
        static char *const none[] = { NULL };

        p->n_bytes = 0;
        t->source = "";
        t->input = tar->inputs ? tar->inputs : none;
        int r = tar_archive_begin(&t->archive, p, tar->format);
        return r < 0 ? archive_failed(t, r, "begin the archive for") : 0;
}

/* ---- entries ---- */

static void cut_name(TarPacking *t, size_t size) {
        t->name.size = size;
        if (t->name.data)
                t->name.data[size] = '\0';
}

static int write_header(TarPacking *t, const struct stat *st) {
        int r = tar_archive_add(&t->archive, t->name.data, st);

        return r < 0 ? archive_failed(t, r, "pack") : 1;
}

/* The archive itself, which a path of another name may lead to. */
static int check_not_itself(TarPacking *t, const struct stat *st) {
        const FileOutput *o = &t->packing.output;
        bool same = o->fd >= 0 && st->st_dev == o->st.st_dev && st->st_ino == o->st.st_ino;

        return same ? packing_fail(&t->packing, -ELOOP, "'%s%s' is the archive itself", t->source, t->name.data ?: "") : 0;
}

static int begin_file(TarPacking *t, int fd) {
        int r;

        r = file_content_take(&t->content, fd);
        if (r < 0)
                return packing_fail(&t->packing, r, "cannot read '%s': %m", t->name.data);
        t->at = 0;
        r = check_not_itself(t, &t->content.st);
        return r < 0 ? r : write_header(t, &t->content.st);
}

/* The directory is open as fd, which is taken; its entry, if it shall have one, is called t->name. */
static int begin_directory(TarPacking *t, int fd, const struct stat *st) {
        _cleanup_close_ int owned = fd;
        Level *l = &t->levels[t->n_levels];
        int r;

        if (t->n_levels >= DEPTH_MAX)
                return packing_fail(&t->packing, -ELOOP, "'%s' lies too deep", t->name.data);
        if (t->name.size > 0) {
                strbuf_putc(&t->name, '/');
                if (t->name.failed)
                        return -ENOMEM;
                r = write_header(t, st);
                if (r < 0)
                        return r;
        }
        *l = (Level) { .name_size = t->name.size };
        r = directory_names(fd, &l->names, &l->n);
        if (r < 0)
                return packing_fail(&t->packing, r, "cannot read '%s%s': %m", t->source, t->name.data ?: "");
        l->fd = TAKE_FD(owned);
        t->n_levels++;
        return 1;
}

/* The object is open as fd, which is taken. */
static int begin_object(TarPacking *t, int fd, const struct stat *st) {
        if (S_ISDIR(st->st_mode))
                return begin_directory(t, fd, st);
        if (S_ISREG(st->st_mode))
                return begin_file(t, fd);
        (void) close(fd);
        return packing_fail(&t->packing, -EINVAL, "'%s' has '%s' in it, which is neither a file nor a directory", t->source, t->name.data);
}

static int cannot_open(TarPacking *t, int error) {
        return packing_fail(&t->packing, error, "cannot open '%s' of '%s': %m", t->name.data, t->source);
}

static int next_name(TarPacking *t) {
        Level *l = &t->levels[t->n_levels - 1];
        struct stat st;

        cut_name(t, l->name_size);
        if (l->next == l->n) {
                pop(t);
                return 1;
        }
        const char *name = l->names[l->next++];
        strbuf_puts(&t->name, name);
        if (t->name.failed)
                return -ENOMEM;
        if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return cannot_open(t, -errno);
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
                return begin_object(t, -EBADF, &st);
        int fd = openat(l->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0) {
                int r = cannot_open(t, -errno);
                closep(&fd);
                return r;
        }
        return begin_object(t, fd, &st);
}

static int next_input(TarPacking *t) {
        const char *path = t->source = *t->input++;
        size_t begin = path_dirname_length(path);
        struct stat st;

        cut_name(t, 0);
        int fd = safe_open(path, O_RDONLY);
        if (fd == -EPERM)
                return packing_fail(&t->packing, fd, SAFE_PATH_UNTRUSTED, path);
        if (fd < 0)
                return packing_fail(&t->packing, fd, "cannot open '%s': %m", path);
        int r = fstat(fd, &st) < 0 ? -errno : path_is_directory(path) && !S_ISDIR(st.st_mode) ? -ENOTDIR : 0;
        if (r < 0) {
                (void) close(fd);
                return packing_fail(&t->packing, r, "cannot open '%s': %m", path);
        }
        if (!path_is_directory(path))
                strbuf_puts(&t->name, path + begin);
        return t->name.failed ? (void) close(fd), -ENOMEM : begin_object(t, fd, &st);
}

static int pack_piece(TarPacking *t) {
        char buffer[FILE_PIECE_SIZE];
        const char *data;

        ssize_t n = file_content_piece(&t->content, t->at, buffer, &data);
        if (n < 0)
                return packing_fail(&t->packing, (int) n, "cannot read '%s' of '%s': %m", t->name.data, t->source);
        if (n == 0 && t->at < t->content.size)
                return packing_fail(&t->packing, -EBUSY, "'%s' of '%s' became shorter while it was read", t->name.data, t->source);
        int r = n > 0 ? tar_archive_write(&t->archive, data, (size_t) n) : 0;
        if (r < 0)
                return archive_failed(t, r, "pack");
        t->at += (uint64_t) n;
        t->packing.n_bytes += (uint64_t) n;
        if (t->at == t->content.size)
                close_content(t);
        return 1;
}

static int step(Packing *p) {
        TarPacking *t = (TarPacking *) p;

        if (t->content.fd >= 0)
                return pack_piece(t);
        if (t->n_levels > 0)
                return next_name(t);
        if (*t->input)
                return next_input(t);
        int r = tar_archive_end(&t->archive);
        return r < 0 ? archive_failed(t, r, "end the archive after") : 0;
}

static const PackingType packing_type = { .begin = begin, .step = step, .reset = reset };

static int tar_check_apply(Resource *r, bool apply, Diag *reterr) {
        Tar *t = (Tar *) r;
        TarPacking *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->content = (FileContent) FILE_CONTENT_INIT;
        return packing_start(&p->packing, &packing_type, r, t->path, apply, &t->packing, reterr);
}

static void tar_cancel(Resource *r) {
        Tar *t = (Tar *) r;

        t->packing = packing_free(t->packing);
}

/* ---- watch ---- */

static void tar_unwatch(Resource *r) {
        Tar *t = (Tar *) r;

        for (size_t i = 0; i < t->n_watches; i++)
                path_watch_free(t->watches[i]);
        free(t->watches);
        t->watches = NULL;
        t->n_watches = 0;
}

static int add_watch(Tar *t, const char *path, bool recurse, Diag *reterr) {
        int r = local_host_watch(&t->resource, path, recurse ? PATH_WATCH_RECURSIVE : 0, &t->watches[t->n_watches], reterr);

        t->n_watches += r >= 0;
        return r;
}

static int tar_watch(Resource *r, Diag *reterr) {
        Tar *t = (Tar *) r;
        int k;

        t->watches = calloc(1 + strv_count(t->inputs), sizeof(*t->watches));
        if (!t->watches)
                return resource_error(r, reterr, -ENOMEM, "cannot watch: %m");
        k = add_watch(t, t->path, false, reterr);
        for (char **s = t->inputs; k >= 0 && s && *s; s++)
                k = add_watch(t, *s, true, reterr);
        if (k >= 0)
                resource_armed(r);
        return k;
}

/* ---- autoedge ---- */

static int tar_uids(const Resource *r, ResourceUids *ret) {
        return resource_uids_add(ret, "file", ((const Tar *) r)->path, false);
}

static int tar_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        static char *const none[] = { NULL };
        const Tar *t = (const Tar *) r;

        return packing_wants(t->path, t->inputs ? t->inputs : none, batch, ret);
}

static void tar_done(Resource *r) {
        tar_unwatch(r);
        tar_cancel(r);
}

const ResourceType tar_type = {
        .kind = "tar",
        .doc = "An archive of files and directories.",
        .example = "tar \"/srv/backup/etc.tar\" {\n"
                   "\tinputs => [\"/etc/mgmt/\", \"/etc/hosts\"],\n"
                   "}\n",
        .size = sizeof(Tar),
        .fields = tar_fields,
        .done = tar_done,
        .validate = tar_validate,
        .watch = tar_watch,
        .unwatch = tar_unwatch,
        .check_apply = tar_check_apply,
        .cancel = tar_cancel,
        .uids = tar_uids,
        .wants = tar_wants,
        .first_match_ends = true,
};
