/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values in a configuration file of any format that Augeas has a lens for. The file is read and written here, as safely as all others;
 * what is done to its text is done by mgmt-augeas. */

#include <sys/mman.h>

#include "common/io.h"
#include "common/paths.h"
#include "common/resource.h"
#include "common/sd/child.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/augeas-tool.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-text.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/local-host.h"

enum { TEXT_SIZE_MAX = 1024 * 1024, OUTPUT_MAX = 4 * TEXT_SIZE_MAX };

typedef struct Augeas {
        Resource resource;
        char *file, *lens;
        Value sets;

        bool applies;
        FileText text;          /* as it was when the child was started */
        Child *child;
        PathWatch *watch;
} Augeas;

static const FieldSpec augeas_fields[] = {
        FIELD(Augeas, file, FIELD_STR, FIELD_REQUIRED, "The file, an absolute path. If it is not there it is made, for its owner only."),
        FIELD(Augeas, lens, FIELD_STR, FIELD_REQUIRED, "What understands the format of the file, such as 'Sshd.lns'."),
        FIELD(Augeas, sets, FIELD_VALUE, 0, "Nodes of the tree that the lens makes of the file, and their values.",
              .mcl_type = "[]struct{path str; value str}"),
        {}
};

/* ---- fields ---- */

static size_t n_sets(const Augeas *a) {
        return a->sets.kind == TYPE_LIST ? a->sets.l->n : 0;
}

static const char *set_text(const Augeas *a, size_t i, const char *field) {
        const Value *v = value_struct_get(a->sets.l->items[i], field);

        return v ? value_cstr(*v) : "";
}

static int augeas_validate(const Resource *r, Diag *reterr) {
        const Augeas *a = (const Augeas *) r;

        if (*a->file != '/' || path_is_directory(a->file))
                return resource_error(r, reterr, -EINVAL, "file must be absolute and not end in a slash, got '%s'", a->file);
        if (!endswith(a->lens, ".lns") || streq(a->lens, ".lns"))
                return resource_error(r, reterr, -EINVAL, "lens must be a name that ends in '.lns', got '%s'", a->lens);
        for (size_t i = 0; i < n_sets(a); i++) {
                const char *path = set_text(a, i, "path");
                if (!*path || *path == '/')
                        return resource_error(r, reterr, -EINVAL, "sets: path must begin below the file, not with a slash, got '%s'", path);
        }
        return 0;
}

/* ---- the end of an attempt ---- */

static int tool_failed(const Augeas *a, const ChildResult *result, Diag *reterr) {
        const StrBuf *said = &result->err;

        if (result->signal)
                return resource_error(&a->resource, reterr, -EINTR, "mgmt-augeas was ended by signal %d", result->signal);
        return resource_error(&a->resource, reterr, -EPROTO, "cannot edit '%s' with lens '%s': %.*s", a->file, a->lens,
                              said->data ? (int) strcspn(said->data, "\n") : 0, said->data ? said->data : "");
}

/* Somebody else has written the file while it was edited: what we have is of another one. */
static int check_unchanged(Augeas *a, Diag *reterr) {
        _cleanup_(file_text_done) FileText now = FILE_TEXT_INIT;
        const StrBuf *before = &a->text.text;
        int r;

        r = file_text_read(&now, &a->resource, a->file, TEXT_SIZE_MAX, true, reterr);
        if (r < 0)
                return r;
        if ((now.have.fd < 0) == (a->text.have.fd < 0) && now.text.size == before->size &&
            (before->size == 0 || memcmp(now.text.data, before->data, before->size) == 0))
                return 0;
        r = resource_waiting(&a->resource, "the file was changed while it was edited");
        resource_changed(&a->resource);
        return r;
}

static int take_edited(Augeas *a, const StrBuf *wanted, Diag *reterr) {
        const FileContent content = { .data = wanted->data ? wanted->data : "", .size = wanted->size, .fd = -EBADF };
        const FileText *t = &a->text;
        int r;

        if (t->have.fd >= 0 && t->text.size == wanted->size && (wanted->size == 0 || memcmp(t->text.data, wanted->data, wanted->size) == 0))
                return CHECK_OK;
        r = check_unchanged(a, reterr);
        if (r < 0)
                return r;
        file_content_differs(&a->resource, t->have.fd, t->have.size, &content);
        r = a->applies ? file_text_write(&a->text, &a->resource, a->file, content.data, content.size, reterr) : 0;
        return r < 0 ? r : CHECK_CHANGED;
}

static void augeas_cancel(Resource *r) {
        Augeas *a = (Augeas *) r;

        a->child = child_free(a->child);
        file_text_done(&a->text);
        a->text = (FileText) FILE_TEXT_INIT;
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        Augeas *a = userdata;
        _cleanup_(diag_done) Diag diag = {};
        int r;

        if (result->signal || (result->status != 0 && result->status != AUGEAS_RIGHT))
                r = tool_failed(a, result, &diag);
        else if (result->truncated)
                r = resource_error(&a->resource, &diag, -EFBIG, "'%s' would have more than %d bytes", a->file, OUTPUT_MAX);
        else
                r = result->status == AUGEAS_RIGHT ? CHECK_OK : take_edited(a, &result->out, &diag);
        augeas_cancel(&a->resource);
        resource_finish(&a->resource, r, &diag);
}

/* ---- its beginning ---- */

static void add_text(StrBuf *b, const char *text, size_t size) {
        strbuf_add(b, text ? text : "", size);
        strbuf_putc(b, '\0');
}

static int make_request(const Augeas *a, int *ret_fd, Diag *reterr) {
        _cleanup_close_ int fd = memfd_create("augeas", MFD_CLOEXEC);
        _cleanup_(strbuf_done) StrBuf b = {};
        int r;

        add_text(&b, a->lens, strlen(a->lens));
        add_text(&b, a->text.text.data, a->text.text.size);
        for (size_t i = 0; i < n_sets(a); i++) {
                add_text(&b, set_text(a, i, "path"), strlen(set_text(a, i, "path")));
                add_text(&b, set_text(a, i, "value"), strlen(set_text(a, i, "value")));
        }
        r = fd < 0 ? -errno : b.failed ? -ENOMEM : write_all(fd, b.data, b.size);
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r < 0)
                return resource_error(&a->resource, reterr, r, "cannot hand over '%s': %m", a->file);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int start_tool(Augeas *a, Diag *reterr) {
        _cleanup_free_ char *program = path_daemon("augeas");
        _cleanup_(diag_done) Diag diag = {};
        _cleanup_close_ int request = -EBADF;
        int r;

        if (!program)
                return -ENOMEM;
        r = make_request(a, &request, reterr);
        if (r < 0)
                return r;
        const ChildSpec spec = {
                .argv = (char *[]) { program, NULL },
                .cwd = "/",
                .uid = (uid_t) -1,
                .gid = (gid_t) -1,
                .input = request,
                .output_max = OUTPUT_MAX,
        };
        r = child_start(&a->child, a->resource.host->event, &spec, on_end, a, &diag);
        return r < 0 ? resource_error(&a->resource, reterr, r, "%s", diag.message ? diag.message : "out of memory") : CHECK_PENDING;
}

static int augeas_check_apply(Resource *r, bool apply, Diag *reterr) {
        Augeas *a = (Augeas *) r;
        int k;

        if (n_sets(a) == 0)
                return CHECK_OK;
        a->applies = apply;
        augeas_cancel(r);
        k = file_text_read(&a->text, r, a->file, TEXT_SIZE_MAX, true, reterr);
        if (k >= 0)
                k = file_text_check(&a->text, r, a->file, reterr);
        if (k >= 0)
                k = start_tool(a, reterr);
        if (k < 0)
                augeas_cancel(r);
        return k;
}

/* ---- life ---- */

static int augeas_init(Resource *r) {
        ((Augeas *) r)->text = (FileText) FILE_TEXT_INIT;
        return 0;
}

static int augeas_watch(Resource *r, Diag *reterr) {
        Augeas *a = (Augeas *) r;
        int k = local_host_watch(r, a->file, 0, &a->watch, reterr);

        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void augeas_unwatch(Resource *r) {
        Augeas *a = (Augeas *) r;

        a->watch = path_watch_free(a->watch);
}

static int augeas_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        return file_path_wants(((const Augeas *) r)->file, batch, ret);
}

static void augeas_done(Resource *r) {
        augeas_unwatch(r);
        augeas_cancel(r);
}

const ResourceType augeas_type = {
        .kind = "augeas",
        .doc = "Values in a configuration file, found by a lens of Augeas.",
        .example = "augeas \"sshd\" {\n"
                   "\tfile => \"/etc/ssh/sshd_config\",\n"
                   "\tlens => \"Sshd.lns\",\n"
                   "\tsets => [\n"
                   "\t\tstruct{path => \"PermitRootLogin\", value => \"no\"},\n"
                   "\t],\n"
                   "}\n",
        .size = sizeof(Augeas),
        .fields = augeas_fields,
        .init = augeas_init,
        .done = augeas_done,
        .validate = augeas_validate,
        .watch = augeas_watch,
        .unwatch = augeas_unwatch,
        .check_apply = augeas_check_apply,
        .cancel = augeas_cancel,
        .wants = augeas_wants,
        .first_match_ends = true,
};
