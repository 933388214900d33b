/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One key in an authorized_keys file. What makes it this key is the key: another comment, or other options, are a change of it and not
 * a second one beside it.
 *
 * The directory belongs to a user who is not trusted: a symbolic link of theirs on the way is an error, and the file is written beside
 * its place and renamed. */

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/resource.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/account-tool.h"
#include "daemons/engine/kinds/account.h"
#include "daemons/engine/kinds/directory-names.h"
#include "daemons/engine/kinds/file-text.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/local-host.h"

enum { FILE_SIZE_MAX = 4 * 1024 * 1024 };

typedef struct AuthorizedKey {
        Resource resource;
        char *state, *file, *user, *content;
        char **options;
        char *type, *key, *comment;
        bool mkdir;

        char own[24];           /* the number of the user that the engine runs as */
        Account owner;          /* whose file it is, as of the attempt */
        char *path;             /* of the file, as far as it is known */
        PathWatch *file_watch, *users_watch;
} AuthorizedKey;

static const FieldSpec ssh_authorized_key_fields[] = {
        FIELD(AuthorizedKey, state, FIELD_STR, FIELD_REQUIRED, "'exists' or 'absent'."),
        FIELD(AuthorizedKey, file, FIELD_STR, 0, "The file. If it is empty, '.ssh/authorized_keys' in the home directory."),
        FIELD(AuthorizedKey, user, FIELD_STR, 0, "Whose home directory that is, and to whom the file belongs; if it is empty, the one of the engine."),
        FIELD(AuthorizedKey, content, FIELD_STR, 0, "The whole line; or it is put together from the following ones; or it is the name."),
        FIELD(AuthorizedKey, options, FIELD_STRV, 0, "Options in front of the key."),
        FIELD(AuthorizedKey, type, FIELD_STR, 0, "Type of the key, such as 'ssh-ed25519'."),
        FIELD(AuthorizedKey, key, FIELD_STR, 0, "The key, in base64."),
        FIELD(AuthorizedKey, comment, FIELD_STR, 0, "What is said of it."),
        FIELD(AuthorizedKey, mkdir, FIELD_BOOL, 0, "A directory '.ssh' is made if it is not there.", .initial = "true"),
        {}
};

/* ---- lines ---- */

/* The parts of a line; pointers into it. */
typedef struct KeyLine {
        const char *options, *type, *key, *comment;
        size_t n_options, n_type, n_key, n_comment;
} KeyLine;

static int sextet(char c) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *p = c ? strchr(digits, c) : NULL;

        return p ? (int) (p - digits) : -1;
}

/* A key begins with its type, as a string with a length of four bytes before it. */
static bool is_key_of_type(const char *key, size_t n_key, const char *type, size_t n_type) {
        size_t n = 0;
        uint32_t bits = 0;
        unsigned n_bits = 0;

        while (n_key > 0 && key[n_key - 1] == '=')
                n_key--;
        for (size_t i = 0; i < n_key; i++) {
                int digit = sextet(key[i]);
                if (digit < 0)
                        return false;
                bits = bits << 6 | (uint32_t) digit;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                n_bits -= 8;
                uint8_t byte = (uint8_t) (bits >> n_bits);
                if (n < 4 && byte != (uint8_t) (n == 3 ? n_type : 0))
                        return false;
                if (n >= 4 && n < 4 + n_type && byte != (uint8_t) type[n - 4])
                        return false;
                n++;
        }
        return n_type > 0 && n_type < 256 && n > 4 + n_type;
}

static size_t blanks(const char *s) {
        return strspn(s, " \t");
}

/* Up to a blank outside of quotes. */
static size_t options_size(const char *s) {
        bool quoted = false;
        size_t n = 0;

        for (; s[n] && s[n] != '\n' && (quoted || (s[n] != ' ' && s[n] != '\t')); n++) {
                if (s[n] == '\\' && s[n + 1] == '"')
                        n++;
                else if (s[n] == '"')
                        quoted = !quoted;
        }
        return n;
}

/* One option: nothing of it is left over, and a quote that begins ends. */
static bool is_option(const char *s) {
        bool quoted = false;

        for (const char *p = s; *p; p++) {
                if (*p == '\\' && p[1] == '"')
                        p++;
                else if (*p == '"')
                        quoted = !quoted;
        }
        return *s && !quoted && !strchr(s, '\n') && options_size(s) == strlen(s);
}

static bool parse_key(const char *s, KeyLine *ret) {
        ret->type = s;
        ret->n_type = strcspn(s, " \t\n");
        s += ret->n_type;
        s += blanks(s);
        ret->key = s;
        ret->n_key = strcspn(s, " \t\n");
        s += ret->n_key;
        s += blanks(s);
        ret->comment = s;
        ret->n_comment = strcspn(s, "\n");
        while (ret->n_comment > 0 && isspace((unsigned char) s[ret->n_comment - 1]))
                ret->n_comment--;
        return is_key_of_type(ret->key, ret->n_key, ret->type, ret->n_type);
}

static bool parse_line(const char *s, KeyLine *ret) {
        *ret = (KeyLine) {};
        s += blanks(s);
        if (*s == '#' || *s == '\0' || *s == '\n')
                return false;
        if (parse_key(s, ret))
                return true;
        ret->options = s;
        ret->n_options = options_size(s);
        s += ret->n_options;
        return parse_key(s + blanks(s), ret);
}

static bool is_same_key(const KeyLine *a, const KeyLine *b) {
        return a->n_key == b->n_key && memcmp(a->key, b->key, a->n_key) == 0;
}

static void put_part(StrBuf *b, const char *s, size_t n) {
        if (n > 0)
                strbuf_printf(b, "%s%.*s", b->size > 0 ? " " : "", (int) n, s);
}

/* As it shall be in the file, with a newline. NULL: there is no key in it, or no memory. */
static char *wanted_line(const AuthorizedKey *k) {
        _cleanup_(strbuf_done) StrBuf raw = {}, b = {};
        KeyLine line;

        for (char **o = k->options; o && *o; o++)
                strbuf_printf(&raw, "%s%s", o == k->options ? "" : ",", *o);
        if (*k->type) {
                strbuf_printf(&raw, "%s%s %s %s", raw.size > 0 ? " " : "", k->type, k->key, k->comment);
        } else {
                strbuf_done(&raw);
                raw = (StrBuf) {};
                strbuf_puts(&raw, *k->content ? k->content : k->resource.name);
        }
        if (raw.failed || !parse_line(raw.data, &line))
                return NULL;
        put_part(&b, line.options, line.n_options);
        put_part(&b, line.type, line.n_type);
        put_part(&b, line.key, line.n_key);
        put_part(&b, line.comment, line.n_comment);
        strbuf_putc(&b, '\n');
        return strbuf_take(&b);
}

/* The text as it shall be: 0 if it is so. */
static int edit(const char *text, const char *wanted, bool absent, char **ret) {
        _cleanup_(strbuf_done) StrBuf b = {};
        KeyLine ours, line;
        bool placed = false, changed = false;

        if (!parse_line(wanted, &ours))
                return -EINVAL;
        strbuf_puts(&b, "");
        for (const char *s = text; *s;) {
                size_t n = strcspn(s, "\n");
                bool same = parse_line(s, &line) && is_same_key(&line, &ours);
                bool right = same && !absent && !placed && strncmp(s, wanted, strlen(wanted)) == 0;
                if (!same || right)
                        strbuf_printf(&b, "%.*s\n", (int) n, s);
                else {
                        changed = true;
                        if (!absent && !placed)
                                strbuf_puts(&b, wanted);
                }
                placed = placed || same;
                s += n + (s[n] == '\n');
        }
        if (!absent && !placed) {
                changed = true;
                strbuf_puts(&b, wanted);
        }
        if (!changed)
                return 0;
        *ret = strbuf_take(&b);
        return *ret ? 1 : -ENOMEM;
}

/* ---- validate ---- */

static int ssh_authorized_key_validate(const Resource *r, Diag *reterr) {
        const AuthorizedKey *k = (const AuthorizedKey *) r;
        const char *const texts[] = { k->content, k->type, k->key, k->comment, r->name };
        KeyLine line;

        if (!streq(k->state, "exists") && !streq(k->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists' or 'absent', got '%s'", k->state);
        if (*k->file && *k->file != '/')
                return resource_error(r, reterr, -EINVAL, "file must be an absolute path, got '%s'", k->file);
        if (*k->user && !account_name_is_valid(k->user))
                return resource_error(r, reterr, -EINVAL, "user must be the name of a user, got '%s'", k->user);
        if (*k->content && (*k->type || *k->key || *k->comment || k->options))
                return resource_error(r, reterr, -EINVAL,
                                      "content is the whole line: options, type, key and comment cannot be given beside it");
        if (!*k->type != !*k->key)
                return resource_error(r, reterr, -EINVAL, "type and key must be given together");
        if (!*k->type && (k->options || *k->comment))
                return resource_error(r, reterr, -EINVAL, "options and comment need type and key");
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (strchr(texts[i], '\n'))
                        return resource_error(r, reterr, -EINVAL, "a key is one line, got '%s'", texts[i]);
        for (char **o = k->options; o && *o; o++)
                if (!is_option(*o))
                        return resource_error(r, reterr, -EINVAL, "an option must be one word, or quoted, got '%s'", *o);
        if (*k->type && !is_key_of_type(k->key, strlen(k->key), k->type, strlen(k->type)))
                return resource_error(r, reterr, -EINVAL, "key is none of type '%s'", k->type);
        if (!*k->type && !parse_line(*k->content ? k->content : r->name, &line))
                return resource_error(r, reterr, -EINVAL, "there is no key in '%s'", *k->content ? k->content : r->name);
        return 0;
}

/* ---- watch ---- */

static const char *owner_name(const AuthorizedKey *k) {
        return *k->user ? k->user : k->own;
}

static int watch_file(AuthorizedKey *k, const char *home, Diag *reterr) {
        _cleanup_free_ char *path = NULL;

        if (*k->file)
                path = strdup(k->file);
        else if (asprintf(&path, "%s/.ssh/authorized_keys", home) < 0)
                path = NULL;
        if (!path)
                return -ENOMEM;
        if (k->file_watch && streq_ptr(k->path, path))
                return 0;
        k->file_watch = path_watch_free(k->file_watch);
        free(k->path);
        k->path = TAKE_PTR(path);
        if (!k->users_watch)            /* not watched at all */
                return 0;
        return local_host_watch(&k->resource, k->path, 0, &k->file_watch, reterr);
}

/* Of a user who is yet to come, or stands in a directory elsewhere, the file is watched when it is known. */
static int ssh_authorized_key_watch(Resource *r, Diag *reterr) {
        AuthorizedKey *k = (AuthorizedKey *) r;
        _cleanup_(name_entry_done) NameEntry owner = {};
        _cleanup_free_ char *users = NULL;
        int e;

        if (asprintf(&users, "%s/passwd", local_host_etc(r)) < 0) {
                users = NULL;
                return -ENOMEM;
        }
        e = local_host_watch(r, users, 0, &k->users_watch, reterr);
        if (e < 0)
                return e;
        if (*k->file || names_find_local(local_host_names(r), NAME_USER, owner_name(k), &owner) > 0)
                e = watch_file(k, owner.home, reterr);
        if (e >= 0)
                resource_armed(r);
        return e;
}

static void ssh_authorized_key_unwatch(Resource *r) {
        AuthorizedKey *k = (AuthorizedKey *) r;

        k->file_watch = path_watch_free(k->file_watch);
        k->users_watch = path_watch_free(k->users_watch);
}

/* ---- check and apply ---- */

/* Whoever may write the directory could have put another one in the place of what was just made: one that is not ours and empty is
 * not given away. */
static int give_directory(const SafePath *where, const Account *owner) {
        _cleanup_close_ int fd = openat(where->dir_fd, where->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char **names = NULL;
        struct stat st;
        size_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        int r = directory_names(fd, &names, &n);
        directory_names_free(names, n);
        if (r >= 0 && (n > 0 || st.st_uid != geteuid()))
                r = -EBUSY;
        return r < 0 ? r : fchown(fd, owner->uid, owner->user_gid) < 0 ? -errno : 0;
}

static int make_directory(const AuthorizedKey *k, Diag *reterr) {
        _cleanup_(safe_path_done) SafePath where = SAFE_PATH_INIT;
        _cleanup_free_ char *directory = strndup(k->path, (size_t) (strrchr(k->path, '/') - k->path));
        int r;

        if (!directory)
                return -ENOMEM;
        r = safe_path_find(directory, false, &where);
        if (r >= 0 && mkdirat(where.dir_fd, where.base, 0700) < 0)
                r = errno == EEXIST ? 0 : -errno;
        else if (r >= 0)
                r = give_directory(&where, &k->owner);
        return r < 0 ? resource_error(&k->resource, reterr, r, "cannot make '%s': %m", directory) : 0;
}

/* A new file belongs to the user; one that is there keeps its owner and its mode. */
static int write_keys(const AuthorizedKey *k, FileText *file, const char *text, Diag *reterr) {
        const char *slash = strrchr(k->path, '/');
        int r = 0;

        if (k->mkdir && slash - k->path >= 5 && memcmp(slash - 5, "/.ssh", 5) == 0)
                r = make_directory(k, reterr);
        if (r < 0)
                return r;
        file->uid = k->owner.uid;
        file->gid = k->owner.user_gid;
        return file_text_write(file, &k->resource, k->path, text, strlen(text), reterr);
}

static int check_file(AuthorizedKey *k, Diag *reterr) {
        _cleanup_(file_text_done) FileText file = FILE_TEXT_INIT;
        _cleanup_free_ char *wanted = wanted_line(k), *after = NULL;
        Resource *r = &k->resource;
        int e;

        if (!wanted)
                return -ENOMEM;
        e = watch_file(k, k->owner.home, reterr);
        if (e >= 0)
                e = file_text_read(&file, r, k->path, FILE_SIZE_MAX, true, reterr);
        if (e >= 0)
                e = file_text_check(&file, r, k->path, reterr);
        if (e < 0)
                return e;
        e = edit(file.text.data ? file.text.data : "", wanted, streq(k->state, "absent"), &after);
        if (e <= 0)
                return e < 0 ? e : CHECK_OK;
        resource_differs(r, "file", file.text.data, after);
        e = r->applies ? write_keys(k, &file, after, reterr) : 0;
        return e < 0 ? e : CHECK_CHANGED;
}

static void on_owner(Account *a, int error, Diag *diag, void *userdata) {
        AuthorizedKey *k = userdata;
        int r = error < 0 ? error : check_file(k, diag);

        resource_finish(&k->resource, r, diag);
}

static int ssh_authorized_key_check_apply(Resource *r, bool apply, Diag *reterr) {
        AuthorizedKey *k = (AuthorizedKey *) r;
        int e = account_find(&k->owner, r, owner_name(k), "", on_owner, k, reterr);

        return e > 0 ? check_file(k, reterr) : e == 0 ? CHECK_PENDING : e;
}

static void ssh_authorized_key_cancel(Resource *r) {
        account_done(&((AuthorizedKey *) r)->owner);
}

/* ---- autoedge ---- */

/* The user; and, as it is known before he is, the file. */
static int ssh_authorized_key_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const AuthorizedKey *k = (const AuthorizedKey *) r;
        bool has_user = *k->user;

        if (has_user && batch == 0) {
                ret->go_on = true;
                return resource_uids_add(ret, "user", k->user, false);
        }
        return *k->file ? file_path_wants(k->file, batch - has_user, ret) : 0;
}

static int ssh_authorized_key_init(Resource *r) {
        AuthorizedKey *k = (AuthorizedKey *) r;

        (void) snprintf(k->own, sizeof(k->own), "%u", geteuid());
        return 0;
}

static void ssh_authorized_key_done(Resource *r) {
        ssh_authorized_key_unwatch(r);
        ssh_authorized_key_cancel(r);
        free(((AuthorizedKey *) r)->path);
}

const ResourceType ssh_authorized_key_type = {
        .kind = "ssh:authorized_key",
        .doc = "A key with which one may log in by ssh.",
        .example = "ssh:authorized_key \"james on his laptop\" {\n"
                   "\tstate => \"exists\",\n"
                   "\tuser => \"james\",\n"
                   "\ttype => \"ssh-ed25519\",\n"
                   "\tkey => \"AAAAC3NzaC1lZDI1NTE5AAAAIFEBZxTJTJkpDWNAMDnyFK2EfXzVkiVBNIxsDFrNCiLr\",\n"
                   "\tcomment => \"james@laptop\",\n"
                   "}\n",
        .size = sizeof(AuthorizedKey),
        .fields = ssh_authorized_key_fields,
        .init = ssh_authorized_key_init,
        .done = ssh_authorized_key_done,
        .validate = ssh_authorized_key_validate,
        .watch = ssh_authorized_key_watch,
        .unwatch = ssh_authorized_key_unwatch,
        .check_apply = ssh_authorized_key_check_apply,
        .cancel = ssh_authorized_key_cancel,
        .wants = ssh_authorized_key_wants,
        .first_match_ends = true,
};
