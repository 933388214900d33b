/* SPDX-License-Identifier: GPL-3.0-or-later */

/* From the words on the command line to the files of a program. Which form an argument has is decided by the first rule that
 * applies; an error there is final. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/bundle.h"
#include "common/io.h"
#include "common/strbuf.h"
#include "common/wire.h"
#include "daemons/mgmtctl/download.h"
#include "daemons/mgmtctl/input.h"

enum { FOLDER_DEPTH_MAX = 64 };                 /* below files/ */

/* ---- which form ---- */

static bool is_directory(const char *path) {
        struct stat st;

        return stat(path, &st) >= 0 && S_ISDIR(st.st_mode);
}

/* Absolute, with "." and ".." resolved where the path exists. */
static char *make_absolute(const char *path) {
        char *real = realpath(path, NULL);
        _cleanup_free_ char *cwd = NULL;
        char *joined;

        if (real)
                return real;
        if (path[0] == '/')
                return strdup(path);
        cwd = getcwd(NULL, 0);
        if (!cwd || asprintf(&joined, "%s/%s", cwd, path) < 0)
                return NULL;
        return joined;
}

static char *with_slash(char *directory) {
        char *slashed = NULL;

        if (!directory)
                return NULL;
        if (endswith(directory, "/"))
                return directory;
        if (asprintf(&slashed, "%s/", directory) < 0)
                slashed = NULL;
        free(directory);
        return slashed;
}

/* The entry is a file on disk. The way to it may be a link; where it stands is where its neighbours are looked for. */
static int resolve_file(Input *i, const char *path, Diag *reterr) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *directory = slash ? strndup(path, (size_t) (slash - path) + 1) : strdup(".");

        if (!directory)
                return -ENOMEM;
        if (access(path, R_OK) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot read '%s': %m", path);
        i->base = with_slash(make_absolute(directory));
        if (!i->base || asprintf(&i->entry, "%s%s", i->base, slash ? slash + 1 : path) < 0) {
                i->entry = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int resolve_directory(Input *i, const char *path, Diag *reterr) {
        static const char *const entries[] = { "metadata.yaml", "main.mcl" };

        for (size_t k = 0; k < ELEMENTSOF(entries); k++) {
                _cleanup_free_ char *entry = NULL;

                if (asprintf(&entry, "%s%s%s", path, endswith(path, "/") ? "" : "/", entries[k]) < 0)
                        return -ENOMEM;
                if (access(entry, F_OK) >= 0)
                        return resolve_file(i, entry, reterr);
        }
        return diag_set(reterr, (Pos) {}, -ENOENT, "there is neither metadata.yaml nor main.mcl in the directory '%s'", path);
}

int input_read_stdin(char **ret, size_t *ret_size, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf text = {};

        for (;;) {
                char chunk[16 * 1024];
                ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return diag_set(reterr, (Pos) {}, -errno, "cannot read standard input: %m");
                if (n == 0)
                        break;
                strbuf_add(&text, chunk, (size_t) n);
                if (text.size > SOURCE_MAX)
                        return diag_set(reterr, (Pos) {}, -E2BIG, "standard input has more than %d bytes", SOURCE_MAX);
        }
        size_t size = text.size;
        *ret = strbuf_take(&text);
        *ret_size = size;
        return *ret ? 0 : -ENOMEM;
}

/* It stands for main.mcl in the working directory. */
static int resolve_code(Input *i, char *code, size_t size, const char *label) {
        i->code = code;
        i->code_size = size;
        i->label = strdup(label);
        i->base = with_slash(getcwd(NULL, 0));
        if (!i->code || !i->label || !i->base || asprintf(&i->entry, "%smain.mcl", i->base) < 0) {
                i->entry = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* No program begins like a path, or goes without a blank, a quote or a brace. */
static bool looks_like_path(const char *text) {
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+~@%";

        return strchr("/.~", text[0]) || !text[strspn(text, plain)];
}

static int resolve(Input *i, const char *text, Diag *reterr) {
        if (!*text)
                return diag_set(reterr, (Pos) {}, -EINVAL, "input is empty");
        if (streq(text, "-")) {
                char *code = NULL;
                size_t size = 0;
                int r = input_read_stdin(&code, &size, reterr);

                return r < 0 ? r : resolve_code(i, code, size, "<stdin>");
        }
        if (streq(text, "metadata.yaml"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "unexpected raw code '%s', did you mean './%s'?", text, text);
        if (endswith(text, "/metadata.yaml") || endswith(text, ".mcl"))
                return resolve_file(i, text, reterr);
        if (endswith(text, "/") || is_directory(text))
                return resolve_directory(i, text, reterr);
        if (looks_like_path(text))
                return access(text, F_OK) < 0 ? diag_set(reterr, (Pos) {}, -errno, "cannot read '%s': %m", text) :
                        diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is neither a directory nor does its name end in .mcl", text);
        return resolve_code(i, strdup(text), strlen(text), "<code>");
}

int input_resolve(Input *ret, const char *text, const char *module_path, Diag *reterr) {
        _cleanup_(input_done) Input i = {};
        int r;

        r = resolve(&i, text, reterr);
        if (r < 0)
                return r;
        if (module_path) {
                if (!endswith(module_path, "/"))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "module path does not end with a slash");
                i.module_path = with_slash(make_absolute(module_path));
                if (!i.module_path)
                        return -ENOMEM;
        }
        *ret = i;
        i = (Input) {};
        return 0;
}

void input_done(Input *i) {
        free(i->base);
        free(i->entry);
        free(i->code);
        free(i->label);
        free(i->module_path);
        *i = (Input) {};
}

/* ---- compiling ---- */

int input_read(const Input *i, const char *path, char **ret, size_t *ret_size) {
        if (!i->code || !streq(path, i->entry))
                return read_file_at(AT_FDCWD, path, SOURCE_MAX, ret, ret_size);

        char *copy = malloc(i->code_size + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, i->code, i->code_size);
        copy[i->code_size] = '\0';
        *ret = copy;
        *ret_size = i->code_size;
        return 0;
}

int input_download(const Input *i, const char *url, const char *directory, Diag *reterr) {
        return download_module(url, directory, i->update, reterr);
}

static int host_download(void *userdata, const char *url, const char *directory, Diag *reterr) {
        return input_download(userdata, url, directory, reterr);
}

static int host_read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        return input_read(userdata, path, ret, ret_size);
}

int input_compile(const Input *i, const Schema *schema, const char *hostname, bool only_scope, Lang **ret, Diags *reterr) {
        const LangHost host = {
                .userdata = (void *) i,
                .schema = schema,
                .hostname = hostname,
                .module_path = i->module_path,
                .read_file = host_read_file,
                .download = i->download ? host_download : NULL,
        };

        return lang_compile(ret, &host, &(LangOptions) { .entry = i->entry, .skip_unify = only_scope }, reterr);
}

char *input_source(const Input *i, const char *path, size_t *ret_size) {
        char *source = NULL;

        return path && input_read(i, path, &source, ret_size) >= 0 ? source : NULL;
}

char *input_display(const Input *i, const char *path) {
        _cleanup_free_ char *cwd = getcwd(NULL, 0);
        const char *rest;

        if (i->label && streq(path, i->entry))
                return strdup(i->label);
        rest = cwd ? startswith(path, cwd) : NULL;
        return strdup(rest && rest[0] == '/' && rest[1] ? rest + 1 : path);
}

/* ---- bundle ---- */

char *input_from_bundle(const Input *i, const char *bundle_path) {
        const char *module = i->module_path ? startswith(bundle_path, "/modules/") : NULL;
        char *path;

        return asprintf(&path, "%s%s", module ? i->module_path : i->base, module ?: bundle_path + 1) < 0 ? NULL : path;
}

typedef struct Collection {
        const Input *input;
        Value *items;           /* path, content, path, … */
        size_t n, capacity;     /* Values */
        size_t size_bytes;
        Diag *reterr;
} Collection;

static void collection_done(Collection *c) {
        for (size_t k = 0; k < c->n; k++)
                value_done(&c->items[k]);
        free(c->items);
}

static int collection_add(Collection *c, const char *bundle_path, const char *content, size_t size) {
        _cleanup_(value_done) Value key = {}, value = {};
        int r;

        c->size_bytes += size + strlen(bundle_path);
        if (c->size_bytes > WIRE_BODY_MAX || c->n / 2 >= BUNDLE_FILES_MAX)
                return diag_set(c->reterr, (Pos) {}, -E2BIG, "the program is too large: at most %d files of %d bytes together",
                                BUNDLE_FILES_MAX, WIRE_BODY_MAX);
        r = value_strz(&key, bundle_path);
        if (r < 0)
                return r;
        r = value_str(&value, content, size);
        if (r < 0)
                return r;
        for (int k = 0; k < 2; k++) {
                r = GROW(c->items, c->n, c->capacity);
                if (r < 0)
                        return r;
                c->items[c->n++] = value_take(k == 0 ? &key : &value);
        }
        return 0;
}

static int collect_source(void *userdata, const char *path, const char *content, size_t size) {
        Collection *c = userdata;
        const char *inside = startswith(path, c->input->base);
        const char *module = c->input->module_path ? startswith(path, c->input->module_path) : NULL;
        _cleanup_free_ char *bundle_path = NULL;

        if (!inside && !module)
                return diag_set(c->reterr, (Pos) {}, -EINVAL,
                                "malformed source file path: '%s' is neither below '%s' nor below the module path",
                                path, c->input->base);
        /* The module path may be below the base; its files have their place all the same. */
        if (asprintf(&bundle_path, module ? "/modules/%s" : "/%s", module ?: inside) < 0)
                return -ENOMEM;
        return collection_add(c, bundle_path, content, size);
}

static int collect_folder(Collection *c, const char *folder, unsigned depth) {
        DIR *d = opendir(folder);
        int r = 0;

        if (!d && errno == ENOENT)
                return 0;
        if (!d)
                return diag_set(c->reterr, (Pos) {}, -errno, "cannot read '%s': %m", folder);
        if (depth > FOLDER_DEPTH_MAX)
                r = diag_set(c->reterr, (Pos) {}, -ELOOP, "'%s' is nested too deeply", folder);
        for (struct dirent *e; r >= 0 && (e = readdir(d));) {
                _cleanup_free_ char *path = NULL, *content = NULL;
                size_t size = 0;

                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                if (asprintf(&path, "%s%s", folder, e->d_name) < 0)
                        r = -ENOMEM;
                else if (is_directory(path)) {
                        path = with_slash(TAKE_PTR(path));
                        r = path ? collect_folder(c, path, depth + 1) : -ENOMEM;
                } else {
                        r = read_file_at(AT_FDCWD, path, WIRE_BODY_MAX, &content, &size);
                        if (r < 0)
                                r = diag_set(c->reterr, (Pos) {}, r, "cannot read '%s': %m", path);
                        else
                                r = collect_source(c, path, content, size);
                }
        }
        (void) closedir(d);
        return r;
}

/* A file that stands alone gets the metadata that names it. */
static int collect_metadata(Collection *c) {
        _cleanup_(strbuf_done) StrBuf text = {};
        const char *name = strrchr(c->input->entry, '/') + 1;

        strbuf_puts(&text, "main: ");
        strbuf_quote(&text, name, strlen(name));
        strbuf_putc(&text, '\n');
        if (text.failed)
                return -ENOMEM;
        return collection_add(c, "/metadata.yaml", text.data, text.size);
}

static int collection_take(Collection *c, Value *ret) {
        int r = value_map(ret, c->items, c->n / 2);

        c->n = 0;               /* they were moved */
        return r;
}

/* The word may stand in a comment, or in a text: then the compiler looks for nothing. */
int input_bundle_alone(const Input *i, Value *ret, Diag *reterr) {
        _cleanup_(collection_done) Collection c = { .input = i, .reterr = reterr };
        _cleanup_free_ char *source = NULL;
        size_t size = 0;
        int r;

        if (endswith(i->entry, "/metadata.yaml") || input_read(i, i->entry, &source, &size) < 0 || memmem(source, size, "import", 6))
                return -ENODATA;
        r = collect_source(&c, i->entry, source, size);
        if (r >= 0)
                r = collect_metadata(&c);
        return r < 0 ? r : collection_take(&c, ret);
}

int input_bundle(const Input *i, const Lang *l, Value *ret, Diag *reterr) {
        _cleanup_(collection_done) Collection c = { .input = i, .reterr = reterr };
        int r;

        r = lang_each_file(l, collect_source, &c);
        if (r < 0)
                return r;
        if (!endswith(i->entry, "/metadata.yaml"))
                r = collect_metadata(&c);
        else {
                _cleanup_free_ char *files = NULL;

                if (asprintf(&files, "%sfiles/", i->base) < 0)
                        return -ENOMEM;
                r = collect_folder(&c, files, 0);
        }
        return r < 0 ? r : collection_take(&c, ret);
}
