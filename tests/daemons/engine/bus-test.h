/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A bus of the test's own, which kinds take for the system bus, and services on it that the test makes up. Everything but the bus
 * itself runs in the loop of kind-test.h, so a service answers while the kind under test waits. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "tests/daemons/engine/kind-test.h"

typedef struct TestBus {
        pid_t pid;
        char address[128];
} TestBus;

static TestBus test_bus;

static bool bus_is_available(void) {
        return access("/usr/bin/dbus-daemon", X_OK) == 0;
}

/* Returns when it listens. */
static int bus_start(void) {
        static const char config[] =
                "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
                "<servicedir>%s/services</servicedir>\n"
                "<policy context=\"default\"><allow send_destination=\"*\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>\n"
                "</busconfig>\n";
        char text[sizeof(config) + 256], line[256];
        int ready[2];

        (void) snprintf(text, sizeof(text), config, rig.dir, rig.dir);
        put_file("bus.conf", text);
        if (pipe(ready) < 0)
                return -errno;
        test_bus.pid = fork();
        if (test_bus.pid == 0) {
                char fd_text[32], file[256];

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) snprintf(fd_text, sizeof(fd_text), "--print-address=%d", ready[1]);
                (void) snprintf(file, sizeof(file), "--config-file=%s/bus.conf", rig.dir);
                (void) close(ready[0]);
                (void) !freopen("/dev/null", "w", stderr);      /* it grumbles about limits */
                execl("/usr/bin/dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", fd_text, file, NULL);
                _exit(127);
        }
        (void) close(ready[1]);
        ssize_t n = read(ready[0], line, sizeof(line));
        (void) close(ready[0]);
        return test_bus.pid < 0 ? -errno : n <= 0 ? -EIO : 0;
}

static void bus_stop(void) {
        if (test_bus.pid <= 0)
                return;
        (void) kill(test_bus.pid, SIGKILL);
        (void) waitpid(test_bus.pid, NULL, 0);
        test_bus.pid = 0;
}

static inline void bus_stopp(int *unused) {
        bus_stop();
}

/* Also without a bus, which may come later. */
#define BUS_RIG() \
        if (!bus_is_available()) \
                TEST_SKIP("needs dbus-daemon"); \
        RIG(); \
        __attribute__((__cleanup__(bus_stopp), __unused__)) int bus_guard = 0; \
        (void) snprintf(test_bus.address, sizeof(test_bus.address), "unix:path=%s/bus", rig.dir); \
        (void) setenv("DBUS_SYSTEM_BUS_ADDRESS", test_bus.address, 1)

/* A connection for a service, with nothing on it yet. */
static sd_bus *service_connect(void) {
        sd_bus *bus = NULL;

        if (bus_open_address(&bus, NULL, "service", test_bus.address) < 0 || sd_bus_attach_event(bus, rig.event, 0) < 0)
                return sd_bus_close_unref(bus);
        return bus;
}

/* Runs the loop until the kind has said so. */
static bool bus_wait(const unsigned *counter, unsigned more_than) {
        return RIG_UNTIL(*counter > more_than);
}

static inline void bus_test_unused(void) {
        (void) bus_start;
        (void) service_connect;
        (void) bus_wait;
}
