/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl fmt`: rewrites programs in the one layout. A file that is fine is not touched, one with errors is left alone, and one
 * that is rewritten is never seen half-written, and keeps its mode and its owner. */

#include <fcntl.h>
#include <fts.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/input.h"
#include "daemons/mgmtctl/output.h"
#include "lang/format.h"

static bool arg_test = false;
static bool arg_verbose = false;

static const Option fmt_options[] = {
        { "test", OPTION_FLAG, &arg_test, .letter = 't', .doc = "write nothing, fail if anything would change" },
        { "verbose", OPTION_FLAG, &arg_verbose, .letter = 'v', .doc = "name the files that are rewritten" },
        {}
};

static void say(const char *type, const char *text, const char *path) {
        if (arg_json) {
                struct json_object *j = json_object_new_object();

                output_json_str(j, "type", type);
                output_json_str(j, "file", path);
                output_json(j);
        } else
                output_note(type, "%s: %s", text, path);
}

static int format(const char *name, const char *text, size_t size, char **ret, size_t *ret_size) {
        _cleanup_(diag_done) Diag d = {};
        int r = format_text(name, text, size, ret, ret_size, &d);

        if (r < 0)
                output_diag(&d, text, size);
        return r;
}

static int rewrite(const char *path, const char *text, size_t size) {
        _cleanup_free_ char *real = realpath(path, NULL);       /* what a link points at is rewritten, the link stays */
        struct stat st;
        int r;

        if (!real || stat(real, &st) < 0)
                return -errno;
        r = write_file_atomic_at(AT_FDCWD, real, text, size, st.st_mode & 07777, false);
        if (r < 0)
                return r;
        if (geteuid() == 0 && (chown(real, st.st_uid, st.st_gid) < 0 || chmod(real, st.st_mode & 07777) < 0))
                return -errno;
        return 0;
}

/* 0 if all is well afterwards. */
static int format_file(const char *path) {
        _cleanup_free_ char *text = NULL, *formatted = NULL;
        size_t size = 0, formatted_size = 0;
        int r;

        r = read_file_at(AT_FDCWD, path, SOURCE_MAX, &text, &size);
        if (r < 0) {
                output_error("cannot read '%s': %s", path, strerrordesc_np(-r));
                return r;
        }
        r = format(path, text, size, &formatted, &formatted_size);
        if (r < 0)
                return r;
        if (size == formatted_size && memcmp(text, formatted, size) == 0)
                return 0;
        if (arg_test) {
                say("not-formatted", "not formatted", path);
                return -EBADMSG;
        }
        r = rewrite(path, formatted, formatted_size);
        if (r < 0) {
                output_error("cannot write '%s': %s", path, strerrordesc_np(-r));
                return r;
        }
        if (arg_verbose)
                say("formatted", "wrote", path);
        return 0;
}

static int format_stdin(void) {
        _cleanup_free_ char *text = NULL, *formatted = NULL;
        size_t size = 0, formatted_size = 0;
        _cleanup_(diag_done) Diag d = {};
        int r;

        r = input_read_stdin(&text, &size, &d);
        if (r < 0) {
                output_error("%s", d.message ?: strerrordesc_np(-r));
                return r;
        }
        r = format("<stdin>", text, size, &formatted, &formatted_size);
        if (r < 0)
                return r;
        if (arg_test)
                return size == formatted_size && memcmp(text, formatted, size) == 0 ? 0 : -EBADMSG;
        return write_all(STDOUT_FILENO, formatted, formatted_size);
}

static int compare_names(const FTSENT **a, const FTSENT **b) {
        return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_hidden(const FTSENT *e) {
        return e->fts_level > 0 && e->fts_name[0] == '.';
}

/* Every .mcl file below, without following links, and without looking where others keep things (.git). */
static int format_directory(const char *path) {
        char *const roots[] = { (char *) path, NULL };
        FTS *walk = fts_open(roots, FTS_PHYSICAL|FTS_NOCHDIR, compare_names);
        FTSENT *e;
        int r = 0;

        if (!walk) {
                output_error("cannot read '%s': %m", path);
                return -errno;
        }
        while ((e = fts_read(walk))) {
                int k = 0;

                if (is_hidden(e))
                        (void) fts_set(walk, e, FTS_SKIP);
                else if (e->fts_info == FTS_F && endswith(e->fts_name, ".mcl"))
                        k = format_file(startswith(e->fts_path, "./") ?: e->fts_path);
                else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
                        k = -e->fts_errno;
                        output_error("cannot read '%s': %s", e->fts_path, strerrordesc_np(e->fts_errno));
                }
                r = k < 0 ? k : r;
        }
        (void) fts_close(walk);
        return r;
}

static int run_fmt(char *arguments[], int n) {
        const char *path = n > 0 && *arguments[0] ? arguments[0] : ".";
        struct stat st;
        int r;

        if (streq(path, "-"))
                r = format_stdin();
        else if (stat(path, &st) >= 0 && S_ISDIR(st.st_mode))
                r = format_directory(path);
        else
                r = format_file(path);
        return r < 0 ? EXIT_ERROR : EXIT_SUCCESS;
}

const Command command_fmt = {
        .name = "fmt",
        .arguments = "[PATH]",
        .doc = "Format programs",
        .help = "PATH is a file, a directory (then every .mcl file below it is formatted), or '-' (standard input to standard output).\n"
                "Without it, the working directory. Comments stay, the meaning stays, and formatting twice is formatting once.\n\n"
                "Exit codes: 0 all is formatted, 1 a file has errors, or (--test) would change.\n",
        .options = fmt_options,
        .max_arguments = 1,
        .run = run_fmt,
};
