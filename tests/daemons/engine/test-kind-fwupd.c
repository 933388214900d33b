/* SPDX-License-Identifier: GPL-3.0-or-later */

/* fwupd:device, fwupd:system and fwupd:remote with a fwupd that is made up, and files from a disk and from a server of a few lines. With
 * the real one, and its device for tests, they are tested by tests/system. */

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/usec.h"
#include "tests/daemons/engine/bus-test.h"

extern const ResourceType fwupd_device_type, fwupd_remote_type, fwupd_system_type;

#define FWUPD "org.freedesktop.fwupd"
#define FIRMWARE "firmware 1.2.4\n"
#define SHA256 "e0b2f0ac520115b5ffd44716323aa2a5c42c685267a3f7cf6a8adf12c95b2bf8"
#define SHA1 "0908e1047535acb5186864790eaa5915d384d4f3"
#define WRONG_SHA256 "13737da938d73adcf4ec263978f33ff8542c6dc20a03a1d2d2764b2b62ee8a69"
#define ID "aaaa0000aaaa0000aaaa0000aaaa0000aaaa0000"
#define OTHER_ID "bbbb0000bbbb0000bbbb0000bbbb0000bbbb0000"
#define GUID "b585990a-003e-5270-89d5-3705a17f9a43"

enum { UPDATABLE = 1 << 1, UPGRADE = 1 << 2, DOWNGRADE = 1 << 3, BLOCKED = 1 << 4, NEEDS_REBOOT = 4 };

typedef struct Device {
        const char *id, *name, *guid;
        char version[16];
        uint64_t flags;
        uint32_t state;
} Device;

typedef struct Release {
        const char *version, *location, *checksum;
        uint64_t flags;
} Release;

static struct {
        sd_bus *bus;
        Device devices[3];
        Release releases[4];
        const char *firmware_base, *cache;
        uint32_t type;                  /* of the remote */
        char remote_uri[200];
        bool enabled, stubborn;         /* stubborn: it takes everything, and nothing changes */
        uint64_t modified;
        const char *refusal;            /* of what changes something */
        const char *no_releases;        /* the name of the error */
        const char *checksum_type;      /* that the bus is told of */
        StrBuf called;
} fwupd;

/* ---- what it tells ---- */

static int get_devices(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (!fwupd.devices[0].id)
                return sd_bus_error_set(reterr, FWUPD ".NothingToDo", "no detected devices");
        int r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (const Device *d = fwupd.devices; r >= 0 && d->id; d++)
                r = sd_bus_message_append(reply, "a{sv}", 8, "DeviceId", "s", d->id, "Name", "s", d->name, "Guid", "as", 2, d->guid,
                                          "00000000-0000-0000-0000-000000000000", "Version", "s", d->version, "Flags", "t", d->flags,
                                          "UpdateState", "u", d->state, "VersionFormat", "u", 2, "UpdateError", "s", "it is on battery");
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static int get_releases(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (fwupd.no_releases)
                return sd_bus_error_set(reterr, fwupd.no_releases, "no releases found");
        int r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (const Release *e = fwupd.releases; r >= 0 && e->version; e++)
                r = sd_bus_message_append(reply, "a{sv}", 5, "Version", "s", e->version, "RemoteId", "s", "lvfs", "Locations", "as", 1,
                                          e->location, "Checksum", "s", e->checksum, "TrustFlags", "t", e->flags);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static int get_remotes(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_append(reply, "aa{sv}", 2, 2, "RemoteId", "s", "vendor", "Enabled", "b", false, 7, "RemoteId", "s", "lvfs",
                                          "Enabled", "b", fwupd.enabled, "Uri", "s", fwupd.remote_uri, "ModificationTime", "t",
                                          fwupd.modified, "FirmwareBaseUri", "s", fwupd.firmware_base ?: "", "FilenameCache", "s",
                                          fwupd.cache ?: "", "Type", "u", fwupd.type);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* ---- what it does ---- */

static int refuse(sd_bus_error *reterr) {
        return sd_bus_error_set(reterr, FWUPD ".NotSupported", fwupd.refusal);
}

static void call_file(int fd) {
        char text[64] = "";
        ssize_t n = read(fd, text, sizeof(text) - 1);

        if (write(fd, "x", 1) >= 0)
                strbuf_puts(&fwupd.called, " WRITABLE");
        strbuf_printf(&fwupd.called, " <%.*s>", n > 0 ? (int) strcspn(text, "\n") : 0, text);
}

static int install(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *id, *option;
        int fd, value;

        if (sd_bus_message_read(m, "sha{sv}", &id, &fd, 1, &option, "b", &value) < 0)
                return -EINVAL;
        strbuf_printf(&fwupd.called, "Install %.4s %s=%d", id, option, value);
        call_file(fd);
        strbuf_putc(&fwupd.called, '\n');
        if (fwupd.refusal)
                return refuse(reterr);
        for (Device *d = fwupd.devices; d->id && !fwupd.stubborn; d++)
                if (streq(d->id, id))
                        (void) snprintf(d->version, sizeof(d->version), "1.2.4");
        return sd_bus_reply_method_return(m, NULL);
}

static int modify_remote(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *id, *key, *value;

        if (sd_bus_message_read(m, "sss", &id, &key, &value) < 0)
                return -EINVAL;
        strbuf_printf(&fwupd.called, "ModifyRemote %s %s %s\n", id, key, value);
        if (fwupd.refusal)
                return refuse(reterr);
        if (!fwupd.stubborn)
                fwupd.enabled = streq(value, "true");
        return sd_bus_reply_method_return(m, NULL);
}

static int update_metadata(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *id;
        int data, signature;

        if (sd_bus_message_read(m, "shh", &id, &data, &signature) < 0)
                return -EINVAL;
        strbuf_printf(&fwupd.called, "UpdateMetadata %s", id);
        call_file(data);
        call_file(signature);
        strbuf_putc(&fwupd.called, '\n');
        if (fwupd.refusal)
                return refuse(reterr);
        if (!fwupd.stubborn)
                fwupd.modified = usec_now(CLOCK_REALTIME) / 1000000;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetDevices", NULL, "aa{sv}", get_devices, 0),
        SD_BUS_METHOD("GetReleases", "s", "aa{sv}", get_releases, 0),
        SD_BUS_METHOD("GetRemotes", NULL, "aa{sv}", get_remotes, 0),
        SD_BUS_METHOD("Install", "sha{sv}", NULL, install, 0),
        SD_BUS_METHOD("ModifyRemote", "sss", NULL, modify_remote, 0),
        SD_BUS_METHOD("UpdateMetadata", "shh", NULL, update_metadata, 0),
        SD_BUS_SIGNAL("Changed", NULL, 0),
        SD_BUS_SIGNAL("DeviceChanged", "a{sv}", 0),
        SD_BUS_VTABLE_END
};

static int fwupd_start(void) {
        fwupd.devices[0] = (Device) { ID, "Webcam", GUID, "1.2.2", UPDATABLE, 0 };
        fwupd.devices[1] = (Device) { OTHER_ID, "", "cccc", "7", 0, 0 };
        fwupd.releases[0] = (Release) { "1.2.5", "./new.cab", SHA256, UPGRADE | BLOCKED };
        fwupd.releases[1] = (Release) { "1.2.4", "./new.cab", SHA1 "," SHA256, UPGRADE };
        fwupd.releases[2] = (Release) { "1.2.1", "./new.cab", SHA1, DOWNGRADE };
        fwupd.enabled = true;
        fwupd.modified = usec_now(CLOCK_REALTIME) / 1000000;
        (void) snprintf(fwupd.remote_uri, sizeof(fwupd.remote_uri), "file://%s/remote.xml", rig.dir);
        put_file("new.cab", FIRMWARE);
        put_file("remote.xml", "<xml>\n");
        put_file("remote.xml.jcat", "signed\n");
        fwupd.bus = service_connect();
        if (!fwupd.bus)
                return -ENOTCONN;
        int r = sd_bus_add_object_vtable(fwupd.bus, NULL, "/", FWUPD, vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(fwupd.bus, FWUPD, 0);
}

static void fwupd_stop(int *unused) {
        sd_bus_close_unref(fwupd.bus);
        strbuf_done(&fwupd.called);
        memset(&fwupd, 0, sizeof(fwupd));
}

#define FWUPD_RIG() \
        BUS_RIG(); \
        __attribute__((__cleanup__(fwupd_stop), __unused__)) int fwupd_guard = 0; \
        REQUIRE(bus_start() >= 0); \
        REQUIRE(fwupd_start() >= 0)

#define CHECK_CALLED(want) CHECK_STR(fwupd.called.data ?: "", want)

/* Fails, and says why. */
static void check_fails(int result, const char *text) {
        if (result >= 0 || result == -EAGAIN || !rig.host.diag.message || !strstr(rig.host.diag.message, text))
                TEST_FAIL("result %d, '%s', not '%s'", result, rig.host.diag.message ?: "", text);
}

static void check_no_files_left(void) {
        _cleanup_free_ char *out = NULL;

        CHECK(asprintf(&out, "ls -A %s | grep -c unnamed >/dev/null", rig.dir) >= 0 && system(out) != 0);
}

/* ---- devices ---- */

TEST(a_device_is_updated) {
        FWUPD_RIG();

        CHECK_INT(rig_make(&fwupd_device_type, "AAAA0000aaaa0000aaaa0000aaaa0000aaaa0000", FIELDS("version=1.2.4")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("version: 1.2.2 -> 1.2.4\n");
        CHECK_CALLED("");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_CALLED("Install aaaa allow-older=0 <firmware 1.2.4>\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        check_no_files_left();
        CHECK_INT(rig_make(&fwupd_device_type, "cam", FIELDS("device=" GUID, "version=1.2.4")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(only_what_fwupd_offers_is_installed) {
        static const struct {
                const char *fields[4], *error;
        } cases[] = {
                { { "version=1.2.1" }, "version '1.2.1' is older than '1.2.2', and allow_downgrade is not set" },
                { { "version=1.2.5" }, "fwupd blocks version '1.2.5' for Webcam" },
                { { "version=9" }, "there is no version '9' for Webcam; what there is: '1.2.5', '1.2.4', '1.2.1'" },
                { { "version=9", "device=nosuch" }, "fwupd has no device 'nosuch'" },
                { { "version=9", "device=" OTHER_ID }, "fwupd cannot update " OTHER_ID ": it is on battery" },
                { { "version=9", "device=00000000-0000-0000-0000-000000000000" }, "is a GUID of several devices: use an id, '" ID "' or '" OTHER_ID "'" },
        };
        FWUPD_RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&fwupd_device_type, ID, cases[i].fields), 0);
                check_fails(rig_apply(true), cases[i].error);
        }
        fwupd.no_releases = FWUPD ".NothingToDo";
        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
        check_fails(rig_apply(true), "there is no version '1.2.4' for Webcam; what there is: nothing");
        fwupd.no_releases = FWUPD ".Internal";
        check_fails(rig_apply(true), "fwupd cannot tell its releases: no releases found");
        fwupd.devices[0].state = NEEDS_REBOOT;
        CHECK_INT(rig_apply(true), CHECK_OK);
        fwupd.devices[0].id = NULL;
        check_fails(rig_apply(true), "fwupd has no device '" ID "'");
        CHECK_CALLED("");
}

TEST(an_older_one_where_that_is_allowed) {
        FWUPD_RIG();

        fwupd.releases[2].version = "1.2.4";
        fwupd.releases[1].version = "1.2.6";
        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4", "allow_downgrade=true")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_CALLED("Install aaaa allow-older=1 <firmware 1.2.4>\n");
}

/* What it has been told to write once, and took, is not written again and again. */
TEST(a_device_is_not_worn_out) {
        FWUPD_RIG();

        fwupd.stubborn = true;
        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
        for (unsigned i = 0; i < 3; i++)
                check_fails(rig_apply(true), "fwupd has installed version '1.2.4' on Webcam, which stays at '1.2.2'");
        CHECK_CALLED("Install aaaa allow-older=0 <firmware 1.2.4>\n");
        (void) snprintf(fwupd.devices[0].version, sizeof(fwupd.devices[0].version), "1.2.4");
        CHECK_INT(rig_apply(true), CHECK_OK);
        (void) snprintf(fwupd.devices[0].version, sizeof(fwupd.devices[0].version), "1.2.2");
        fwupd.stubborn = false;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);              /* somebody has put the old one back, which is another matter */
        (void) snprintf(fwupd.devices[0].version, sizeof(fwupd.devices[0].version), "1.2.2");
        fwupd.refusal = "the battery is low";
        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
        for (unsigned i = 0; i < 2; i++)
                check_fails(rig_apply(true), "fwupd cannot install version '1.2.4' on Webcam: the battery is low");
}

TEST(a_file_is_compared_with_its_checksum) {
        static const struct {
                const char *checksum, *error;
        } cases[] = {
                { WRONG_SHA256 "," SHA1, "is not the file that it should be: its checksum is " SHA256 ", not " WRONG_SHA256 },
                { SHA1 "," WRONG_SHA256, "is not the file that it should be" },
                { WRONG_SHA256 "00000000000000000000000000000000," SHA256, "is not the file that it should be" },
                { "d41d8cd98f00b204e9800998ecf8427e", "has no checksum of a kind that is known" },
        };
        FWUPD_RIG();

        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fwupd.releases[1].checksum = cases[i].checksum;
                check_fails(rig_apply(true), cases[i].error);
        }
        CHECK_CALLED("");
        fwupd.releases[1].checksum = "";
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(a_file_is_found) {
        char there[200], base[200], twice[200];
        FWUPD_RIG();

        (void) snprintf(there, sizeof(there), "%s/new.cab", rig.dir);
        (void) snprintf(base, sizeof(base), "file://%s/", rig.dir);
        (void) snprintf(twice, sizeof(twice), "file://%s/%%6eew.cab", rig.dir);
        const struct {
                const char *location, *base, *error;
                uint32_t type;
        } cases[] = {
                { there, NULL, NULL }, { twice, NULL, NULL }, { "new.cab", NULL, NULL }, { "https://example.com/a/b/new.cab", base, NULL },
                { "new.cab", rig.dir, NULL }, { "old.cab", NULL, "cannot read '" }, { "/dev/zero", NULL, "cannot read '/dev/zero'" },
                { "", NULL, "fwupd does not say where version '1.2.4' of the firmware of Webcam is" },
                { "ipfs://x/new.cab", NULL, "'ipfs://x/new.cab' is neither a URL of HTTP nor a file" },
                { "./new.cab", NULL, NULL, 2 }, { "new.cab", NULL, NULL, 3 },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                (void) snprintf(fwupd.devices[0].version, sizeof(fwupd.devices[0].version), "1.2.2");
                fwupd.releases[1].location = cases[i].location;
                fwupd.firmware_base = cases[i].base;
                fwupd.type = cases[i].type;
                fwupd.cache = fwupd.type == 3 ? rig.dir : in_dir("cache.xml");
                fwupd.remote_uri[0] = fwupd.type > 1 ? '\0' : fwupd.remote_uri[0];
                CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
                if (cases[i].error)
                        check_fails(rig_apply(true), cases[i].error);
                else
                        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        }
}

/* ---- a server ---- */

typedef struct Server {
        sd_event_source *listener, *clients[16];
        unsigned n_clients;
        char base[64];
} Server;

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        char request[2048] = "", reply[512];
        ssize_t n = read(fd, request, sizeof(request) - 1);

        if (n <= 0)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (startswith(request, "GET /moved/new.cab "))
                (void) snprintf(reply, sizeof(reply), "HTTP/1.1 302 Found\r\nLocation: /new.cab\r\nContent-Length: 0\r\n\r\n");
        else if (startswith(request, "GET /new.cab "))
                (void) snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(FIRMWARE), FIRMWARE);
        else if (startswith(request, "GET /short/new.cab "))
                (void) snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n%s", FIRMWARE);
        else
                (void) snprintf(reply, sizeof(reply), "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
        CHECK_INT(write_all(fd, reply, strlen(reply)), 0);
        if (strstr(reply, " 1000\r"))
                (void) shutdown(fd, SHUT_RDWR);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Server *s = userdata;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        CHECK(client >= 0 && s->n_clients < ELEMENTSOF(s->clients));
        CHECK_INT(sd_event_add_io(rig.event, &s->clients[s->n_clients], client, EPOLLIN, on_client, s), 0);
        (void) sd_event_source_set_io_fd_own(s->clients[s->n_clients++], true);
        return 0;
}

static int server_start(Server *s) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &address, size) < 0 || listen(fd, 16) < 0 ||
            getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        (void) snprintf(s->base, sizeof(s->base), "http://me:secret@127.0.0.1:%u", ntohs(address.sin_port));
        int r = sd_event_add_io(rig.event, &s->listener, fd, EPOLLIN, on_connection, s);
        return r < 0 ? r : sd_event_source_set_io_fd_own(s->listener, true);
}

static void server_stop(Server *s) {
        for (unsigned i = 0; i < s->n_clients; i++)
                sd_event_source_disable_unref(s->clients[i]);
        sd_event_source_disable_unref(s->listener);
}

TEST(a_file_is_downloaded) {
        static const struct {
                const char *folder, *error;
        } cases[] = {
                { "", NULL }, { "/moved", NULL }, { "/none", "/none/new.cab': the server answers with status 404" },
                { "/short", "cannot fetch 'http://127.0.0.1" },
        };
        FWUPD_RIG();
        __attribute__((__cleanup__(server_stop))) Server server = {};
        char base[128];

        REQUIRE(server_start(&server) >= 0);
        (void) unsetenv("http_proxy");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                (void) snprintf(fwupd.devices[0].version, sizeof(fwupd.devices[0].version), "1.2.2");
                (void) snprintf(base, sizeof(base), "%s%s", server.base, cases[i].folder);
                fwupd.firmware_base = base;
                CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
                if (cases[i].error) {
                        check_fails(rig_apply(true), cases[i].error);
                        CHECK(!rig.host.diag.message || !strstr(rig.host.diag.message, "secret"));
                } else
                        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        }
        CHECK_CALLED("Install aaaa allow-older=0 <firmware 1.2.4>\nInstall aaaa allow-older=0 <firmware 1.2.4>\n");
}

TEST(an_attempt_can_be_stopped_anywhere) {
        FWUPD_RIG();
        _cleanup_(diag_done) Diag diag = {};

        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.4")), 0);
        for (unsigned steps = 0; steps < 60; steps++) {
                rig.r->applies = true;
                CHECK_INT(rig.r->type->check_apply(rig.r, true, &diag), CHECK_PENDING);
                rig.host.finished = NOT_FINISHED;
                for (unsigned i = 0; i < steps && rig.host.finished == NOT_FINISHED; i++)
                        (void) sd_event_run(rig.event, 1000);
                if (rig.host.finished == NOT_FINISHED)
                        rig.r->type->cancel(rig.r);
        }
        CHECK(rig_apply(true) >= 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK(fwupd.called.size > 0);
}

/* ---- the system ---- */

TEST(all_devices_become_new) {
        FWUPD_RIG();

        fwupd.devices[1] = (Device) { OTHER_ID, "Dock", "cccc", "1.2.3", UPDATABLE, 0 };
        CHECK_INT(rig_make(&fwupd_system_type, "all", FIELDS("state=newest")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("Webcam: 1.2.2 -> 1.2.4\nDock: 1.2.3 -> 1.2.4\n");
        CHECK_CALLED("");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_CALLED("Install aaaa allow-older=0 <firmware 1.2.4>\nInstall bbbb allow-older=0 <firmware 1.2.4>\n");
        fwupd.releases[1].flags = 0;
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(some_are_left_alone) {
        FWUPD_RIG();

        fwupd.devices[1] = (Device) { OTHER_ID, "Dock", "cccc", "1.2.3", UPDATABLE, NEEDS_REBOOT };
        CHECK_INT(rig_make(&fwupd_system_type, "all", FIELDS("state=newest", "exclude=B585990A-003e-5270-89d5-3705a17f9a43")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        fwupd.devices[1].state = 0;
        fwupd.devices[1].flags = 0;
        CHECK_INT(rig_apply(true), CHECK_OK);
        fwupd.devices[1].flags = UPDATABLE;
        fwupd.no_releases = FWUPD ".NotSupported";
        CHECK_INT(rig_apply(true), CHECK_OK);
        fwupd.no_releases = NULL;
        CHECK_CALLED("");
        fwupd.refusal = "the battery is low";
        CHECK_INT(rig_make(&fwupd_system_type, "all", FIELDS("state=newest")), 0);
        check_fails(rig_apply(true), "fwupd cannot install version '1.2.4' on Webcam: the battery is low");
        CHECK_CALLED("Install aaaa allow-older=0 <firmware 1.2.4>\nInstall bbbb allow-older=0 <firmware 1.2.4>\n");
        fwupd.devices[0].id = NULL;
        CHECK_INT(rig_apply(true), CHECK_OK);
}

/* ---- remotes ---- */

TEST(a_remote_is_enabled) {
        FWUPD_RIG();

        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("enabled=false")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("enabled: true -> false\n");
        CHECK_CALLED("");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_CALLED("ModifyRemote lvfs Enabled false\n");
        CHECK_INT(rig_make(&fwupd_remote_type, "nosuch", FIELDS("enabled=false")), 0);
        check_fails(rig_apply(true), "fwupd has no remote 'nosuch'");
        fwupd.stubborn = true;
        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("enabled=true")), 0);
        check_fails(rig_apply(true), "remote 'lvfs' stays disabled although fwupd has changed it");
        fwupd.refusal = "not permitted";
        check_fails(rig_apply(true), "fwupd cannot change remote 'lvfs': not permitted");
}

TEST(a_remote_is_refreshed) {
        FWUPD_RIG();

        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("refresh_age=24h")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        fwupd.modified -= 24 * 3600 + 1;
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK(rig.host.differences.data && startswith(rig.host.differences.data, "age: 864"));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_CALLED("UpdateMetadata lvfs <<xml>> <signed>\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        fwupd.modified = UINT64_MAX;            /* never */
        fwupd.enabled = false;
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("refresh_age=1h", "enabled=true")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_CALLED("UpdateMetadata lvfs <<xml>> <signed>\nModifyRemote lvfs Enabled true\nUpdateMetadata lvfs <<xml>> <signed>\n");
        check_no_files_left();
}

TEST(a_refresh_may_fail) {
        FWUPD_RIG();

        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("refresh_age=24h")), 0);
        fwupd.modified = 0;
        fwupd.stubborn = true;
        check_fails(rig_apply(true), "the metadata of remote 'lvfs' stays old although fwupd took it");
        CHECK_CALLED("UpdateMetadata lvfs <<xml>> <signed>\n");
        fwupd.refusal = "the signature is wrong";
        check_fails(rig_apply(true), "fwupd cannot change remote 'lvfs': the signature is wrong");
        REQUIRE(unlink(in_dir("remote.xml.jcat")) == 0);
        check_fails(rig_apply(true), "remote.xml.jcat'");
        fwupd.remote_uri[0] = '\0';
        check_fails(rig_apply(true), "remote 'lvfs' has no metadata that could be fetched");
}

/* Nobody says that metadata has become too old: it is known when that will be. */
TEST(a_remote_becomes_old) {
        FWUPD_RIG();

        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("refresh_age=1s")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        fwupd.modified = usec_now(CLOCK_REALTIME) / 1000000;
        unsigned looked = rig.host.n_changed;
        CHECK(rig_apply(true) >= 0);
        bool refreshed = RIG_UNTIL(({
                if (rig.host.n_changed > looked) {
                        looked = rig.host.n_changed;
                        CHECK(rig_apply(true) >= 0);
                }
                fwupd.called.size > 0;
        }));
        CHECK(refreshed);
}

/* ---- all of them ---- */

static void signal_of(const char *id) {
        CHECK(sd_bus_emit_signal(fwupd.bus, "/", FWUPD, "DeviceChanged", "a{sv}", 3, "DeviceId", "s", id, "Guid", "as", 1, "x", "Other", "t",
                                 UINT64_C(7)) >= 0);
}

TEST(changes_are_seen) {
        static const struct {
                const ResourceType *type;
                const char *name, *fields[2];
                unsigned n_own, n_other;        /* calls after a signal about the device, and about another one */
        } cases[] = {
                { &fwupd_device_type, ID, { "version=1.2.4" }, 1, 0 },
                { &fwupd_system_type, "all", { "state=newest" }, 1, 1 },
                { &fwupd_remote_type, "lvfs", { "enabled=true" }, 0, 0 },
        };
        FWUPD_RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(cases[i].type, cases[i].name, cases[i].fields), 0);
                unsigned n_armed = rig.host.n_armed;
                CHECK_INT(rig_watch(), 0);
                CHECK(bus_wait(&rig.host.n_armed, n_armed));
                rig.host.n_changed = 0;
                signal_of(OTHER_ID);
                signal_of(ID);
                CHECK(sd_bus_emit_signal(fwupd.bus, "/", FWUPD, "Changed", NULL) >= 0);         /* comes last, and counts always */
                CHECK(bus_wait(&rig.host.n_changed, cases[i].n_own + cases[i].n_other));
                CHECK_INT(rig.host.n_changed, cases[i].n_own + cases[i].n_other + 1);
        }
}

TEST(it_is_waited_for) {
        static const struct {
                const ResourceType *type;
                const char *fields[2];
        } cases[] = {
                { &fwupd_device_type, { "version=1.2.2" } }, { &fwupd_system_type, { "state=newest" } }, { &fwupd_remote_type, { "enabled=true" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                BUS_RIG();
                REQUIRE(bus_start() >= 0);
                CHECK_INT(rig_make(cases[i].type, i == 2 ? "lvfs" : ID, cases[i].fields), 0);
                CHECK_INT(rig_watch(), 0);
                CHECK(bus_wait(&rig.host.n_armed, 0));
                CHECK_INT(rig_apply(true), -EAGAIN);
                rig.host.n_changed = 0;
                __attribute__((__cleanup__(fwupd_stop), __unused__)) int fwupd_guard = 0;
                REQUIRE(fwupd_start() >= 0);
                fwupd.releases[1].flags = 0;
                CHECK(bus_wait(&rig.host.n_changed, 0));
                CHECK_INT(rig_apply(true), CHECK_OK);
        }
}

static int on_news(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        *(bool *) userdata = true;
        return 0;
}

/* A package brings the service in parts: the bus starts what is there of it, which fails, and hears of the rest meanwhile. */
TEST(it_is_called_while_it_comes) {
        BUS_RIG();
        _cleanup_(diag_done) Diag diag = {};
        char service[400];
        bool news = false;

        CHECK_INT(make_directories(in_dir("services"), 0755), 0);
        REQUIRE(mkfifo(in_dir("gate"), 0600) == 0);
        (void) snprintf(service, sizeof(service), "[D-BUS Service]\nName=%s\nExec=/bin/sh -c 'read line <%s/gate; exit 1'\n", FWUPD, rig.dir);
        put_file("services/" FWUPD ".service", service);
        REQUIRE(bus_start() >= 0);
        sd_bus *other = service_connect();
        REQUIRE(other);
        REQUIRE(sd_bus_match_signal(other, NULL, "org.freedesktop.DBus", NULL, "org.freedesktop.DBus", "ActivatableServicesChanged", on_news,
                                    &news) >= 0);
        CHECK_INT(rig_make(&fwupd_device_type, ID, FIELDS("version=1.2.2")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        rig.host.finished = NOT_FINISHED;
        CHECK_INT(rig.r->type->check_apply(rig.r, true, &diag), CHECK_PENDING);

        int gate = -1;          /* opens when it has been started */
        CHECK(RIG_UNTIL((gate = gate < 0 ? open(in_dir("gate"), O_WRONLY | O_NONBLOCK | O_CLOEXEC) : gate) >= 0));
        rig.host.n_changed = 0;
        put_file("services/org.example.other.service", "[D-BUS Service]\nName=org.example.other\nExec=/bin/false\n");
        CHECK(RIG_UNTIL(news));
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        (void) close(gate);
        CHECK(RIG_UNTIL(rig.host.finished != NOT_FINISHED));
        CHECK_INT(rig.host.finished, -EAGAIN);
        CHECK(rig.host.n_changed > 0);
        sd_bus_close_unref(other);
}

/* The machine that runs the test may have remotes as well; the last is any. */
static void check_begins(const char *want, const ResourceType *type, const char *field) {
        _cleanup_(resource_uids_done) ResourceUids uids = {};
        _cleanup_(strbuf_done) StrBuf b = {};

        CHECK_INT(rig_make(type, "x", FIELDS(field)), 0);
        CHECK_INT(type->wants(rig.r, 0, &uids), 0);
        for (size_t i = 0; i < uids.n; i++)
                strbuf_printf(&b, "%s:%s ", uids.items[i].domain, uids.items[i].key);
        CHECK(b.data && startswith(b.data, want));
        CHECK(b.data && endswith(b.data, "fwupd:remote: "));
}

TEST(autoedge) {
        RIG();

        CHECK_INT(rig_make(&fwupd_remote_type, "lvfs", FIELDS("enabled=true")), 0);
        check_wants("file:/etc/fwupd/remotes.d/lvfs.conf svc:fwupd");
        _cleanup_(resource_uids_done) ResourceUids uids = {};
        CHECK_INT(rig.r->type->uids(rig.r, &uids), 0);
        CHECK_INT(uids.n, 2);
        CHECK_STR(uids.items[0].key, "lvfs");
        CHECK_STR(uids.items[1].key, "");

        rig.manager.etc = rig.dir;
        CHECK_INT(make_directories(in_dir("fwupd/remotes.d"), 0755), 0);
        put_file("fwupd/remotes.d/mine.conf", "");
        put_file("fwupd/remotes.d/also mine.conf", "");
        put_file("fwupd/remotes.d/README", "");
        check_begins("fwupd:remote:also mine fwupd:remote:mine ", &fwupd_device_type, "version=1");
        check_begins("fwupd:remote:also mine fwupd:remote:mine ", &fwupd_system_type, "state=newest");
}

TEST(validate) {
        static const struct {
                const ResourceType *type;
                const char *fields[3];
        } bad[] = {
                { &fwupd_device_type, { NULL } },
                { &fwupd_system_type, { NULL } },
                { &fwupd_system_type, { "state=oldest" } },
                { &fwupd_remote_type, { NULL } },
                { &fwupd_remote_type, { "refresh_age=1d" } },
                { &fwupd_remote_type, { "refresh_age=0s" } },
                { &fwupd_remote_type, { "refresh_age=-1h" } },
                { &fwupd_remote_type, { "refresh_age=1h", "enabled=false" } },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(bad[i].type, "x", bad[i].fields) >= 0)
                        TEST_FAIL("case %zu is taken", i);
}

TEST_MAIN()
