/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.mgmt.world1.Manager without a bus: the vtable at one end of a socket pair, calls at the other, all in one loop. */

#include <errno.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/bundle.h"
#include "common/io.h"
#include "common/sd/deploy-bus.h"
#include "daemons/world/world-manager.h"
#include "tests/test.h"

#define OBJECT_PATH "/org/mgmt/world1"
#define INTERFACE "org.mgmt.world1.Manager"

typedef struct Stage {
        char directory[64];
        Daemon daemon;
        sd_bus *server, *client;
        Channel *lang;
        sd_bus_message *answer;
        bool answered;
        unsigned n_signals;
        uint64_t last_signal;
} Stage;

/* ---- instead of common/sd/daemon.c ---- */

static Stage *stage;

int daemon_export(Daemon *d, const char *path, const char *interface, const sd_bus_vtable *vtable, void *userdata) {
        return sd_bus_add_object_vtable(stage->server, NULL, path, interface, vtable, userdata);
}

int daemon_emit(Daemon *d, const char *path, const char *interface, const char *member, const char *types, ...) {
        va_list ap;
        int r;

        va_start(ap, types);
        r = sd_bus_emit_signalv(stage->server, path, interface, member, types, ap);
        va_end(ap);
        return r;
}

int daemon_emit_changed(Daemon *d, const char *path, const char *interface, char **properties) {
        return sd_bus_emit_properties_changed_strv(stage->server, path, interface, properties);
}

/* ---- both ends ---- */

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Stage *s = userdata;

        s->n_signals++;
        CHECK(sd_bus_message_read(m, "t", &s->last_signal) > 0);
        return 0;
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        if (m->type == MESSAGE_DEPLOY_ADDED)
                CHECK(m->deploy_added.deploy > 0);
}

static void stage_init(Stage *s) {
        static const ChannelOps ops = { .message = on_message };
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        sd_id128_t id;
        int pair[2];

        *s = (Stage) { .directory = "/tmp/test-world-XXXXXX", .daemon = { .name = "world", .listen_fd = -EBADF } };
        stage = s;
        CHECK(mkdtemp(s->directory));
        s->daemon.state_dir = s->directory;
        CHECK(sd_event_new(&s->daemon.event) >= 0);
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, pair), 0);
        CHECK(sd_id128_randomize(&id) >= 0);
        CHECK(sd_bus_new(&s->server) >= 0 && sd_bus_new(&s->client) >= 0);
        CHECK(sd_bus_set_fd(s->server, pair[0], pair[0]) >= 0 && sd_bus_set_fd(s->client, pair[1], pair[1]) >= 0);
        CHECK(sd_bus_set_server(s->server, true, id) >= 0 && sd_bus_set_anonymous(s->server, true) >= 0);
        CHECK(sd_bus_set_trusted(s->server, true) >= 0);
        CHECK(sd_bus_start(s->server) >= 0 && sd_bus_start(s->client) >= 0);
        CHECK(sd_bus_attach_event(s->server, s->daemon.event, 0) >= 0);
        CHECK(sd_bus_attach_event(s->client, s->daemon.event, 0) >= 0);
        snprintf(a.sun_path, sizeof(a.sun_path), "%s/x.sock", s->directory);
        s->daemon.listen_fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
        CHECK(bind(s->daemon.listen_fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(s->daemon.listen_fd, 8) == 0);
        CHECK_INT(world_manager_start(&s->daemon), 0);
        CHECK_INT(channel_connect(&s->lang, s->daemon.event, a.sun_path, &ops, s), 0);
        CHECK(sd_bus_match_signal(s->client, NULL, NULL, OBJECT_PATH, INTERFACE, "DeployAdded", on_signal, s) >= 0);
}

static void stage_done(Stage *s) {
        channel_free(s->lang);
        world_manager_stop(&s->daemon);
        sd_bus_message_unref(s->answer);
        sd_bus_close_unref(s->client);
        sd_bus_close_unref(s->server);
        sd_event_unref(s->daemon.event);
        (void) remove_tree(s->directory);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Stage *s = userdata;

        s->answer = sd_bus_message_ref(m);
        s->answered = true;
        return 0;
}

/* Calls and waits; the answer, which may be an error, stays in the stage. */
static void call_interface(Stage *s, const char *interface, const char *method, const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list ap;

        s->answer = sd_bus_message_unref(s->answer);
        s->answered = false;
        CHECK(sd_bus_message_new_method_call(s->client, &m, NULL, OBJECT_PATH, interface, method) >= 0);
        va_start(ap, types);
        CHECK(!types || sd_bus_message_appendv(m, types, ap) >= 0);
        va_end(ap);
        CHECK(sd_bus_call_async(s->client, NULL, m, on_answer, s, 60 * 1000 * 1000) >= 0);
        sd_bus_message_unref(m);
        while (!s->answered)
                (void) sd_event_run(s->daemon.event, UINT64_MAX);
}

#define call(s, ...) call_interface((s), INTERFACE, __VA_ARGS__)

static const char *error_name(Stage *s) {
        const sd_bus_error *e = sd_bus_message_get_error(s->answer);

        return e ? e->name : NULL;
}

static void check_string(Stage *s, const char *key, int want_found, const char *want) {
        const char *value = NULL;
        int found = -1;

        call(s, "GetString", "s", key);
        CHECK(sd_bus_message_read(s->answer, "bs", &found, &value) > 0);
        CHECK_INT(found, want_found);
        CHECK_STR(value, want);
}

/* ---- the cases ---- */

TEST(strings) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        check_string(&s, "k", false, "");
        call(&s, "SetString", "ss", "k", "value");
        CHECK_STR(error_name(&s), NULL);
        check_string(&s, "k", true, "value");
        call(&s, "SetString", "ss", "k", "");
        check_string(&s, "k", true, "");
        call(&s, "DeleteString", "s", "k");
        CHECK_STR(error_name(&s), NULL);
        check_string(&s, "k", false, "");
        call(&s, "DeleteString", "s", "k");
        CHECK_STR(error_name(&s), NULL);

        call(&s, "GetString", "s", "");
        CHECK_STR(error_name(&s), "org.freedesktop.DBus.Error.InvalidArgs");
        call(&s, "SetString", "s", "k");
        CHECK_STR(error_name(&s), "org.freedesktop.DBus.Error.InvalidArgs");
}

static int on_property(Stage *s, const char *name, const char *type, void *ret) {
        call_interface(s, "org.freedesktop.DBus.Properties", "Get", "ss", INTERFACE, name);
        return sd_bus_message_read(s->answer, "v", type, ret);
}

static void add_deploy(Stage *s) {
        _cleanup_(value_done) Value bundle = {}, options = {};
        Value items[4] = {};

        CHECK_INT(value_strz(&items[0], "/a"), 0);
        CHECK_INT(value_strz(&items[1], "x"), 0);
        CHECK_INT(value_strz(&items[2], "/b"), 0);
        CHECK_INT(value_strz(&items[3], "y"), 0);
        CHECK_INT(value_map(&bundle, items, 2), 0);
        CHECK_INT(value_struct(&options, NULL, NULL, 0), 0);
        while (!channel_is_connected(s->lang))
                (void) sd_event_run(s->daemon.event, UINT64_MAX);
        CHECK_INT(channel_send(s->lang, 0, &(Message) {
                        .type = MESSAGE_DEPLOY_ADD,
                        .deploy_add = { .bundle = bundle, .options = options },
                  }), 0);
}

TEST(properties_and_deploys) {
        _cleanup_(stage_done) Stage s;
        uint64_t id = 99, time_usec = 0, n_files = 0, size = 0, now = (uint64_t) time(NULL) * 1000000;
        const char *text = NULL, *source = NULL, *hosts = NULL;
        int is_signed = -1;
        uint32_t count = 99;

        stage_init(&s);
        CHECK(on_property(&s, "Version", "s", &text) > 0);
        CHECK_STR(text, MGMT_VERSION);
        CHECK(on_property(&s, "StoreUri", "s", &text) > 0);
        CHECK(startswith(text, "sqlite:/tmp/test-world-"));
        CHECK(on_property(&s, "ResourceCount", "u", &count) > 0);
        CHECK_INT(count, 0);
        CHECK(on_property(&s, "CallCount", "u", &count) > 0);
        CHECK_INT(count, 0);
        CHECK(on_property(&s, "DeployId", "t", &id) > 0);
        CHECK_INT(id, 0);
        call(&s, "ListDeploys", NULL);
        CHECK(sd_bus_message_enter_container(s.answer, 'a', "(ttttsbs)") > 0);
        CHECK_INT(sd_bus_message_read(s.answer, "(ttttsbs)", &id, &time_usec, &n_files, &size, &source, &is_signed, &hosts), 0);

        add_deploy(&s);
        add_deploy(&s);
        while (s.n_signals < 2)
                (void) sd_event_run(s.daemon.event, UINT64_MAX);
        CHECK_INT(s.last_signal, 2);
        CHECK(on_property(&s, "DeployId", "t", &id) > 0);
        CHECK_INT(id, 2);
        call(&s, "ListDeploys", NULL);
        CHECK(sd_bus_message_enter_container(s.answer, 'a', "(ttttsbs)") > 0);
        for (uint64_t want = 2; want > 0; want--) {
                CHECK(sd_bus_message_read(s.answer, "(ttttsbs)", &id, &time_usec, &n_files, &size, &source, &is_signed, &hosts) > 0);
                CHECK_INT(id, want);
                CHECK(time_usec >= now);
                CHECK_INT(n_files, 2);
                CHECK(size > 8);
                CHECK_STR(source, "");
                CHECK_INT(is_signed, 0);
                CHECK_STR(hosts, "");
        }
        CHECK_INT(sd_bus_message_at_end(s.answer, false), 1);
}

TEST(a_deploy_is_given_back) {
        _cleanup_(stage_done) Stage s;
        _cleanup_(value_done) Value bundle = {};
        DeployOptions options = {};
        int fd = -1;

        stage_init(&s);
        add_deploy(&s);
        while (s.n_signals < 1)
                (void) sd_event_run(s.daemon.event, UINT64_MAX);
        call(&s, "GetDeploy", "t", UINT64_C(1));
        CHECK(sd_bus_message_read(s.answer, "h", &fd) > 0);
        CHECK_INT(bundle_unseal(fd, &bundle, NULL), 0);
        CHECK_INT(bundle.m->n, 2);
        CHECK_INT(deploy_options_read(s.answer, &options, NULL), 0);
        CHECK(options.autoedge);
        deploy_options_done(&options);
        CHECK_INT(bundle_seal(bundle, &fd), 0);
        call(&s, "AddDeploy", "ha{sv}ts", fd, 0, UINT64_C(0), "");
        close(fd);
        CHECK(sd_bus_message_is_method_error(s.answer, "org.mgmt.Error.EOPNOTSUPP") > 0);
        call(&s, "GetDeploy", "t", UINT64_C(2));
        CHECK(sd_bus_message_is_method_error(s.answer, SD_BUS_ERROR_FILE_NOT_FOUND) > 0);
        call(&s, "GetDeploy", "t", UINT64_MAX);
        CHECK(sd_bus_message_is_method_error(s.answer, NULL) > 0);
}

TEST(calls_that_wait_at_the_end_are_answered) {
        _cleanup_(stage_done) Stage s;
        sd_bus_message *m = NULL;
        sqlite3 *other = NULL;
        char path[128];

        stage_init(&s);
        snprintf(path, sizeof(path), "%s/world.sqlite", s.directory);
        CHECK_INT(sqlite3_open(path, &other), SQLITE_OK);
        CHECK_INT(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        CHECK(sd_bus_message_new_method_call(s.client, &m, NULL, OBJECT_PATH, INTERFACE, "GetString") >= 0);
        CHECK(sd_bus_message_append(m, "s", "k") >= 0);
        CHECK(sd_bus_call_async(s.client, NULL, m, on_answer, &s, 60 * 1000 * 1000) >= 0);
        sd_bus_message_unref(m);
        for (int i = 0; i < 200; i++)
                (void) sd_event_run(s.daemon.event, 1000);
        CHECK(!s.answered);
        world_manager_stop(&s.daemon);
        while (!s.answered)
                (void) sd_event_run(s.daemon.event, UINT64_MAX);
        CHECK_STR(error_name(&s), "System.Error.ECANCELED");
        CHECK_INT(sqlite3_close(other), SQLITE_OK);
}

TEST_MAIN()
