/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-augeas -- one edit through a lens, for the kind augeas. Augeas parses texts of whoever writes configuration files, it can take
 * its time, and it calls nobody back meanwhile: so it has a process to itself, which has no rights, sees no files but lenses, and lives
 * as long as the edit.
 *
 * On stdin, each with a NUL behind it: the lens, the text, then paths and values in turn. On stdout comes the new text. It ends with 0,
 * with AUGEAS_RIGHT if every path has its value already, or with 1 and an error on stderr. */

#include <stdio.h>

#include <augeas.h>

#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/augeas-tool.h"
#include "daemons/engine/kinds/tool-rights.h"

/* Where things are in the tree, which is empty but for them. */
#define INPUT "/in"
#define OUTPUT "/out"
#define TOP "/text"
#define FAILURE "/augeas/text" TOP "/error"

static int fail(const char *what, const char *why) {
        fprintf(stderr, "%s: %s\n", what, why && *why ? why : "no reason given");
        return EXIT_FAILURE;
}

/* What is wrong with the last call: either the call, or the text or tree that it was about. */
static int augeas_failed(augeas *a, const char *what) {
        const char *message = NULL, *line = NULL, *column = NULL, *details = aug_error_details(a);

        if (aug_error(a) != AUG_NOERROR)
                return fail(what, details && *details ? details : aug_error_message(a));
        (void) aug_get(a, FAILURE "/message", &message);
        (void) aug_get(a, FAILURE "/line", &line);
        (void) aug_get(a, FAILURE "/char", &column);
        if (line && column)
                fprintf(stderr, "line %s, column %s: ", line, column);
        return fail(what, message);
}

static bool read_all(FILE *f, StrBuf *ret) {
        char buffer[16 * 1024];
        size_t n;

        while ((n = fread(buffer, 1, sizeof(buffer), f)) > 0)
                strbuf_add(ret, buffer, n);
        return !ferror(f) && !ret->failed;
}

/* The next of the texts, or NULL. */
static const char *next_text(const StrBuf *b, size_t *at) {
        const char *text = b->data + *at;
        const char *nul = *at < b->size ? memchr(text, '\0', b->size - *at) : NULL;

        if (!nul)
                return NULL;
        *at += (size_t) (nul - text) + 1;
        return text;
}

/* 1: the node has the value; one that is not there has an empty one. 0: it has another. Or negative. */
static int has_value(augeas *a, const char *path, const char *value) {
        const char *have = NULL;

        if (aug_get(a, path, &have) < 0)
                return -augeas_failed(a, path + strlen(TOP "/"));
        return streq(have ? have : "", value);
}

/* Calls back for each path, which then is one in our tree, and its value, until that fails. */
static int for_each_set(augeas *a, const StrBuf *request, size_t at, int (*callback)(augeas *a, const char *path, const char *value)) {
        const char *path, *value;
        int sum = 0;

        while ((path = next_text(request, &at)) && (value = next_text(request, &at))) {
                _cleanup_free_ char *whole = NULL;
                if (asprintf(&whole, TOP "/%s", path) < 0) {
                        whole = NULL;
                        return -fail(path, "out of memory");
                }
                int r = callback(a, whole, value);
                if (r < 0)
                        return r;
                sum += r;
        }
        return sum;
}

static int set(augeas *a, const char *path, const char *value) {
        int r = has_value(a, path, value);

        if (r != 0)
                return r < 0 ? r : 0;
        return aug_set(a, path, value) < 0 ? -augeas_failed(a, path + strlen(TOP "/")) : 1;
}

/* Entries that are counted, say, have other names once they are read again; each attempt would add one. */
static int confirm(augeas *a, const char *path, const char *value) {
        int r = has_value(a, path, value);

        return r != 0 ? r : -fail(path + strlen(TOP "/"), "it would not be found there again");
}

static int edit(augeas *a, const StrBuf *request) {
        const char *lens, *text;
        size_t at = 0;
        int r;

        lens = next_text(request, &at);
        text = next_text(request, &at);
        if (!text)
                return fail("request", "it is not complete");
        if (aug_set(a, INPUT, text) < 0 || aug_text_store(a, lens, INPUT, TOP) < 0)
                return augeas_failed(a, lens);
        r = for_each_set(a, request, at, set);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : AUGEAS_RIGHT;
        if (aug_text_retrieve(a, lens, INPUT, TOP, OUTPUT) < 0 || aug_text_store(a, lens, OUTPUT, TOP) < 0)
                return augeas_failed(a, lens);
        if (for_each_set(a, request, at, confirm) < 0)
                return EXIT_FAILURE;
        if (aug_get(a, OUTPUT, &text) < 0 || !text)
                return augeas_failed(a, lens);
        return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? fail("stdout", strerror(errno)) : EXIT_SUCCESS;
}

int main(void) {
        _cleanup_(strbuf_done) StrBuf request = {};

        if (tool_drop_rights() < 0)
                return fail("cannot become nobody", strerror(errno));
        if (!read_all(stdin, &request))
                return fail("cannot read the request", strerror(errno));
        augeas *a = aug_init(NULL, NULL, AUG_NO_LOAD | AUG_NO_MODL_AUTOLOAD | AUG_NO_ERR_CLOSE);
        if (!a)
                return fail("augeas", "out of memory");
        int r = aug_error(a) == AUG_NOERROR ? edit(a, &request) : augeas_failed(a, "augeas");
        aug_close(a);
        return r;
}
