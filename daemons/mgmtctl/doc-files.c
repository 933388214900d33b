/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manual as files: docs/reference is made so. Every page begins with a mark, and only files with the mark are replaced or
 * removed, so that a wrong directory comes to no harm. */

#include <dirent.h>
#include <fcntl.h>

#include "common/io.h"
#include "common/map.h"
#include "daemons/mgmtctl/doc-manual.h"
#include "daemons/mgmtctl/output.h"

static const char mark[] = "<!-- Made by mgmtctl doc --output. -->\n";

enum { PAGE_SIZE_MAX = 1024 * 1024 };

/* As a file's name: golang/strings is golang-strings. */
static const char *path_in(const Manual *m, const char *folder, const char *name) {
        char *path = arena_printf(m->arena, "%s/%s.md", folder, name);

        for (char *c = path ? path + strlen(folder) + 1 : NULL; c && *c; c++)
                if (*c == '/' || *c == ':')
                        *c = '-';
        return path;
}

const char *manual_path(const Manual *m, const Topic *t) {
        switch (t->kind) {
        case TOPIC_MODULE:
                return path_in(m, "functions", *t->name ? t->name : MODULE_CORE);
        case TOPIC_KIND:
                return path_in(m, "resources", t->name);
        case TOPIC_METAS:
                return "metaparameters.md";
        default:
                return "";
        }
}

/* 1: it is a page of a manual; 0: there is nothing; -EEXIST: it is something else. */
static int is_page(int directory, const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_file_at(directory, path, PAGE_SIZE_MAX, &text, &size);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : startswith(text, mark) ? 1 : -EEXIST;
}

typedef struct Files {
        const char *name;       /* of the directory, for messages */
        int directory;
        Map *written;
} Files;

static int write_page(Files *f, const char *path, DocPage *p) {
        _cleanup_free_ char *text = strbuf_take(&p->text), *page = NULL;
        int r;

        if (!path || !text || asprintf(&page, "%s\n%s", mark, text) < 0) {
                page = NULL;
                return -ENOMEM;
        }
        r = is_page(f->directory, path);
        if (r >= 0)
                r = write_file_atomic_at(f->directory, path, page, strlen(page), 0644, false);
        if (r >= 0)
                r = map_put(f->written, path, f->written);
        if (r == -EEXIST)
                output_error("'%s/%s' is in the way: it is no page of a manual", f->name, path);
        else if (r < 0)
                output_error("cannot write '%s/%s': %s", f->name, path, strerrordesc_np(-r));
        return r;
}

static int write_topics(const Manual *m, Files *f) {
        int r = 0;

        for (size_t i = 0; i < m->n && r >= 0; i++) {
                const Topic *t = &m->topics[i];
                DocPage p = { .markdown = true };
                if (t->kind != TOPIC_MODULE && t->kind != TOPIC_KIND && t->kind != TOPIC_METAS)
                        continue;
                manual_write(m, &p, t);
                r = write_page(f, manual_path(m, t), &p);
        }
        return r;
}

static int write_consts(const Manual *m, Files *f) {
        _cleanup_free_ const Topic **consts = calloc(m->n + 1, sizeof(Topic *));
        DocPage p = { .markdown = true };
        size_t n = 0;

        if (!consts)
                return -ENOMEM;
        for (size_t i = 0; i < m->n; i++)
                if (m->topics[i].kind == TOPIC_CONST)
                        consts[n++] = &m->topics[i];
        manual_write_consts(m, &p, consts, n);
        return write_page(f, "constants.md", &p);
}

static int write_index(const Manual *m, Files *f) {
        DocPage p = { .markdown = true };

        manual_write_overview(m, &p);
        return write_page(f, "README.md", &p);
}

static int remove_old(const Manual *m, const Files *f, const char *folder) {
        int fd = openat(f->directory, folder, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *e;

        if (!d) {
                closep(&fd);
                return -errno;
        }
        while ((e = readdir(d))) {
                const char *path = arena_printf(m->arena, "%s/%s", folder, e->d_name);
                if (path && endswith(path, ".md") && !map_get(f->written, path) && is_page(f->directory, path) > 0)
                        (void) unlinkat(f->directory, path, 0);         /* what stays is looked at by a test */
        }
        (void) closedir(d);
        return 0;
}

static int make_folders(const Manual *m, const char *directory) {
        static const char *const folders[] = { "functions", "resources" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(folders) && r >= 0; i++) {
                const char *path = arena_printf(m->arena, "%s/%s", directory, folders[i]);
                r = path ? make_directories(path, 0755) : -ENOMEM;
        }
        return r;
}

int manual_write_files(const Manual *m, const char *directory) {
        _cleanup_(map_freep) Map *written = map_new();
        _cleanup_close_ int fd = -EBADF;
        int r = written ? make_folders(m, directory) : -ENOMEM;

        if (r >= 0) {
                fd = open(directory, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
                r = fd < 0 ? -errno : 0;
        }
        if (r < 0) {
                output_error("cannot write to '%s': %s", directory, strerrordesc_np(-r));
                return r;
        }
        Files f = { .name = directory, .directory = fd, .written = written };
        r = write_topics(m, &f);
        if (r >= 0)
                r = write_consts(m, &f);
        if (r >= 0)
                r = write_index(m, &f);
        if (r >= 0)
                r = remove_old(m, &f, "functions");
        if (r >= 0)
                r = remove_old(m, &f, "resources");
        return r;
}
