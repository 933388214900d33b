/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Imports: what a name between quotes means (decided by how it looks, never by what is there), where its files are, and the
 * chain of places that an error in a module is told with. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lang/builtins.h"
#include "lang/program.h"

enum { IMPORT_DEPTH_MAX = 100 };

typedef enum ImportKind {
        IMPORT_SYSTEM,          /* "fmt": comes with the language */
        IMPORT_LOCAL,           /* "x.mcl", "dir/": beside the importing file */
        IMPORT_REMOTE,          /* "git://host/path": in a module directory */
} ImportKind;

typedef struct ImportName {
        ImportKind kind;
        const char *alias;
        const char *path;       /* REMOTE: host and path, with trailing slash */
        const char *url;        /* REMOTE: where it can be had */
} ImportName;

/* ---- names ---- */

static const char *scheme_end(const char *s) {
        const char *p = s;

        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
                return NULL;
        while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '+' || *p == '-' ||
               *p == '.')
                p++;
        return *p == ':' ? p : NULL;
}

/* The path without empty, "." and inner ".." components, as the rule wants it to be already. In the arena. */
static const char *clean_path(Arena *a, const char *path) {
        size_t n = strlen(path);
        char *out = arena_alloc(a, n + 2);
        size_t at = 0, floor = 0;
        if (!out)
                return NULL;

        bool absolute = path[0] == '/';
        if (absolute)
                out[at++] = '/';
        floor = at;
        while (*path) {
                size_t size = strcspn(path, "/");
                if (size == 0 || (size == 1 && path[0] == '.'))
                        ;
                else if (size == 2 && memcmp(path, "..", 2) == 0) {
                        if (at > floor) {
                                while (at > floor && out[at - 1] != '/')
                                        at--;
                                if (at > floor)
                                        at--;
                        } else if (!absolute) {
                                if (at > 0)
                                        out[at++] = '/';
                                out[at++] = '.';
                                out[at++] = '.';
                                floor = at;
                        }
                } else {
                        if (at > 0 && out[at - 1] != '/')
                                out[at++] = '/';
                        memcpy(out + at, path, size);
                        at += size;
                }
                path += size;
                path += *path == '/';
        }
        if (at == 0)
                out[at++] = '.';
        out[at] = 0;
        return out;
}

static const char *make_alias(Arena *a, const char *path, bool file) {
        size_t end = strlen(path), start;

        while (end > 0 && path[end - 1] == '/')
                end--;
        start = end;
        while (start > 0 && path[start - 1] != '/')
                start--;
        if (end - start > strlen("mgmt-") && memcmp(path + start, "mgmt-", strlen("mgmt-")) == 0)
                start += strlen("mgmt-");

        char *alias = arena_strndup(a, path + start, end - start);
        if (!alias)
                return NULL;
        if (file && endswith(alias, ".mcl"))
                alias[strlen(alias) - strlen(".mcl")] = 0;
        for (char *c = alias; *c; c++) {
                if (*c == '-')
                        *c = '_';
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char) (*c - 'A' + 'a');
        }
        return alias;
}

/* Takes the name apart: 0, or -EINVAL and *ret_reason says why it is not valid. */
static int parse_name(Arena *a, const char *name, ImportName *ret, const char **ret_reason) {
        const char *colon = scheme_end(name), *path = name, *host = "";

        *ret_reason = NULL;
        if (name[0] == 0)
                *ret_reason = "empty name";
        else if (name[0] == '/')
                *ret_reason = "absolute paths are not allowed";
        if (*ret_reason)
                return -EINVAL;

        if (colon) {
                path = colon + 1;
                if (startswith(path, "//")) {
                        size_t n = strcspn(path + 2, "/?#");
                        host = arena_strndup(a, path + 2, n);
                        path += 2 + n;
                }
                path = arena_strndup(a, path, strcspn(path, "?#"));
        }
        if (!path || !host)
                return -ENOMEM;
        if (path[0] == 0) {
                *ret_reason = "empty path";
                return -EINVAL;
        }

        const char *clean = clean_path(a, path);
        size_t n = strlen(path);
        bool directory = path[n - 1] == '/', file = !colon && endswith(path, ".mcl");
        if (!clean)
                return -ENOMEM;
        if (strncmp(clean, path, strlen(clean)) != 0 || n - strlen(clean) > (directory && n > 1)) {
                *ret_reason = arena_printf(a, "dirty path, cleaned it's: `%s`", clean);
                return -EINVAL;
        }

        ret->alias = make_alias(a, path, file);
        if (!ret->alias)
                return -ENOMEM;
        size_t m = strlen(ret->alias);
        if (m == 0 || ret->alias[0] == '_' || ret->alias[m - 1] == '_') {
                *ret_reason = "name can't begin or end with dash or underscore";
                return -EINVAL;
        }
        ret->kind = colon ? IMPORT_REMOTE : directory || file ? IMPORT_LOCAL : IMPORT_SYSTEM;
        if (colon) {
                ret->url = arena_strndup(a, name, strcspn(name, "?#"));
                if (!ret->url)
                        return -ENOMEM;
                size_t host_size = strcspn(host, ":");
                const char *at = memchr(host, '@', host_size);
                if (at) {
                        host_size -= (size_t) (at + 1 - host);
                        host = at + 1;
                }
                while (host_size == 0 && *path == '/')
                        path++;
                ret->path = arena_printf(a, "%.*s%s%s", (int) host_size, host, path, directory ? "" : "/");
                if (!ret->path)
                        return -ENOMEM;
        }
        return 0;
}

const char *import_alias(Program *p, const Stmt *s) {
        ImportName name = {};
        const char *reason;

        int r = parse_name(p->arena, s->import.name, &name, &reason);
        if (r == -ENOMEM) {
                program_oom(p);
                return NULL;
        }
        if (r < 0) {
                program_fail(p, s->pos, "import `%s` is not valid: %s", s->import.name, reason ?: "?");
                return NULL;
        }
        return s->import.alias ?: name.alias;
}

/* ---- metadata ---- */

/* One line "key: value" of the little YAML that metadata files are written in. */
static bool metadata_line(Arena *a, const char *line, size_t size, char **ret_key, char **ret_value) {
        const char *colon = memchr(line, ':', size);
        if (!colon || size == 0 || line[0] == '#' || line[0] == ' ' || line[0] == '-')
                return false;

        size_t key_size = (size_t) (colon - line);
        const char *value = colon + 1, *end = line + size;
        while (value < end && (*value == ' ' || *value == '\t'))
                value++;
        if (value < end && (*value == '"' || *value == '\'')) {
                const char *close = memchr(value + 1, *value, (size_t) (end - value - 1));
                value++;
                end = close ?: end;
        } else {
                for (const char *c = value; c < end; c++)
                        if (*c == '#' && (c == value || c[-1] == ' ' || c[-1] == '\t')) {
                                end = c;
                                break;
                        }
                while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
                        end--;
        }
        *ret_key = arena_strndup(a, line, key_size);
        *ret_value = arena_strndup(a, value, (size_t) (end - value));
        return *ret_key && *ret_value;
}

static bool is_relative_dir(const char *s) {
        return s[0] != '/' && endswith(s, "/");
}

static int metadata_parse(Program *p, const SourceFile *f, Metadata *m, Diag *reterr) {
        const char *at = f->text, *end = f->text + f->size;
        Pos pos = { .file = f->path };

        for (unsigned line = 1; at < end; line++) {
                size_t size = (size_t) ((char *) (memchr(at, '\n', (size_t) (end - at)) ?: (void *) end) - at);
                char *key, *value;
                pos = (Pos) { f->path, line, 1, line, (uint32_t) size + 1 };
                if (metadata_line(p->arena, at, size, &key, &value)) {
                        if (streq(key, "main"))
                                m->main = value[0] ? value : m->main;
                        else if (streq(key, "path"))
                                m->path = value[0] ? value : NULL;
                        else if (streq(key, "files"))
                                m->files = value[0] ? value : m->files;
                        else if (streq(key, "parentpathblock"))
                                m->parent_path_block = streq(value, "true");
                        if (m->main[0] == '/' || endswith(m->main, "/"))
                                return diag_set(reterr, pos, -EINVAL, "the Main field must be a relative file path");
                        if (m->path && !is_relative_dir(m->path))
                                return diag_set(reterr, pos, -EINVAL, "the Path field must be undefined or be a relative dir path");
                        if (!is_relative_dir(m->files))
                                return diag_set(reterr, pos, -EINVAL, "the Files field must be undefined or be a relative dir path");
                }
                at += size + 1;
        }
        return 0;
}

/* ---- modules ---- */

/* The directory of a path, with trailing slash. In the arena. */
static const char *directory_of(Arena *a, const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? arena_strndup(a, path, (size_t) (slash - path) + 1) : "";
}

static int read_failed(Program *p, Pos pos, const char *path, int error) {
        program_fail(p, pos, "could not activate an input parser: can't read file `%s`: %s", path, strerror(-error));
        return error;
}

/* Finds metadata and entry of an input: a metadata.yaml, a directory, or a file. pos: of the import. */
static int find_entry(Program *p, const char *input, Pos pos, const Metadata *parent, Metadata **ret, const SourceFile **ret_file) {
        Metadata *m = arena_new0(p->arena, Metadata);
        const SourceFile *f = NULL;
        int r;

        if (!m)
                return program_oom(p);
        *m = (Metadata) { .main = "main.mcl", .files = "files/", .parent = parent };
        m->base = directory_of(p->arena, input);

        const char *metadata_path = NULL;
        if (endswith(input, "/"))
                metadata_path = arena_printf(p->arena, "%smetadata.yaml", input);
        else if (endswith(input, "/metadata.yaml"))
                metadata_path = input;
        if (metadata_path) {
                r = program_read(p, metadata_path, &f);
                if (r < 0 && (r != -ENOENT || !endswith(input, "/")))
                        return read_failed(p, pos, metadata_path, r);
                if (r >= 0) {
                        _cleanup_(diag_done) Diag error = {};
                        m->located = true;
                        r = metadata_parse(p, f, m, &error);
                        if (r < 0)
                                return program_fail_diag(p, &error);
                }
        } else {
                const char *slash = strrchr(input, '/');
                m->main = slash ? slash + 1 : input;
        }

        const char *entry = arena_printf(p->arena, "%s%s", m->base, m->main);
        if (!m->base || !entry)
                return program_oom(p);
        r = program_read(p, entry, &f);
        if (r < 0)
                return read_failed(p, pos, entry, r);
        *ret = m;
        *ret_file = f;
        return 0;
}

int module_load(Program *p, const char *input, Module *parent, const char *name, Module **ret) {
        _cleanup_(diag_done) Diag error = {};
        const SourceFile *f = NULL;
        Module *m = arena_new0(p->arena, Module);
        size_t before = p->errors->n;
        int r;

        if (!m)
                return program_oom(p);
        m->name = name;
        m->parent = parent;
        r = find_entry(p, input, (Pos) {}, parent ? parent->metadata : NULL, &m->metadata, &f);
        if (r < 0)
                return r;

        r = ast_parse(p->arena, f->path, f->text, f->size, &m->ast, &error);
        if (r < 0) {
                program_fail_diag(p, &error);
                if (parent)
                        program_prefix(p, before, "could not generate AST from import");
                return r;
        }
        *ret = m;
        if (!parent)
                p->stage = LANG_STAGE_INIT;
        r = init_block(p, m->ast.block);
        if (r < 0) {
                if (parent)
                        program_prefix(p, before, "could not init and validate AST");
                return r;
        }
        if (!parent)
                p->stage = LANG_STAGE_INTERPOLATE;
        r = interpolate_block(p, m->ast.block);
        if (r < 0) {
                if (parent)
                        program_prefix(p, before, "could not interpolate AST from import");
                return r;
        }
        return 0;
}

/* Only definitions make sense in a module. */
static int check_module(Program *p, const Module *m) {
        for (uint32_t i = 0; i < m->ast.block->n; i++) {
                const Stmt *s = m->ast.block->items[i];
                if (s->kind == STMT_IMPORT || s->kind == STMT_BIND || s->kind == STMT_FUNC || s->kind == STMT_CLASS)
                        continue;
                program_fail(p, s->pos, "module contains unused statements: found stmt: %s", stmt_text(p->arena, s) ?: "?");
                program_note(p, (Pos) {}, "help: a module may only import, and define variables, functions and classes");
                return -EINVAL;
        }
        return 0;
}

/* Where a remote module is: the first directory that has it, else the one where it would belong. */
static const char *find_remote(Program *p, const Metadata *importer, const char *path) {
        const char *wanted = NULL;

        for (const Metadata *m = importer; m && m->located; m = m->parent) {
                const char *directory = m->path ? arena_printf(p->arena, "%s%s%s", m->base, m->path, path) : NULL;
                const char *file = directory ? arena_printf(p->arena, "%smetadata.yaml", directory) : NULL;
                const SourceFile *f;
                if (file && program_read(p, file, &f) >= 0)
                        return directory;
                wanted = wanted ?: directory;
                if (m->parent_path_block)
                        break;
        }
        if (p->host.module_path) {
                const char *directory = arena_printf(p->arena, "%s%s", p->host.module_path, path);
                const char *file = directory ? arena_printf(p->arena, "%smetadata.yaml", directory) : NULL;
                const SourceFile *f;
                if (file && program_read(p, file, &f) >= 0)
                        return directory;
                wanted = wanted ?: directory;
        }
        return wanted;
}

/* The functions and variables that the language brings under this name. */
/* The functions and constants of a module; how many is added to *found. */
static int system_names(Program *p, const char *name, const char *base, Scope *s, size_t *found) {
        size_t n = strlen(name);
        const Builtin *b;

        for (size_t i = 0; (b = builtin_at(i)); i++) {
                size_t size;
                const char *module = builtin_module(b, &size);
                if (size != n || memcmp(module, name, n) != 0)
                        continue;
                Def *d = arena_new0(p->arena, Def);
                if (!d)
                        return program_oom(p);
                *d = (Def) { .kind = DEF_BUILTIN, .name = builtin_title(b), .builtin = b, .base = base };
                if (map_put(s->names[NAME_FUNC], d->name, d) < 0)
                        return program_oom(p);
                (*found)++;
        }
        for (const BuiltinConst *c = builtin_consts; c->name; c++) {
                if (strncmp(c->name, name, n) != 0 || c->name[n] != '.' || strchr(c->name + n + 1, '.'))
                        continue;
                Def *d = arena_new0(p->arena, Def);
                Value v = VALUE_INT(c->number);
                if (!d || (c->text && value_strz(&v, c->text) < 0))
                        return program_oom(p);
                *d = (Def) { .kind = DEF_CONST, .name = c->name + n + 1, .annotation = c->text ? &type_str : &type_int };
                Value *kept = program_value(p, v);
                if (!kept || map_put(s->names[NAME_VAR], d->name, d) < 0)
                        return program_oom(p);
                d->value = *kept;
                (*found)++;
        }
        return 0;
}

/* What of a module is written in the language; it sees the rest of the module. */
static int system_source(Program *p, Module *importer, const char *name, const char *text, Scope **s) {
        _cleanup_(diag_done) Diag error = {};
        const char *path = arena_printf(p->arena, "/core/%s.mcl", name);
        Module *m = arena_new0(p->arena, Module);
        int r;

        if (!path || !m)
                return program_oom(p);
        m->name = path;
        m->parent = importer;
        m->metadata = importer->metadata;
        r = ast_parse(p->arena, path, text, strlen(text), &m->ast, &error);
        if (r < 0) {
                program_fail_diag(p, &error);
                return r;
        }
        r = init_block(p, m->ast.block);
        if (r >= 0)
                r = interpolate_block(p, m->ast.block);
        if (r >= 0)
                r = scope_module(p, m, *s);
        if (r >= 0)
                *s = m->scope;
        return r;
}

static int open_system(Program *p, Module *importer, const char *name, Scope **ret) {
        const char *base = importer->metadata->base, *text = builtin_module_text(name);
        const char *key = arena_printf(p->arena, "%s\n%s", name, base);
        Scope *s = key ? map_get(p->modules, key) : NULL;
        size_t found = 0;
        int r;

        if (!key || (!p->modules && !(p->modules = map_new())))
                return program_oom(p);
        if (s) {
                *ret = s;
                return 0;
        }
        s = scope_new(p, NULL);
        if (!s || !(s->names[NAME_FUNC] = map_new()) || !(s->names[NAME_VAR] = map_new()))
                return program_oom(p);
        r = system_names(p, name, base, s, &found);
        if (r >= 0 && text)
                r = system_source(p, importer, name, text, &s);
        if (r < 0)
                return r;
        if (found == 0 && !text)
                return -ENOENT;
        if (map_put(p->modules, key, s) < 0)
                return program_oom(p);
        *ret = s;
        return 0;
}

static int suggest_module(Program *p, const char *name) {
        Suggestion near = suggestion_for(name);
        const Builtin *b;

        for (size_t i = 0; (b = builtin_at(i)); i++) {
                size_t size;
                const char *module = builtin_module(b, &size);
                const char *copy = size > 0 ? arena_strndup(p->arena, module, size) : NULL;
                if (copy)
                        suggestion_add(&near, copy);
        }
        program_suggest(p, &near, "");
        return -EINVAL;
}

static int import_system(Program *p, Module *importer, Stmt *s, Scope **ret) {
        int r = open_system(p, importer, s->import.name, ret);

        if (r != -ENOENT)
                return r;
        program_fail(p, s->pos, "system import of `%s` failed: could not find any non-empty scope named: %s", s->import.name,
                     s->import.name);
        return suggest_module(p, s->import.name);
}

static int download(Program *p, const Stmt *s, const char *url, const char *input) {
        _cleanup_(diag_done) Diag error = {};

        if (p->host.download && p->host.download(p->host.userdata, url, input, &error) < 0)
                return program_fail(p, s->pos, "remote import of `%s` failed: could not download: %s", s->import.name,
                                    error.message ?: "?");
        return 0;
}

/* Where the module is, with all its files. */
static int find_input(Program *p, const Module *importer, const Stmt *s, const ImportName *name, const char **ret) {
        const Metadata *metadata = importer->metadata;
        const char *input;

        if (name->kind == IMPORT_LOCAL) {
                input = arena_printf(p->arena, "%s%s%s", metadata->base, directory_of(p->arena, metadata->main) ?: "", s->import.name);
                if (!input)
                        return program_oom(p);
        } else {
                input = find_remote(p, metadata, name->path);
                if (!input)
                        return program_fail(p, s->pos, "remote import of `%s` failed: module path error: can't find a module path",
                                            s->import.name);
                int r = download(p, s, name->url, input);
                if (r < 0)
                        return r;
        }
        *ret = input;
        return 0;
}

static int check_importers(Program *p, const Module *importer, const Stmt *s, const char *input) {
        unsigned depth = 0;

        for (const Module *up = importer; up; up = up->parent) {
                if (++depth > IMPORT_DEPTH_MAX)
                        return program_fail(p, (Pos) {}, "modules import each other more than %d levels deep", IMPORT_DEPTH_MAX);
                if (up->name && streq(up->name, input))
                        return program_fail(p, (Pos) {}, "recursive import of: `%s`: not a dag", s->import.name);
        }
        return 0;
}

static int open_input(Program *p, Module *importer, const Stmt *s, const char *input, Scope *outer, Module **ret) {
        size_t inside;
        int r;

        r = check_importers(p, importer, s, input);
        if (r >= 0)
                r = module_load(p, input, importer, input, ret);
        if (r >= 0)
                r = check_module(p, *ret);
        if (r < 0)
                return r;
        inside = p->errors->n;
        r = scope_module(p, *ret, outer);
        if (r < 0)
                program_prefix(p, inside, "could not set scope from import");
        return r;
}

int import_open(Program *p, Module *importer, Stmt *s, Scope *outer, Scope **ret) {
        ImportName name = {};
        const char *reason, *input = NULL;
        size_t before = p->errors->n;
        Module *m = NULL;
        int r;

        r = parse_name(p->arena, s->import.name, &name, &reason);
        if (r == -ENOMEM)
                return program_oom(p);
        if (r < 0)
                return program_fail(p, s->pos, "import `%s` is not valid: %s", s->import.name, reason ?: "?");
        if (name.kind == IMPORT_SYSTEM)
                return import_system(p, importer, s, ret);
        r = find_input(p, importer, s, &name, &input);
        if (r < 0)
                return r;
        r = open_input(p, importer, s, input, outer, &m);
        if (r < 0) {
                program_prefix(p, before, "%s import of `%s` failed", name.kind == IMPORT_LOCAL ? "local" : "remote",
                               s->import.name);
                program_imported(p, before, s->pos);
                return r;
        }
        s->import.module = m;
        *ret = m->scope;
        return 0;
}
