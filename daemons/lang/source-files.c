/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os.file_exists and os.readfile: files of this host, looked at whenever something happens to them. The watch begins before the
 * first look, so that nothing is missed in between. Where the kernel has none to give, and after one has ended, it is tried again now
 * and then, and the file looked at meanwhile. */

#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/sd/log.h"
#include "daemons/lang/host-file.h"
#include "daemons/lang/sources.h"

enum { POLL_USEC = 30 * 1000 * 1000 };

typedef struct File {
        Source source;
        char *path;
        PathWatch *watch;
        sd_event_source *retry;
        bool blind;             /* and it was said */
        void (*look)(struct File *f);
} File;

static void look_content(File *f) {
        _cleanup_free_ char *text = NULL;
        _cleanup_(diag_done) Diag d = {};
        Value v = VALUE_NIL;
        size_t size;
        int r = host_file_read(f->path, &text, &size, &d);

        if (r >= 0)
                r = value_str(&v, text, size);
        if (d.error < 0) {
                diag_prefix(&d, "error reading file");
                source_fail(&f->source, r == -ENOENT, &d);
        } else
                source_result(&f->source, r, v);
}

static void look_existence(File *f) {
        struct stat st;

        if (stat(f->path, &st) >= 0)
                source_set(&f->source, VALUE_BOOL(true));
        else if (errno == ENOENT || errno == ENOTDIR)
                source_set(&f->source, VALUE_BOOL(false));
        else
                source_failf(&f->source, false, -errno, "cannot look at '%s': %m", f->path);
}

/* ---- the watch ---- */

static void file_changed(PathWatch *w, int error, void *userdata);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        File *f = userdata;
        _cleanup_(diag_done) Diag d = {};
        int r = source_watch_path(&f->source, f->path, file_changed, f, &f->watch, &d);

        file_changed(NULL, r, f);
        return 0;
}

static int retry_later(File *f) {
        uint64_t usec = source_share(&f->source)->poll_usec ?: POLL_USEC;
        int r;

        if (!f->retry)
                return sd_event_add_time_relative(f->source.host->event, &f->retry, CLOCK_MONOTONIC, usec, 0, on_retry, f);
        r = sd_event_source_set_time_relative(f->retry, usec);
        return r < 0 ? r : sd_event_source_set_enabled(f->retry, SD_EVENT_ONESHOT);
}

/* The kernel's limits of watches and of inotify instances. */
static bool is_limit(int error) {
        return error == -ENOSPC || error == -EMFILE;
}

static int go_blind(File *f, int error) {
        if (!f->blind)
                (void) log_warning(error, "cannot watch '%s': %m; looking at it now and then until it can be watched", f->path);
        f->blind = true;
        return retry_later(f);
}

static void file_changed(PathWatch *w, int error, void *userdata) {
        File *f = userdata;
        int r = 0;

        if (error < 0) {
                f->watch = path_watch_free(f->watch);
                r = is_limit(error) ? go_blind(f, error) : retry_later(f);
        } else
                f->blind = false;
        if (r < 0 || (error < 0 && !is_limit(error)))
                source_failf(&f->source, false, r < 0 ? r : error, "cannot watch '%s': %m", f->path);
        else
                f->look(f);
}

static int file_open(Source *s, void (*look)(File *f), Diag *reterr) {
        File *f = (File *) s;
        int r;

        f->look = look;
        r = source_arg_path(s, 0, &f->path, reterr);
        if (r >= 0)
                r = source_watch_path(s, f->path, file_changed, f, &f->watch, reterr);
        if (is_limit(r) && go_blind(f, r) >= 0) {
                diag_done(reterr);
                r = 0;
        }
        if (r >= 0)
                look(f);
        return r;
}

static int readfile_open(Source *s, Diag *reterr) {
        return file_open(s, look_content, reterr);
}

static int file_exists_open(Source *s, Diag *reterr) {
        return file_open(s, look_existence, reterr);
}

static void file_close(Source *s) {
        path_watch_free(((File *) s)->watch);
        sd_event_source_disable_unref(((File *) s)->retry);
        free(((File *) s)->path);
}

const SourceType files_sources[] = {
        { .name = "os.file_exists", .size = sizeof(File), .open = file_exists_open, .close = file_close },
        { .name = "os.readfile", .size = sizeof(File), .open = readfile_open, .close = file_close },
        {}
};
