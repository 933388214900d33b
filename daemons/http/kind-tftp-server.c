/* SPDX-License-Identifier: GPL-3.0-or-later */

/* tftp:server: a port, and who answers there: the first tftp:file of the name, else a file below the root directory. It listens from
 * the beginning, so that an address that cannot be had is an error at once, but answers only when all of it was right once. */

#include <sys/stat.h>

#include "common/resource.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/http/address.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/tftp-file.h"
#include "daemons/http/tftp-service.h"

#define USEC_PER_SEC UINT64_C(1000000)

enum { TIMEOUT_MAX_SEC = 3600 };

typedef struct TftpServer {
        Resource resource;
        char *address;
        uint64_t timeout;
        char *root;

        TftpService *service;
} TftpServer;

static const FieldSpec tftp_server_fields[] = {
        FIELD(TftpServer, address, FIELD_STR, FIELD_IS_NAME,
              "Where to listen: 'host:port', the host a literal IP address (IPv6 in brackets), or empty for all of this machine."),
        FIELD(TftpServer, timeout, FIELD_UINT64, 0, "Seconds until a packet that is not acknowledged is sent again.", .initial = "5"),
        FIELD(TftpServer, root, FIELD_STR, 0,
              "Directory, absolute and with a trailing slash, whose files are served where no tftp:file has the name; symbolic links "
              "never lead out of it."),
        {}
};

static int open_below_root(const TftpServer *s, const char *filename, StaticContent *ret) {
        const char *below = filename + strspn(filename, "/");

        return *s->root && *below ? static_content_open(ret, s->root, below, true) : -ENOENT;
}

static void log_request(const TftpServer *s, const char *filename, int result) {
        _cleanup_(strbuf_done) StrBuf name = {};

        if (log_level() < LOG_DEBUG)
                return;
        strbuf_quote(&name, filename, strlen(filename));
        log_debug("tftp:server[%s]: %s: %s", s->resource.name, name.data ? name.data : "", result < 0 ? strerror(-result) : "sent");
}

static int on_open(const char *filename, StaticContent *ret, void *userdata) {
        const TftpServer *s = userdata;
        const Resource *file = NULL;

        for (size_t i = 0; i < s->resource.n_children && !file; i++)
                if (tftp_file_is_called(s->resource.children[i], filename))
                        file = s->resource.children[i];
        int r = file ? tftp_file_open(file, ret) : open_below_root(s, filename, ret);
        log_request(s, filename, r);
        return r < 0 ? file ? -EIO : -ENOENT : 0;       /* what is wrong below the root is nobody's business */
}

static int tftp_server_validate(const Resource *r, Diag *reterr) {
        const TftpServer *s = (const TftpServer *) r;

        if (s->timeout < 1 || s->timeout > TIMEOUT_MAX_SEC)
                return resource_error(r, reterr, -EINVAL, "timeout must be from 1 to %d seconds, got '%llu'", TIMEOUT_MAX_SEC,
                                      (unsigned long long) s->timeout);
        if (*s->root && (*s->root != '/' || !endswith(s->root, "/")))
                return resource_error(r, reterr, -EINVAL, "root must be an absolute path with a trailing slash, got '%s'", s->root);
        return address_validate(s->address, r->pos, reterr);
}

static int listen_on(const TftpServer *s, TftpService **ret) {
        const HttpManager *m = s->resource.host->manager;
        const TftpServing serving = { .open = on_open, .userdata = (void *) s, .timeout_usec = s->timeout * USEC_PER_SEC };

        return tftp_service_new(ret, m->event, s->address, &serving);
}

static int tftp_server_watch(Resource *r, Diag *reterr) {
        TftpServer *s = (TftpServer *) r;

        if (!r->meta.noop) {
                int k = listen_on(s, &s->service);
                if (k < 0)
                        return resource_error(r, reterr, k, "cannot listen on '%s': %m", s->address);
        }
        resource_armed(r);
        return 0;
}

static void tftp_server_unwatch(Resource *r) {
        TftpServer *s = (TftpServer *) r;

        s->service = tftp_service_free(s->service);
}

/* Under noop nobody listens. If another process does, it is most likely the mgmt-http of the program that is in force. */
static int would_listen(TftpServer *s, Diag *reterr) {
        _cleanup_(tftp_service_freep) TftpService *try = NULL;
        int k = listen_on(s, &try);

        if (k == -EADDRINUSE)
                return CHECK_OK;
        if (k < 0)
                return resource_error(&s->resource, reterr, k, "cannot listen on '%s': %m", s->address);
        resource_differs(&s->resource, "address", NULL, s->address);
        return CHECK_CHANGED;
}

static int tftp_server_check_apply(Resource *r, bool apply, Diag *reterr) {
        TftpServer *s = (TftpServer *) r;
        struct stat st;

        if (*s->root && stat(s->root, &st) < 0)
                return resource_error(r, reterr, -errno, "root '%s' cannot be served: %m", s->root);
        if (*s->root && !S_ISDIR(st.st_mode))
                return resource_error(r, reterr, -ENOTDIR, "root must be a directory, '%s' is not", s->root);
        if (!s->service)
                return apply ? CHECK_OK : would_listen(s, reterr);
        int k = apply ? tftp_service_start(s->service) : 0;
        return k < 0 ? resource_error(r, reterr, k, "cannot serve: %m") : CHECK_OK;
}

const ResourceType tftp_server_type = {
        .kind = "tftp:server",
        .doc = "A server for TFTP, from which files can be read: those of the resources tftp:file in it, and those of its root directory.",
        .example = "tftp:server \"192.0.2.1:69\" {\n"
                   "\troot => \"/srv/tftp/\",\n"
                   "}\n",
        .size = sizeof(TftpServer),
        .flags = RESOURCE_REFUSES_POLL,         /* without a watch, nobody would listen */
        .fields = tftp_server_fields,
        .validate = tftp_server_validate,
        .watch = tftp_server_watch,
        .unwatch = tftp_server_unwatch,
        .check_apply = tftp_server_check_apply,
};
