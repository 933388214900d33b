/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl check`: all that can be said of a program without running it. Its errors are those that `run` and `deploy` would refuse
 * it with; that its files have the layout of `mgmtctl fmt` is looked at as well, and both are told in one run. */

#include <sys/utsname.h>

#include "common/paths.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/program.h"
#include "lang/format.h"

static bool arg_skip_unify = false;
static bool arg_skip_fmt = false;
static const char *arg_module_path = NULL;
static bool arg_download = false;
static bool arg_update = false;

static const Option check_options[] = {
        { "skip-unify", OPTION_FLAG, &arg_skip_unify, .doc = "do not check types" },
        { "skip-fmt", OPTION_FLAG, &arg_skip_fmt, .doc = "do not check the layout" },
        { "module-path", OPTION_STR, &arg_module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_update, .doc = "with --download: bring those that are there up to date" },
        {}
};

/* The files that the compiler asked for. */
typedef struct Check {
        Input input;
        Schema *schema;
        char **files;
        size_t n_files, capacity;
} Check;

static void check_done(Check *c) {
        for (size_t i = 0; i < c->n_files; i++)
                free(c->files[i]);
        free(c->files);
        schema_free(c->schema);
        input_done(&c->input);
}

static int check_read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        Check *c = userdata;
        int r = input_read(&c->input, path, ret, ret_size);

        if (r < 0)
                return r;
        if (GROW(c->files, c->n_files, c->capacity) < 0 || !(c->files[c->n_files] = strdup(path))) {
                free(TAKE_PTR(*ret));
                return -ENOMEM;
        }
        c->n_files++;
        return 0;
}

static int check_download(void *userdata, const char *url, const char *directory, Diag *reterr) {
        return input_download(&((Check *) userdata)->input, url, directory, reterr);
}

static int check_open(Check *c, const char *input) {
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *kinds = path_data("kinds.json");
        int r;

        r = kinds ? schema_load(&c->schema, kinds, &d) : -ENOMEM;
        if (r >= 0)
                r = input_resolve(&c->input, input, arg_module_path, &d);
        if (r < 0)
                output_error("%s", d.message ?: strerrordesc_np(-r));
        c->input.update = arg_update;
        return r;
}

static int check_compile(Check *c) {
        _cleanup_(lang_freep) Lang *lang = NULL;
        _cleanup_(diags_done) Diags diags = {};
        struct utsname host;

        if (uname(&host) < 0)
                return -errno;
        const LangHost lang_host = {
                .userdata = c,
                .schema = c->schema,
                .hostname = host.nodename,
                .module_path = c->input.module_path,
                .read_file = check_read_file,
                .download = arg_download ? check_download : NULL,
        };
        int r = lang_compile(&lang, &lang_host, &(LangOptions) { .entry = c->input.entry, .skip_unify = arg_skip_unify }, &diags);

        for (size_t i = 0; i < diags.n; i++)
                program_print_diag(&c->input, &diags.items[i]);
        if (diags.dropped > 0)
                output_error("%zu more errors", diags.dropped);
        if (r < 0 && diags.n == 0)
                output_error("cannot compile: %s", strerrordesc_np(-r));
        return r;
}

/* Code on the command line does not end in a newline. */
static bool is_formatted(const char *text, size_t size, const char *formatted, size_t formatted_size, bool code) {
        return (size == formatted_size || (code && size + 1 == formatted_size)) && memcmp(text, formatted, size) == 0;
}

/* Where the first character stands that is to be another. */
static Pos first_difference(const char *file, const char *text, size_t size, const char *formatted, size_t formatted_size) {
        Pos pos = { .file = file, .line = 1, .column = 1 };

        for (size_t i = 0; i < size && i < formatted_size && text[i] == formatted[i]; i++)
                if (text[i] == '\n') {
                        pos.line++;
                        pos.column = 1;
                } else if (((unsigned char) text[i] & 0xc0) != 0x80)
                        pos.column++;
        pos.end_line = pos.line;
        pos.end_column = pos.column + 1;
        return pos;
}

static int check_format(const Check *c, const char *path) {
        _cleanup_free_ char *text = NULL, *formatted = NULL, *shown = input_display(&c->input, path);
        _cleanup_(diag_done) Diag d = {};
        size_t size = 0, formatted_size = 0;
        int r;

        r = shown ? input_read(&c->input, path, &text, &size) : -ENOMEM;
        if (r < 0) {
                output_error("cannot read '%s': %s", path, strerrordesc_np(-r));
                return r;
        }
        r = format_text(shown, text, size, &formatted, &formatted_size, &d);
        if (r == -EBADMSG)
                return 0;       /* the compiler has said so */
        if (r < 0) {
                output_diag(&d, NULL, 0);
                return r;
        }
        if (is_formatted(text, size, formatted, formatted_size, c->input.label))
                return 0;
        diag_set(&d, first_difference(shown, text, size, formatted, formatted_size), -EBADMSG, "not formatted");
        if (!c->input.label)
                (void) diag_note(&d, (Pos) {}, "help: mgmtctl fmt %s", shown);
        output_diag_warning(&d, text, size);
        return -EBADMSG;
}

/* What modules of others look like is their own affair. */
static bool is_ours(const Check *c, const char *path) {
        return endswith(path, ".mcl") && startswith(path, c->input.base) &&
               !(c->input.module_path && startswith(path, c->input.module_path));
}

static int run_check(char *arguments[], int n) {
        _cleanup_(check_done) Check c = {};

        if (check_open(&c, arguments[0]) < 0)
                return EXIT_ERROR;
        int r = check_compile(&c);
        for (size_t i = 0; i < c.n_files && !arg_skip_fmt; i++)
                if (is_ours(&c, c.files[i])) {
                        int k = check_format(&c, c.files[i]);
                        r = r < 0 ? r : k;
                }
        return r < 0 ? EXIT_ERROR : EXIT_SUCCESS;
}

const Command command_check = {
        .name = "check",
        .arguments = "INPUT",
        .doc = "Say what is wrong with a program, without running it",
        .help = "INPUT is a .mcl file, a directory, metadata.yaml, '-' (standard input) or mcl code. With --json each error is an\n"
                "object with file, line, column, end_line, end_column, severity, message and notes.\n\n"
                "Exit codes: 0 all is well, 1 the program has errors or is not formatted.\n",
        .options = check_options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_check,
};
