/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sys/fwupd against a service that is played here, on a bus of the test's own. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/sd/bus.h"
#include "tests/daemons/lang/source-test.h"

#define FWUPD "org.freedesktop.fwupd"

typedef struct Service {
        sd_bus *bus;
        uint32_t state;         /* of the second device; 0: it says nothing of it */
        const char *type;       /* that state has: "u" if all is well */
        bool refuses;
        bool has_name;          /* on the bus */
        unsigned n_asked;
} Service;

static pid_t start_bus(const Stage *stage) {
        char address[128], config[512];
        FILE *f = fopen(stage_path(stage, "bus.conf"), "w");

        if (!f || fprintf(f, "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
                          "<policy context=\"default\"><allow send_destination=\"*\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n",
                          stage->directory) < 0 || fclose(f) != 0)
                abort();
        (void) snprintf(config, sizeof(config), "--config-file=%s/bus.conf", stage->directory);
        (void) snprintf(address, sizeof(address), "unix:path=%s/bus", stage->directory);
        pid_t pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) !freopen("/dev/null", "w", stderr);      /* it grumbles about limits */
                execl("/usr/bin/dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", config, NULL);
                _exit(127);
        }
        return pid;
}

static void stop_bus(pid_t pid) {
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
}

static int get_devices(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Service *s = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        s->n_asked++;
        if (s->refuses)
                return sd_bus_error_set(reterr, "org.freedesktop.fwupd.NothingToDo", "no devices");
        CHECK(sd_bus_message_new_method_return(m, &reply) >= 0);
        CHECK(sd_bus_message_open_container(reply, 'a', "a{sv}") >= 0);
        CHECK(sd_bus_message_append(reply, "a{sv}", 2, "Name", "s", "first", "Guid", "as", 2, "a", "b") >= 0);
        if (s->state == 0)
                CHECK(sd_bus_message_append(reply, "a{sv}", 1, "Name", "s", "second") >= 0);
        else
                CHECK(sd_bus_message_append(reply, "a{sv}", 3, "Name", "s", "second", "UpdateState", s->type, s->state,
                                            "Flags", "t", (uint64_t) 1) >= 0);
        CHECK(sd_bus_message_append(reply, "a{sv}", 0) >= 0);
        CHECK(sd_bus_message_close_container(reply) >= 0);
        return sd_bus_message_send(reply);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetDevices", "", "aa{sv}", get_devices, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("DeviceChanged", "a{sv}", 0),
        SD_BUS_VTABLE_END
};

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        CHECK(!sd_bus_message_is_method_error(m, NULL));
        ((Service *) userdata)->has_name = true;
        return 0;
}

static void service_start(Service *s, Stage *stage) {
        if (bus_open_address(&s->bus, stage->event, "service", bus_system_address()) < 0 ||
            sd_bus_add_object_vtable(s->bus, NULL, "/", FWUPD, vtable, s) < 0 ||
            sd_bus_request_name_async(s->bus, NULL, FWUPD, 0, on_name, s) < 0)
                abort();
        for (int64_t end = now_msec() + PATIENCE_MSEC; !s->has_name && now_msec() < end;)
                (void) sd_event_run(stage->event, TURN_USEC);
}

static void service_says(Service *s, uint32_t state) {
        s->state = state;
        CHECK(sd_bus_emit_signal(s->bus, "/", FWUPD, "DeviceChanged", "a{sv}", 0) >= 0);
}

TEST(a_reboot_is_needed_when_a_device_says_so) {
        if (access("/usr/bin/dbus-daemon", X_OK) < 0)
                TEST_SKIP("needs dbus-daemon");

        size_t fds = count_fds();
        Service service = { .type = "u" };
        Stage stage;
        Call c = {}, second = {};
        char address[128];

        stage_start(&stage);
        (void) snprintf(address, sizeof(address), "unix:path=%s/bus", stage.directory);
        (void) setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);

        /* no bus, then one without the service, then the service */
        CHECK_INT(call_open(&stage, &c, "sys/fwupd.reboot_needed", NULL), 0);
        CHECK_STR(c.text, "false");
        pid_t bus = start_bus(&stage);
        CHECK(call_until(&c, 2));
        CHECK_STR(c.text, "false");
        service.state = 4;
        service_start(&service, &stage);
        CHECK_SAYS(&c, "true");

        CHECK_INT(call_open(&stage, &second, "sys/fwupd.reboot_needed", NULL), 0);
        CHECK_STR(second.text, "true");
        service_says(&service, 2);
        CHECK_SAYS(&c, "false");
        CHECK_STR(second.text, "false");
        service_says(&service, 4);
        CHECK_SAYS(&second, "true");
        call_close(&second);
        service_says(&service, 0);
        CHECK_SAYS(&c, "false");

        /* answers that are none; the second makes sure that the first was looked at */
        service.type = "i";
        unsigned n = c.n_said;
        service_says(&service, 4);
        CHECK(call_until(&c, n + 1));
        CHECK_STR(c.text, "false");
        service.type = "u";
        service_says(&service, 4);
        CHECK_SAYS(&c, "true");
        service.refuses = true;
        service_says(&service, 4);
        CHECK_SAYS(&c, "false");

        /* It ends because it is idle: asking would start it again. */
        service.refuses = false;
        n = c.n_said;
        sd_bus_close_unref(TAKE_PTR(service.bus));
        stage_run(&stage, 100);
        CHECK_INT(c.n_said, n);

        call_close(&c);
        stop_bus(bus);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

/* A program that starts when all is there waits for the answer, and has no other before. */
TEST(the_first_value_is_the_answer) {
        if (access("/usr/bin/dbus-daemon", X_OK) < 0)
                TEST_SKIP("needs dbus-daemon");

        Service service = { .type = "u", .state = 4 };
        Stage stage;
        Call c = {};
        char address[128];

        stage_start(&stage);
        (void) snprintf(address, sizeof(address), "unix:path=%s/bus", stage.directory);
        (void) setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
        pid_t bus = start_bus(&stage);
        for (int64_t end = now_msec() + PATIENCE_MSEC; access(stage_path(&stage, "bus"), F_OK) < 0 && now_msec() < end;)
                stage_run(&stage, 10);
        service_start(&service, &stage);
        CHECK_INT(call_open(&stage, &c, "sys/fwupd.reboot_needed", NULL), 0);
        CHECK_INT(c.n_said, 0);
        CHECK(call_until(&c, 1));
        CHECK_STR(c.text, "true");
        call_close(&c);
        sd_bus_close_unref(service.bus);
        stop_bus(bus);
        stage_end(&stage);
}

TEST_MAIN()
