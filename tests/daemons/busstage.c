/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Both ends are in one loop, so nothing may wait for an answer but by running it. */

#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "tests/daemons/busstage.h"
#include "tests/daemons/testhost.h"

static BusStage *stage;

int daemon_export(Daemon *d, const char *path, const char *interface, const sd_bus_vtable *vtable, void *userdata) {
        return sd_bus_add_object_vtable(stage->server, NULL, path, interface, vtable, userdata);
}

int daemon_emit_changed(Daemon *d, const char *path, const char *interface, char **properties) {
        return sd_bus_emit_properties_changed_strv(stage->server, path, interface, properties);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusStage *s = userdata;

        s->n_changed++;
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusStage *s = userdata;

        s->answer = sd_bus_message_ref(m);
        s->answered = true;
        return 0;
}

static void must(int r) {
        if (r < 0)
                abort();
}

void busstage_init(BusStage *s, sd_event *event) {
        sd_id128_t id;
        int pair[2];

        *s = (BusStage) { .event = sd_event_ref(event) };
        stage = s;
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        must(sd_id128_randomize(&id));
        must(sd_bus_new(&s->server));
        must(sd_bus_new(&s->client));
        must(sd_bus_set_fd(s->server, pair[0], pair[0]));
        must(sd_bus_set_fd(s->client, pair[1], pair[1]));
        must(sd_bus_set_server(s->server, true, id));
        must(sd_bus_set_anonymous(s->server, true));
        must(sd_bus_set_trusted(s->server, true));
        must(sd_bus_start(s->server));
        must(sd_bus_start(s->client));
        must(sd_bus_attach_event(s->server, event, 0));
        must(sd_bus_attach_event(s->client, event, 0));
        must(sd_bus_match_signal(s->client, NULL, NULL, NULL, "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, s));
}

void busstage_done(BusStage *s) {
        sd_bus_message_unref(s->answer);
        sd_bus_close_unref(s->client);
        sd_bus_close_unref(s->server);
        sd_event_unref(s->event);
        stage = NULL;
}

static uint64_t now_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

int busstage_get(BusStage *s, const char *path, const char *interface, const char *property, const char *type) {
        uint64_t end = now_msec() + PATIENCE_MSEC;
        int r;

        s->answer = sd_bus_message_unref(s->answer);
        s->answered = false;
        r = sd_bus_call_method_async(s->client, NULL, NULL, path, "org.freedesktop.DBus.Properties", "Get", on_answer, s, "ss",
                                     interface, property);
        if (r < 0)
                return r;
        while (!s->answered && now_msec() < end)
                (void) sd_event_run(s->event, 100000);
        if (!s->answered)
                return -ETIMEDOUT;
        r = sd_bus_message_get_errno(s->answer);
        return r > 0 ? -r : sd_bus_message_enter_container(s->answer, 'v', type);
}

bool busstage_until_changed(BusStage *s, unsigned n_changed) {
        uint64_t end = now_msec() + PATIENCE_MSEC;

        while (s->n_changed <= n_changed && now_msec() < end)
                (void) sd_event_run(s->event, 100000);
        return s->n_changed > n_changed;
}
