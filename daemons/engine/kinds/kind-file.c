/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A file, a directory (the path ends in a slash) or a symbolic link.
 *
 * Content is written to a temporary file in the same directory, which gets owner and mode and is then renamed into place, so
 * nobody ever sees half of it (replacement.h). Where renaming is impossible (the file is a mount point) it is written in place.
 *
 * Symbolic links on the way are followed only if root or we ourselves made them (safe-path.h). */

#include <stdio.h>

#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/file-mode.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/kinds/kind-file.h"
#include "daemons/engine/local-host.h"

static const FieldSpec file_fields[] = {
        FIELD(File, path, FIELD_STR, FIELD_IS_NAME, "Where it is. A path that ends in a slash is a directory."),
        FIELD(File, dirname, FIELD_STR, 0, "Replaces the directory part of the path. Must end in a slash."),
        FIELD(File, basename, FIELD_STR, 0, "Replaces the last part of the path."),
        FIELD(File, state, FIELD_STR, 0, "'exists', 'absent', or '' for whatever it is: then it is never created or removed."),
        FIELD(File, content, FIELD_VALUE, FIELD_OPTIONAL, "What is in it.", .mcl_type = "str"),
        FIELD(File, source, FIELD_STR, 0,
              "A file or, with a slash at its end, a directory on this host to copy from; with symlink, what the link says."),
        FIELD(File, fragments, FIELD_STRV, 0, "Files, or directories of files, that make up the content one after another."),
        FIELD(File, owner, FIELD_STR, 0, "Name or number of the user it belongs to."),
        FIELD(File, group, FIELD_STR, 0, "Name or number of the group it belongs to."),
        FIELD(File, mode, FIELD_STR, 0, "Permissions, octal ('0644') or symbolic ('u=rw,go=r')."),
        FIELD(File, selinux, FIELD_STR, FIELD_OPTIONAL, "Security context; '' for none."),
        FIELD(File, recurse, FIELD_BOOL, 0, "Create parents of a directory; copy, remove or watch all that is below it."),
        FIELD(File, force, FIELD_BOOL, 0, "Replace a directory by a file or a link, or the other way round."),
        FIELD(File, purge, FIELD_BOOL, 0,
              "Remove from a directory what is neither in its source nor managed by another file resource. A directory in which "
              "something is managed stays with all that is in it."),
        FIELD(File, symlink, FIELD_BOOL, 0, "It is a symbolic link; source is what the link says."),
        {}
};

/* ---- the path ---- */

static char *make_target(const File *f) {
        const char *p = f->path;
        size_t n = path_dirname_length(p);
        char *target;

        if (asprintf(&target, "%.*s%s", *f->dirname ? (int) strlen(f->dirname) : (int) n, *f->dirname ? f->dirname : p,
                     *f->basename ? f->basename : p + n) < 0)
                return NULL;
        return target;
}

/* Most say their path and nothing else: then nothing needs to be put together, nor freed. */
const char *file_target(const File *f, char **ret_free) {
        *ret_free = NULL;
        if (!*f->dirname && !*f->basename)
                return f->path;
        return *ret_free = make_target(f);
}

/* ---- validate ---- */

static int validate_fragments(const Resource *r, const char *target, Diag *reterr) {
        const File *f = (const File *) r;

        for (char **s = f->fragments; s && *s; s++) {
                if (**s != '/')
                        return resource_error(r, reterr, -EINVAL, "fragment must be an absolute path, got '%s'", *s);
                if (path_is_inside(target, *s))
                        return resource_error(r, reterr, -EINVAL, "inside a frag (`%s`)", *s);
        }
        return 0;
}

static int validate_source(const Resource *r, const char *target, Diag *reterr) {
        const File *f = (const File *) r;
        bool directory = path_is_directory(f->source);

        if (!*f->source || f->symlink)
                return 0;
        if (*f->source != '/')
                return resource_error(r, reterr, -EINVAL, "source must be an absolute path, got '%s'", f->source);
        if (directory != path_is_directory(target))
                return resource_error(r, reterr, -EINVAL, "either both source and path end in a slash or none, got '%s' and '%s'",
                                      f->source, target);
        if (directory && !f->recurse)
                return resource_error(r, reterr, -EINVAL, "a source that is a directory needs recurse");
        if (!directory && f->recurse)
                return resource_error(r, reterr, -EINVAL, "a source that is a file cannot be copied with recurse");
        if (path_is_inside(target, f->source) || path_is_inside(f->source, target))
                return resource_error(r, reterr, -EINVAL, "source '%s' and '%s' lie in one another", f->source, target);
        return 0;
}

static int validate_purge(const Resource *r, const char *target, Diag *reterr) {
        const File *f = (const File *) r;

        if (f->purge && !f->recurse)
                return resource_error(r, reterr, -EINVAL, "purge needs recurse");
        if (f->purge && !path_is_directory(target))
                return resource_error(r, reterr, -EINVAL, "purge needs a path that ends in a slash, got '%s'", target);
        if (f->purge && streq(f->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "what is absent cannot be purged");
        if ((f->purge || *f->source) && path_is_inside("/", target))
                return resource_error(r, reterr, -EINVAL, "'%s' can neither be purged nor made a copy", target);
        return 0;
}

static int validate_target(const Resource *r, const char *target, Diag *reterr) {
        const File *f = (const File *) r;
        bool absent = streq(f->state, "absent"), directory = path_is_directory(target);
        bool content = f->content.kind != TYPE_NIL;
        mode_t mode;

        if (*target != '/')
                return resource_error(r, reterr, -EINVAL, "path must be absolute, got '%s'", target);
        if (*f->state && !absent && !streq(f->state, "exists"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists', 'absent' or '', got '%s'", f->state);
        if (content + !!*f->source + !!f->fragments > 1)
                return resource_error(r, reterr, -EINVAL, "only one of content, source and fragments can be given");
        if (f->symlink && streq(f->state, "exists") && !*f->source)
                return resource_error(r, reterr, -EINVAL, "a symbolic link needs a source");
        if (f->symlink && (content || f->fragments || f->recurse || f->purge))
                return resource_error(r, reterr, -EINVAL, "a symbolic link cannot have content, fragments, recurse or purge");
        if (absent && (content || *f->source || f->fragments))
                return resource_error(r, reterr, -EINVAL, "what is absent cannot have content, source or fragments");
        if (absent && (*f->owner || *f->group || *f->mode || f->selinux))
                return resource_error(r, reterr, -EINVAL, "what is absent cannot have owner, group, mode or selinux");
        if (directory && (content || f->fragments || f->symlink))
                return resource_error(r, reterr, -EINVAL, "a directory cannot have content, fragments or be a symbolic link");
        if (f->symlink && *f->mode)
                return resource_error(r, reterr, -EINVAL, "a symbolic link has no mode");
        if (*f->mode && file_mode_parse(f->mode, 0, &mode) < 0)
                return resource_error(r, reterr, -EINVAL, "mode must be octal ('0644') or symbolic with '=' ('u=rw,go=r'), got '%s'",
                                      f->mode);
        if (r->meta.reverse && (directory || *f->source || f->symlink))
                return resource_error(r, reterr, -EINVAL, "Meta:reverse works with neither directories nor links nor source");
        int k = validate_source(r, target, reterr);
        if (k >= 0)
                k = validate_purge(r, target, reterr);
        return k < 0 ? k : validate_fragments(r, target, reterr);
}

static int file_validate(const Resource *r, Diag *reterr) {
        const File *f = (const File *) r;
        _cleanup_free_ char *made = NULL;

        if (*f->dirname && !path_is_directory(f->dirname))
                return resource_error(r, reterr, -EINVAL, "dirname must end in a slash, got '%s'", f->dirname);
        if (*f->basename == '/')
                return resource_error(r, reterr, -EINVAL, "basename must not begin with a slash, got '%s'", f->basename);
        const char *target = file_target(f, &made);
        if (!target)
                return -ENOMEM;
        return validate_target(r, target, reterr);
}

/* ---- watch ---- */

static int file_prepare(Resource *r, Diag *reterr) {
        File *f = (File *) r;
        char *made;
        const char *target = file_target(f, &made);

        free(f->target);
        f->target = made || !target ? made : strdup(target);
        return f->target ? 0 : -ENOMEM;
}

static void free_watches(File *f) {
        for (size_t i = 0; i < f->n_watches; i++)
                path_watch_free(f->watches[i]);
        if (f->watches != f->few)
                free(f->watches);
        f->watches = NULL;
        f->n_watches = 0;
}

static void file_unwatch(Resource *r) {
        File *f = (File *) r;

        free_watches(f);
        f->watching = false;
}

static int add_watch(File *f, const char *path, unsigned flags, Diag *reterr) {
        int r = local_host_watch(&f->resource, path, flags, &f->watches[f->n_watches], reterr);

        f->n_watches += r >= 0;
        return r;
}

static int add_watches(File *f, Diag *reterr) {
        const size_t n = 2 + strv_count(f->fragments);
        int k;

        f->watches = n > ELEMENTSOF(f->few) ? calloc(n, sizeof(*f->watches)) : f->few;
        if (!f->watches)
                return resource_error(&f->resource, reterr, -ENOMEM, "cannot watch: %m");
        k = add_watch(f, f->target, f->recurse ? PATH_WATCH_RECURSIVE : path_is_directory(f->target) ? 0 : PATH_WATCH_LOOKED_AT, reterr);
        if (k >= 0 && *f->source && !f->symlink)
                k = add_watch(f, f->source, path_is_directory(f->source) ? PATH_WATCH_RECURSIVE : 0, reterr);
        for (char **s = f->fragments; k >= 0 && s && *s; s++)
                k = add_watch(f, *s, 0, reterr);
        return k;
}

static int file_watch(Resource *r, Diag *reterr) {
        File *f = (File *) r;
        int k;

        f->watching = true;
        k = add_watches(f, reterr);
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

int file_move(File *f, Diag *reterr) {
        int k = file_prepare(&f->resource, reterr);

        if (k < 0 || !f->watching)
                return k;
        free_watches(f);
        return add_watches(f, reterr);
}

/* ---- autoedge ---- */

static int file_uids(const Resource *r, ResourceUids *ret) {
        _cleanup_free_ char *made = NULL;
        const char *target = file_target((const File *) r, &made);

        return target ? resource_uids_add(ret, "file", target, false) : -ENOMEM;
}

/* All that the content is made of; then the directories above, from the nearest up. */
static int file_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const File *f = (const File *) r;
        _cleanup_free_ char *made = NULL;
        const char *target = file_target(f, &made);
        bool has_parts = f->fragments || (*f->source && !f->symlink);
        int k = 0;

        if (!target)
                return -ENOMEM;
        if (has_parts && batch == 0) {
                ret->go_on = true;
                for (char **s = f->fragments; s && *s && k >= 0; s++)
                        k = resource_uids_add(ret, "file", *s, false);
                return k < 0 || !*f->source ? k : resource_uids_add(ret, "file", f->source, false);
        }
        return file_path_wants_above(target, batch - has_parts, ret);
}

/* What is managed no more is not spared any longer. */
static bool file_minds(const Resource *r, const Resource *other) {
        const File *f = (const File *) r;
        _cleanup_free_ char *mine = NULL, *theirs = NULL;

        if (!other)
                return f->purge || path_is_directory(f->source);
        const char *top = file_target(f, &mine), *target = file_target((const File *) other, &theirs);
        return !top || !target || path_is_inside(target, top);
}

static void file_done(Resource *r) {
        File *f = (File *) r;

        file_unwatch(r);
        file_cancel(r);
        free(f->target);
}

const ResourceType file_type = {
        .kind = "file",
        .doc = "A file, a directory or a symbolic link.",
        .example = "file \"/etc/motd\" {\n"
                   "\tstate => \"exists\",\n"
                   "\tcontent => \"welcome\\n\",\n"
                   "\tmode => \"0644\",\n"
                   "}\n",
        .size = sizeof(File),
        .flags = RESOURCE_RECEIVES,
        .fields = file_fields,
        .done = file_done,
        .validate = file_validate,
        .prepare = file_prepare,
        .watch = file_watch,
        .unwatch = file_unwatch,
        .check_apply = file_check_apply,
        .cancel = file_cancel,
        .uids = file_uids,
        .minds = file_minds,
        .wants = file_wants,
        .first_match_ends = true,
        .reverse = file_reverse,
};
