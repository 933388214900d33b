/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The daemon that test-daemon.c starts: by a method of its own on the bus, or by what its command line says, it does what no daemon
 * should. */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/bus.h"
#include "common/sd/daemon.h"
#include "common/sd/log.h"

typedef struct Manager {
        Daemon *daemon;
        sd_event_source *accept_source;
        char *text;
} Manager;

static Manager manager;
static const char *arg_behaviour = "";

static _noreturn_ void hang(void) {
        log_info("hanging");
        for (;;)
                pause();
}

static int method_hang(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        hang();
}

static int method_exit(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Manager *x = userdata;
        int32_t code;

        int r = sd_bus_message_read(m, "i", &code);
        if (r < 0)
                return r;
        daemon_exit(x->daemon, code);
        return sd_bus_reply_method_return(m, NULL);
}

static int method_fail(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_(diag_done) Diag d = {};

        diag_set(&d, (Pos) { "a.mcl", 3, 1, 0, 0 }, -ENOENT, "no such thing");
        diag_note(&d, (Pos) {}, "help: make one");
        return bus_error_from_diag(reterr, &d);
}

static int method_emit(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Manager *x = userdata;
        int r = daemon_emit(x->daemon, "/org/mgmt/test1", "org.mgmt.test1.Manager", "Happened", "s", "now");

        if (r >= 0)
                r = daemon_emit_changed(x->daemon, "/org/mgmt/test1", "org.mgmt.test1.Manager", (char *[]) { (char *) "Number", NULL });
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

/* Emits into a bus that hangs, and tells how many messages are waiting. */
static int method_flood(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Manager *x = userdata;
        uint64_t n_queued = 0;
        int32_t bus_pid;

        int r = sd_bus_message_read(m, "i", &bus_pid);
        if (r < 0)
                return r;
        kill(bus_pid, SIGSTOP);
        for (int i = 0; i < 100000 && r >= 0; i++)
                r = daemon_emit(x->daemon, "/org/mgmt/test1", "org.mgmt.test1.Manager", "Happened", "s", "again");
        (void) sd_bus_get_n_queued_write(x->daemon->bus, &n_queued);
        kill(bus_pid, SIGCONT);
        return r < 0 ? r : sd_bus_reply_method_return(m, "t", n_queued);
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "u", 42);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Number", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD("Hang", NULL, NULL, method_hang, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Exit", "i", NULL, method_exit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Fail", NULL, NULL, method_fail, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Emit", NULL, NULL, method_emit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Flood", "i", "t", method_flood, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("Happened", "s", 0),
        SD_BUS_VTABLE_END
};

static const sd_bus_vtable thing_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Number", "u", get_number, 0, 0),
        SD_BUS_VTABLE_END
};

static int find_thing(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *reterr) {
        if (!streq(path, "/org/mgmt/test1/thing/one"))
                return 0;
        *ret = userdata;
        return 1;
}

static int list_things(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *reterr) {
        char **paths = calloc(2, sizeof(char *));

        if (!paths || !(paths[0] = strdup("/org/mgmt/test1/thing/one"))) {
                free(paths);
                return -ENOMEM;
        }
        *ret = paths;
        return 0;
}

static int on_connection(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

        if (peer >= 0) {
                (void) !write(peer, "hello", 5);
                (void) close(peer);
        }
        return 0;
}

static int start(Daemon *d) {
        Manager *m = d->manager = &manager;
        struct stat st;
        int r;

        m->daemon = d;
        m->text = strdup("a leak if stop() is not called");
        if (streq(arg_behaviour, "fail-start") || streq(arg_behaviour, "fail-start-hang-stop"))
                return -EXDEV;
        if (streq(arg_behaviour, "hang-start"))
                hang();
        if (streq(arg_behaviour, "exit-at-start"))
                daemon_exit(d, 7);
        if (stat(d->state_dir, &st) < 0 || (st.st_mode & 07777) != 0700)
                return log_error(-EIO, "the state directory is not as promised");

        r = daemon_export(d, "/org/mgmt/test1", "org.mgmt.test1.Manager", manager_vtable, m);
        if (r < 0)
                return r;
        r = daemon_export_tree(d, "/org/mgmt/test1/thing", "org.mgmt.test1.Thing", thing_vtable, find_thing, list_things, m);
        if (r < 0)
                return r;
        r = sd_event_add_io(d->event, &m->accept_source, d->listen_fd, EPOLLIN, on_connection, m);
        if (r < 0)
                return r;
        (void) sd_event_source_set_io_fd_own(m->accept_source, true);
        d->listen_fd = -EBADF;
        return 0;
}

static void stop(Daemon *d) {
        Manager *m = d->manager;

        if (endswith(arg_behaviour, "hang-stop"))
                hang();
        sd_event_source_disable_unref(m->accept_source);
        free(m->text);
        log_info("stopping");
}

static int set_option(Daemon *d, int value, const char *argument) {
        if (streq(argument, "bad"))
                return -EINVAL;
        arg_behaviour = argument;
        return 0;
}

static int run_daemon(int argc, char *argv[]) {
        static const struct option options[] = { { "behaviour", required_argument, NULL, 256 }, {} };
        static const DaemonSpec spec = {
                .name = "test",
                .doc = "A daemon for a test.",
                .options = options,
                .options_help = "  --behaviour=WORD     do something unusual\n",
                .option = set_option,
                .start = start,
                .stop = stop,
        };
        return daemon_main(&spec, argc, argv);
}
