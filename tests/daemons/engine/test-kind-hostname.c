/* SPDX-License-Identifier: GPL-3.0-or-later */

/* hostname with a hostnamed that is made up. */

#include "tests/daemons/engine/bus-test.h"

extern const ResourceType hostname_type;

#define SERVICE "org.freedesktop.hostname1"

typedef struct Fake {
        sd_bus *bus;
        char names[3][64];      /* static, transient, pretty */
        bool stubborn;          /* says yes, and does nothing */
        bool silent;            /* says nothing, until it is asked to answer after all */
        sd_bus_message *unanswered;
} Fake;

static Fake fake;

static int index_of(const char *word) {
        return strstr(word, "Static") ? 0 : strstr(word, "Pretty") ? 2 : 1;
}

static int get_name(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                    sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "s", fake.names[index_of(property)]);
}

/* As the real one: the static name is also the transient one. */
static int set_name(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        int i = index_of(sd_bus_message_get_member(m)), r, interactive;
        const char *name;

        r = sd_bus_message_read(m, "sb", &name, &interactive);
        if (r < 0)
                return r;
        if (fake.silent) {
                sd_bus_message_unref(fake.unanswered);
                fake.unanswered = sd_bus_message_ref(m);
                return 1;
        }
        if (i < 2 && strchr(name, ' '))
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_INVALID_ARGS, "Invalid hostname '%s'", name);
        if (!fake.stubborn)
                (void) snprintf(fake.names[i], sizeof(fake.names[i]), "%s", name);
        if (!fake.stubborn && i == 0)
                (void) snprintf(fake.names[1], sizeof(fake.names[1]), "%s", name);
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Hostname", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StaticHostname", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("PrettyHostname", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD("SetHostname", "sb", NULL, set_name, 0),
        SD_BUS_METHOD("SetStaticHostname", "sb", NULL, set_name, 0),
        SD_BUS_METHOD("SetPrettyHostname", "sb", NULL, set_name, 0),
        SD_BUS_VTABLE_END
};

static int fake_start(void) {
        fake = (Fake) { .bus = service_connect(), .names = { "old", "old", "" } };
        if (!fake.bus)
                return -ENOTCONN;
        int r = sd_bus_add_object_vtable(fake.bus, NULL, "/org/freedesktop/hostname1", SERVICE, vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(fake.bus, SERVICE, 0);
}

static void fake_stop(int *unused) {
        fake.unanswered = sd_bus_message_unref(fake.unanswered);
        fake.bus = sd_bus_close_unref(fake.bus);
}

#define FAKE_RIG() \
        BUS_RIG(); \
        __attribute__((__cleanup__(fake_stop), __unused__)) int fake_guard = 0; \
        REQUIRE(bus_start() >= 0); \
        REQUIRE(fake_start() >= 0)

TEST(names_are_set) {
        static const struct {
                const char *a, *b, *c;
                const char *names[3];
        } cases[] = {
                { NULL, NULL, NULL, { "web", "web", "web" } },
                { "hostname=db", NULL, NULL, { "db", "db", "db" } },
                { "pretty_hostname=My host", NULL, NULL, { "web", "web", "My host" } },
                { "transient_hostname=now", NULL, NULL, { "web", "now", "web" } },
                { "static_hostname=", "transient_hostname=", "pretty_hostname=P", { "old", "old", "P" } },
        };
        FAKE_RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                memcpy(fake.names, (char[3][64]) { "old", "old", "" }, sizeof(fake.names));
                CHECK_INT(rig_make(&hostname_type, "web", FIELDS(cases[i].a, cases[i].b, cases[i].c)), 0);
                CHECK_INT(rig_apply(false), CHECK_CHANGED);
                CHECK_STR(fake.names[2], "");
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                for (size_t k = 0; k < 3; k++)
                        CHECK_STR(fake.names[k], cases[i].names[k]);
                CHECK_INT(rig_apply(true), CHECK_OK);
        }
}

/* One that does not answer is asked a few times more; then it is an error. An answer that comes too late is none. */
TEST(a_service_that_does_not_answer) {
        (void) setenv("SYSTEMD_BUS_TIMEOUT", "1s", 1);
        FAKE_RIG();

        fake.silent = true;
        CHECK_INT(rig_make(&hostname_type, "web", FIELDS()), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        for (unsigned i = 0; i < 3; i++) {
                unsigned before = rig.host.n_changed;
                CHECK_INT(rig_apply(true), -EAGAIN);
                CHECK_STR(rig.host.reason, "Method call timed out");
                CHECK(rig.host.n_changed > before);
        }
        CHECK_INT(sd_bus_reply_method_return(fake.unanswered, NULL), 1);
        rig_run(20000);
        (void) unsetenv("SYSTEMD_BUS_TIMEOUT");
        fake.silent = false;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(fake.names[0], "web");
}

TEST(errors) {
        FAKE_RIG();

        CHECK_INT(rig_make(&hostname_type, "two words", FIELDS()), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
        CHECK_STR(rig.host.diag.message, "cannot set the name of the host: Invalid hostname 'two words'");
        fake.stubborn = true;
        CHECK_INT(rig_make(&hostname_type, "web", FIELDS()), 0);
        CHECK_INT(rig_apply(true), -EPROTO);
        CHECK_STR(rig.host.diag.message, "static_hostname stays 'old', and does not become 'web'");
        CHECK_INT(rig_make(&hostname_type, "web", FIELDS("static_hostname=a\nb")), -EINVAL);
        CHECK_INT(rig_make(&hostname_type, "web", FIELDS("static_hostname=", "transient_hostname=", "pretty_hostname=")), -EINVAL);
        CHECK_STR(rig.host.diag.message, "at least one of the names must be given");
}

TEST(without_a_bus_it_waits) {
        BUS_RIG();
        __attribute__((__cleanup__(fake_stop), __unused__)) int fake_guard = 0;

        CHECK_INT(rig_make(&hostname_type, "web", FIELDS()), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "there is no system bus");
        unsigned before = rig.host.n_changed;
        REQUIRE(bus_start() >= 0);
        CHECK(bus_wait(&rig.host.n_changed, before));
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK(rig.host.reason && startswith(rig.host.reason, SERVICE " is not there"));
        before = rig.host.n_changed;
        REQUIRE(fake_start() >= 0);
        CHECK(bus_wait(&rig.host.n_changed, before));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);

        /* Somebody else changes it. */
        before = rig.host.n_changed;
        (void) snprintf(fake.names[0], sizeof(fake.names[0]), "other");
        CHECK(sd_bus_emit_properties_changed(fake.bus, "/org/freedesktop/hostname1", SERVICE, "StaticHostname", NULL) >= 0);
        CHECK(bus_wait(&rig.host.n_changed, before));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(fake.names[0], "web");
}

TEST_MAIN()
