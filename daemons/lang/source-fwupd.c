/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sys/fwupd: whether an update of firmware waits for a reboot, which is a matter of the service fwupd. Asking starts it, and it
 * ends when it is idle: so it is asked when its answer may have changed, and its end is not such a reason. */

#include "common/sd/bus-connection.h"
#include "common/sd/bus.h"
#include "common/sd/log.h"
#include "daemons/lang/sources.h"

#define FWUPD "org.freedesktop.fwupd"

enum { UPDATE_NEEDS_REBOOT = 4 };

typedef struct FirmwareSource FirmwareSource;

struct FirmwareSource {
        Source source;
        FirmwareSource *next;
        bool listed;
};

/* One for all who want to know. */
struct Firmware {
        BusConnection *connection;
        sd_bus *bus;            /* the connection's, or NULL */
        sd_bus_slot *call;      /* under way */
        bool again;             /* something happened since it was sent */
        bool known, needed;
        FirmwareSource *sources;
};

static void tell(Firmware *f, bool needed) {
        f->known = true;
        f->needed = needed;
        for (FirmwareSource *s = f->sources; s; s = s->next)
                source_set(&s->source, VALUE_BOOL(needed));
}

/* ---- asking ---- */

/* One device, of which only the state of its update matters. */
static int read_device(sd_bus_message *m, bool *needed) {
        const char *key;
        uint32_t state;
        int r;

        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (streq(key, "UpdateState")) {
                        r = sd_bus_message_read(m, "v", "u", &state);
                        *needed = *needed || (r >= 0 && state == UPDATE_NEEDS_REBOOT);
                } else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_devices(sd_bus_message *m, bool *needed) {
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "a{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}")) > 0) {
                r = read_device(m, needed);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static void ask(Firmware *f);

/* An error means that there is no such service, which is then right: nothing waits. */
static int on_devices(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Firmware *f = userdata;
        bool needed = false;

        f->call = sd_bus_slot_unref(f->call);
        if (!sd_bus_message_is_method_error(m, NULL)) {
                int r = read_devices(m, &needed);
                if (r < 0)
                        (void) log_warning(r, "fwupd answers what we do not understand, ignoring: %m");
        }
        if (f->again)
                ask(f);
        tell(f, needed);
        return 0;
}

static void ask(Firmware *f) {
        f->again = f->call;
        if (f->call)
                return;
        int r = sd_bus_call_method_async(f->bus, &f->call, FWUPD, "/", FWUPD, "GetDevices", on_devices, f, NULL);
        if (r < 0)
                (void) log_warning(r, "cannot ask fwupd: %m");
}

/* ---- the bus ---- */

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        ask(userdata);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *name, *before, *after;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) >= 0 && *after)
                ask(userdata);
        return 0;
}

static int set_up(sd_bus *bus, void *userdata) {
        int r = sd_bus_add_match_async(bus, NULL, "type='signal',sender='" FWUPD "',interface='" FWUPD "'", on_signal, NULL, userdata);

        if (r >= 0)
                r = sd_bus_add_match_async(bus, NULL, "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='" FWUPD "'", on_owner, NULL, userdata);
        return r < 0 ? r : 0;
}

static void on_connected(bool again, void *userdata) {
        ask(userdata);
}

static void on_lost(bool was_connected, void *userdata) {
        Firmware *f = userdata;

        f->call = sd_bus_slot_unref(f->call);
        if (!f->known)
                tell(f, false);
}

/* ---- the function ---- */

static Firmware *firmware_free(Firmware *f) {
        sd_bus_slot_unref(f->call);
        if (f->connection)
                bus_connection_free(f->connection);
        free(f);
        return NULL;
}

static int firmware_new(Firmware **ret, sd_event *event) {
        const BusConnectionSpec spec = {
                .description = "the system bus",
                .address = bus_system_address(),
                .setup = set_up,
                .connected = on_connected,
                .lost = on_lost,
        };
        Firmware *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        int r = bus_connection_new(&f->connection, event, &spec, &f->bus, f);
        if (r < 0) {
                firmware_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

static int reboot_needed_open(Source *s, Diag *reterr) {
        SourceShare *share = source_share(s);
        FirmwareSource *own = (FirmwareSource *) s;
        int r = share->firmware ? 0 : firmware_new(&share->firmware, s->host->event);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot listen to fwupd: %m");
        Firmware *f = share->firmware;
        own->next = f->sources;
        own->listed = true;
        f->sources = own;
        if (f->known)
                source_set(s, VALUE_BOOL(f->needed));
        else if (!f->bus || bus_is_awaited(f->bus))
                tell(f, false);
        return 0;
}

static void reboot_needed_close(Source *s) {
        SourceShare *share = source_share(s);
        FirmwareSource *own = (FirmwareSource *) s;

        if (!own->listed)
                return;
        Firmware *f = share->firmware;
        for (FirmwareSource **at = &f->sources; *at; at = &(*at)->next)
                if (*at == own) {
                        *at = own->next;
                        break;
                }
        if (!f->sources)
                share->firmware = firmware_free(f);
}

const SourceType fwupd_sources[] = {
        { .name = "sys/fwupd.reboot_needed", .size = sizeof(FirmwareSource), .open = reboot_needed_open, .close = reboot_needed_close },
        {}
};
