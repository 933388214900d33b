/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What tests of the kind file share: a resource that goes its way from drift to nothing to do, and looks at directories. */

#include <dirent.h>

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType file_type;

static mode_t mode_of(const char *name) {
        struct stat st;
        return lstat(in_dir(name), &st) < 0 ? 0 : st.st_mode & 07777;
}

static bool exists(const char *name) {
        struct stat st;
        return lstat(in_dir(name), &st) >= 0;
}

static unsigned n_entries(const char *name) {
        DIR *d = opendir(in_dir(name));
        unsigned n = 0;

        for (const struct dirent *e; d && (e = readdir(d));)
                n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
        if (d)
                (void) closedir(d);
        return n;
}

static int collect(const char *path, StrBuf *b) {
        struct dirent **list;
        int n = scandir(path, &list, NULL, alphasort);

        for (int i = 0; i < n; i++) {
                char below[512];
                if (!streq(list[i]->d_name, ".") && !streq(list[i]->d_name, "..")) {
                        (void) snprintf(below, sizeof(below), "%s/%s", path, list[i]->d_name);
                        strbuf_printf(b, "%s%s", b->size > 0 ? " " : "", below + strlen(rig.dir) + 1);
                        if (list[i]->d_type == DT_DIR) {
                                strbuf_putc(b, '/');
                                (void) collect(below, b);
                        }
                }
                free(list[i]);
        }
        free(list);
        return n;
}

/* Everything below a directory, by name: "d/a d/sub/ d/sub/b". */
static void check_tree(const char *name, const char *want) {
        StrBuf b = {};

        (void) collect(in_dir(name), &b);
        char *text = strbuf_take(&b);
        CHECK_STR(text, want);
        free(text);
}

/* Looks (finds drift, changes nothing), applies, looks again. */
static void converge(const char *name, const char *const *fields) {
        CHECK_INT(rig_make(&file_type, name, fields), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        if (rig.host.diag.message)
                TEST_FAIL("%s: %s", name, rig.host.diag.message);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_apply(false), CHECK_OK);
}

static void fails(const char *name, const char *const *fields, int error) {
        CHECK_INT(rig_make(&file_type, name, fields), 0);
        CHECK_INT(file_type.prepare(rig.r, &rig.host.diag), 0);
        CHECK_INT(rig_apply(true), error);
        CHECK(rig.host.diag.message);
        CHECK_INT(rig.host.diag.pos.line, 3);
}

static void make_dir(const char *name) {
        CHECK_INT(mkdir(in_dir(name), 0755), 0);
}

/* An attempt that goes on: CHECK_PENDING, or what it came to already. */
static int begin_apply(void) {
        diag_done(&rig.host.diag);
        rig.host.finished = NOT_FINISHED;
        rig.r->applies = true;
        return rig.r->type->check_apply(rig.r, true, &rig.host.diag);
}

static int finish_apply(void) {
        (void) RIG_UNTIL(rig.host.finished != NOT_FINISHED);
        return rig.host.finished;
}

static inline void file_test_unused(void) {
        (void) mode_of;
        (void) exists;
        (void) n_entries;
        (void) check_tree;
        (void) converge;
        (void) fails;
        (void) make_dir;
        (void) begin_apply;
        (void) finish_apply;
}
