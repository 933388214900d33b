/* SPDX-License-Identifier: GPL-3.0-or-later */

/* pkg with a PackageKit that is made up: which transactions there are, and what follows from their errors. With the real one it is
 * tested by tests/system. */

#include "daemons/engine/kinds/package-files.h"
#include "daemons/engine/kinds/packagekit.h"
#include "tests/daemons/engine/bus-test.h"

extern const ResourceType pkg_type;

#define SERVICE "org.freedesktop.PackageKit"
#define TRANSACTION SERVICE ".Transaction"

/* Packages "x" and "y", and how to answer. */
typedef struct Fake {
        sd_bus *bus;
        const char *installed[2], *available[2];
        bool unsupported, held, downgrades, lies;
        const char *failing;    /* a method that ends with this error */
        uint32_t error;
        const char *dying;      /* a method during which it dies */
        unsigned n;             /* transactions */
        char called[1024];      /* "Resolve(262144,x) …" */
} Fake;

static Fake fake;

static int emit_package(const char *path, uint32_t info, int i, const char *version, const char *data) {
        char id[64];

        (void) snprintf(id, sizeof(id), "%s;%s;all;%s", i == 0 ? "x" : "y", version, data);
        return sd_bus_emit_signal(fake.bus, path, TRANSACTION, "Package", "uss", info, id, "for a test");
}

static int resolve(const char *path, uint64_t filter, char **names) {
        int r = 0;

        for (char **n = names; *n && r >= 0; n++) {
                int i = streq(*n, "x") ? 0 : 1;
                if (fake.installed[i] && !fake.unsupported)
                        r = emit_package(path, PK_INFO_INSTALLED, i, fake.installed[i], "manual:local");
                else if (fake.installed[i] && !(filter & PK_FILTER_SUPPORTED))
                        r = emit_package(path, PK_INFO_INSTALLED, i, fake.installed[i], "manual:local");
                if (r >= 0 && fake.available[i] && !(fake.unsupported && (filter & PK_FILTER_SUPPORTED)))
                        r = emit_package(path, PK_INFO_AVAILABLE, i, fake.available[i], "repo");
        }
        return r;
}

static int get_updates(const char *path) {
        int r = 0;

        for (int i = 0; i < 2 && r >= 0; i++)
                if (fake.installed[i] && fake.available[i] && !streq(fake.installed[i], fake.available[i]))
                        r = emit_package(path, fake.held ? PK_INFO_BLOCKED : 5 | 5 << 16, i, fake.available[i], "repo");
        return r;
}

static void install(char **ids) {
        for (char **id = ids; *id; id++) {
                static char versions[2][32];
                int i = (*id)[0] == 'x' ? 0 : 1;
                (void) snprintf(versions[i], sizeof(versions[i]), "%.*s", (int) strcspn(*id + 2, ";"), *id + 2);
                fake.installed[i] = versions[i];
        }
}

static void record(const char *method, uint64_t number, char **words) {
        size_t n = strlen(fake.called);

        n += (size_t) snprintf(fake.called + n, sizeof(fake.called) - n, "%s%s(%" PRIu64, n > 0 ? " " : "", method, number);
        for (; words && *words && n < sizeof(fake.called); words++)
                n += (size_t) snprintf(fake.called + n, sizeof(fake.called) - n, ",%s", *words);
        if (n < sizeof(fake.called))
                (void) snprintf(fake.called + n, sizeof(fake.called) - n, ")");
}

static int transact(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *method = sd_bus_message_get_member(m), *path = sd_bus_message_get_path(m);
        _cleanup_(strv_freep) char **words = NULL;
        uint64_t number = 0;
        int r = 0;

        if (!streq(method, "RefreshCache"))
                r = sd_bus_message_read(m, "t", &number);
        if (r >= 0 && !streq(method, "RefreshCache") && !streq(method, "GetUpdates"))
                r = sd_bus_message_read_strv(m, &words);
        if (r < 0)
                return r;
        record(method, number, words);
        r = sd_bus_reply_method_return(m, NULL);
        if (streq_ptr(fake.dying, method)) {
                (void) sd_bus_flush(fake.bus);
                return sd_bus_release_name(fake.bus, SERVICE);
        }
        if (streq_ptr(fake.failing, method)) {
                r = sd_bus_emit_signal(fake.bus, path, TRANSACTION, "ErrorCode", "us", fake.error, "it is so\nand so");
                return r < 0 ? r : sd_bus_emit_signal(fake.bus, path, TRANSACTION, "Finished", "uu", 2, 0);
        }
        if (streq(method, "Resolve"))
                r = resolve(path, number, words);
        else if (streq(method, "GetUpdates"))
                r = get_updates(path);
        else if (streq(method, "RemovePackages"))
                fake.installed[0] = fake.installed[1] = NULL;
        else if (number & PK_FLAG_SIMULATE)
                r = emit_package(path, fake.downgrades ? PK_INFO_DOWNGRADING : 12, 0, "1", "repo");
        else if (!streq(method, "RefreshCache") && !fake.lies)
                install(words);
        return r < 0 ? r : sd_bus_emit_signal(fake.bus, path, TRANSACTION, "Finished", "uu", 1, 0);
}

static int ignore(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        return sd_bus_reply_method_return(m, NULL);
}

static int create(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        char path[32];

        (void) snprintf(path, sizeof(path), "/t/%u", ++fake.n);
        return sd_bus_reply_method_return(m, "o", path);
}

static int find_transaction(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *reterr) {
        *ret = &fake;
        return 1;
}

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CreateTransaction", NULL, "o", create, 0),
        SD_BUS_VTABLE_END
};

static const sd_bus_vtable transaction_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetHints", "as", NULL, ignore, 0),
        SD_BUS_METHOD("Cancel", NULL, NULL, ignore, 0),
        SD_BUS_METHOD("Resolve", "tas", NULL, transact, 0),
        SD_BUS_METHOD("GetUpdates", "t", NULL, transact, 0),
        SD_BUS_METHOD("InstallPackages", "tas", NULL, transact, 0),
        SD_BUS_METHOD("UpdatePackages", "tas", NULL, transact, 0),
        SD_BUS_METHOD("RemovePackages", "tasbb", NULL, transact, 0),
        SD_BUS_METHOD("RefreshCache", "b", NULL, transact, 0),
        SD_BUS_VTABLE_END
};

static int fake_start(void) {
        int r;

        fake = (Fake) { .bus = service_connect() };
        if (!fake.bus)
                return -ENOTCONN;
        r = sd_bus_add_object_vtable(fake.bus, NULL, "/org/freedesktop/PackageKit", SERVICE, service_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(fake.bus, NULL, "/t", TRANSACTION, transaction_vtable, find_transaction, NULL);
        return r < 0 ? r : sd_bus_request_name(fake.bus, SERVICE, 0);
}

static void fake_stop(int *unused) {
        fake.bus = sd_bus_close_unref(fake.bus);
}

#define FAKE_RIG() \
        BUS_RIG(); \
        __attribute__((__cleanup__(fake_stop), __unused__)) int fake_guard = 0; \
        REQUIRE(bus_start() >= 0); \
        REQUIRE(fake_start() >= 0)

/* Fields of "x", what is there, and what follows. Filters: 262144 is ARCH, 65536 NEWEST, 4096 SUPPORTED, 256 FREE. */
TEST(transactions) {
        static const struct {
                const char *state, *allow, *installed, *available, *called;
                int result;
        } cases[] = {
                { "installed", "", "1", "1", "Resolve(262144,x)", CHECK_OK },
                { "installed", "", "1", "2", "Resolve(262144,x)", CHECK_OK },
                { "uninstalled", "", NULL, "1", "Resolve(262144,x)", CHECK_OK },
                { "uninstalled", "", NULL, NULL, "Resolve(262144,x)", CHECK_OK },
                { "uninstalled", "", "1", "1", "Resolve(262144,x) RemovePackages(0,x;1;all;manual:local) Resolve(262144,x)", CHECK_CHANGED },
                { "1", "", "1", "2", "Resolve(262144,x)", CHECK_OK },
                { "newest", "", "1", "1", "Resolve(262144,x) GetUpdates(332032)", CHECK_OK },
                { "installed", "", NULL, "1", "Resolve(262144,x) RefreshCache(0) Resolve(332032,x) InstallPackages(2,x;1;all;repo) Resolve(262144,x)",
                  CHECK_CHANGED },
                { "installed", "allowuntrusted", NULL, "1",
                  "Resolve(262144,x) RefreshCache(0) Resolve(332032,x) InstallPackages(0,x;1;all;repo) Resolve(262144,x)", CHECK_CHANGED },
                { "installed", "allowdowngrade", NULL, "1",
                  "Resolve(262144,x) RefreshCache(0) Resolve(332032,x) InstallPackages(2,x;1;all;repo) Resolve(262144,x)", CHECK_CHANGED },
                { "installed", "allownonfree", NULL, "1",
                  "Resolve(262144,x) RefreshCache(0) Resolve(331776,x) InstallPackages(2,x;1;all;repo) Resolve(262144,x)", CHECK_CHANGED },
                { "installed", "allowunsupported", NULL, "1",
                  "Resolve(262144,x) RefreshCache(0) Resolve(327936,x) InstallPackages(2,x;1;all;repo) Resolve(262144,x)", CHECK_CHANGED },
                { "newest", "", NULL, "1",
                  "Resolve(262144,x) RefreshCache(0) Resolve(332032,x) InstallPackages(2,x;1;all;repo) Resolve(262144,x) GetUpdates(332032)",
                  CHECK_CHANGED },
                { "newest", "", "1", "2", "Resolve(262144,x) GetUpdates(332032) RefreshCache(0) Resolve(332032,x) UpdatePackages(2,x;2;all;repo) "
                  "Resolve(262144,x) GetUpdates(332032)", CHECK_CHANGED },
                { "3", "", NULL, "3", "Resolve(262144,x) RefreshCache(0) Resolve(266496,x) InstallPackages(2,x;3;all;repo) Resolve(262144,x)",
                  CHECK_CHANGED },
                { "2", "", NULL, "3", "Resolve(262144,x) RefreshCache(0) Resolve(266496,x) InstallPackages(2,x;2;all;) Resolve(262144,x)",
                  CHECK_CHANGED },
                { "3", "", "2", "3", "Resolve(262144,x) RefreshCache(0) Resolve(266496,x) InstallPackages(6,x;3;all;repo) "
                  "InstallPackages(2,x;3;all;repo) Resolve(262144,x)", CHECK_CHANGED },
                { "2", "allowdowngrade", "3", "3", "Resolve(262144,x) RefreshCache(0) Resolve(266496,x) InstallPackages(66,x;2;all;) "
                  "Resolve(262144,x)", CHECK_CHANGED },
                { "installed", "", NULL, NULL, "Resolve(262144,x) RefreshCache(0) Resolve(332032,x) Resolve(262144,x)", -ENOENT },
        };
        FAKE_RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char state[32], allow[32];
                (void) snprintf(state, sizeof(state), "state=%s", cases[i].state);
                (void) snprintf(allow, sizeof(allow), "%s=true", cases[i].allow);
                CHECK_INT(rig_make(&pkg_type, "x", FIELDS(state, *cases[i].allow ? allow : NULL)), 0);
                fake.installed[0] = cases[i].installed;
                fake.available[0] = cases[i].available;

                fake.called[0] = '\0';
                int r = rig_apply(false);
                if (r != (cases[i].result == CHECK_OK ? CHECK_OK : CHECK_CHANGED) || strstr(fake.called, "Packages") ||
                    strstr(fake.called, "Refresh"))
                        TEST_FAIL("case %zu, noop: %d, %s (%s)", i, r, fake.called, rig.host.diag.message);
                fake.called[0] = '\0';
                r = rig_apply(true);
                if (r != cases[i].result || !streq(fake.called, cases[i].called))
                        TEST_FAIL("case %zu: %d\n#   %s\n# not\n#   %s\n# (%s)", i, r, fake.called, cases[i].called, rig.host.diag.message);
                if (cases[i].result >= 0)
                        CHECK_INT(rig_apply(true), CHECK_OK);
        }
}

TEST(errors_say_what_would_help) {
        static const struct {
                const char *fields[3], *failing;
                uint32_t error;
                const char *message;
                int result;
        } cases[] = {
                { {}, "InstallPackages", PK_ERROR_GPG_FAILURE, "cannot install: it is so (allowuntrusted would permit it)", -EPROTO },
                { {}, "InstallPackages", PK_ERROR_BAD_GPG_SIGNATURE, "cannot install: it is so (allowuntrusted would permit it)", -EPROTO },
                { {}, "InstallPackages", PK_ERROR_MISSING_GPG_SIGNATURE, "cannot install: it is so (allowuntrusted would permit it)", -EPROTO },
                { { "allowuntrusted=true" }, "InstallPackages", PK_ERROR_GPG_FAILURE, "cannot install: it is so", -EPROTO },
                { {}, "InstallPackages", PK_ERROR_ALREADY_INSTALLED, "cannot install: it is so", -EPROTO },
                { { "state=1" }, "InstallPackages", PK_ERROR_ALREADY_INSTALLED,
                  "cannot install: it is so (allowdowngrade would permit a lower version)", -EPROTO },
                { { "state=1", "allowdowngrade=true" }, "InstallPackages", PK_ERROR_ALREADY_INSTALLED, "cannot install: it is so", -EPROTO },
                { {}, "Resolve", 4, "cannot find packages: it is so", -EPROTO },
                { {}, "InstallPackages", PK_ERROR_CANNOT_GET_LOCK, NULL, -EAGAIN },
                { {}, "RefreshCache", PK_ERROR_LOCK_REQUIRED, NULL, -EAGAIN },
        };
        FAKE_RIG();

        fake.available[0] = "1";
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&pkg_type, "x", cases[i].fields), 0);
                fake.failing = cases[i].failing;
                fake.error = cases[i].error;
                CHECK_INT(rig_apply(true), cases[i].result);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }

        /* Lists that cannot be refreshed are not the end. */
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        fake.failing = "RefreshCache";
        fake.error = 64;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(rig.host.log.data, "cannot refresh the lists of packages: it is so, ignoring\n");
}

TEST(what_is_there_but_not_wanted) {
        FAKE_RIG();

        fake.available[0] = "1";
        fake.unsupported = true;
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_STR(rig.host.diag.message,
                  "there is no package 'x' that is free and supported (allownonfree or allowunsupported would permit others)");
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS("allownonfree=true")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_STR(rig.host.diag.message, "there is no package 'x' that is supported (allowunsupported would permit others)");
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS("allowunsupported=true")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);

        /* Once it is installed it is right, and held is as new as it gets. */
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        fake.unsupported = false;
        fake.available[0] = "2";
        fake.held = true;
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS("state=newest")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);

        fake.installed[0] = "3";
        fake.downgrades = true;
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS("state=2")), 0);
        CHECK_INT(rig_apply(true), -EEXIST);
        CHECK_STR(rig.host.diag.message, "state: version '2' is lower than '3', which is installed (allowdowngrade would permit it)");

        fake.lies = true;
        fake.installed[0] = NULL;
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        CHECK_INT(rig_apply(true), -EPROTO);
        CHECK_STR(rig.host.diag.message, "PackageKit succeeded, but package 'x' is not installed, not 'installed'");
}

TEST(a_group_is_one_transaction) {
        FAKE_RIG();
        Resource *child;

        fake.available[0] = "1";
        fake.available[1] = "5";
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        REQUIRE(resource_new(&child, &pkg_type, &rig.host.host, "y", (Pos) {}) >= 0);
        CHECK(pkg_type.groups(rig.r, child));
        REQUIRE(resource_add_child(rig.r, child) >= 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(fake.called, "Resolve(262144,x,y) RefreshCache(0) Resolve(332032,x,y) InstallPackages(2,x;1;all;repo,y;5;all;repo) "
                  "Resolve(262144,x,y)");
        fake.installed[0] = NULL;
        fake.called[0] = '\0';
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(fake.called, "Resolve(262144,x,y) RefreshCache(0) Resolve(332032,x) InstallPackages(2,x;1;all;repo) Resolve(262144,x,y)");

        static const struct {
                const char *field, *text;
                bool groups;
        } cases[] = {
                { "state", "\"installed\"", true },
                { "state", "\"newest\"", false },
                { "allowuntrusted", "true", false },
                { "allownonfree", "true", false },
                { "allowunsupported", "true", false },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Resource *other;
                _cleanup_(value_done) Value v = cases[i].text[0] == '"' ? VALUE_NIL : VALUE_BOOL(true);
                if (v.kind == TYPE_NIL)
                        (void) value_str(&v, cases[i].text + 1, strlen(cases[i].text) - 2);
                REQUIRE(resource_new(&other, &pkg_type, &rig.host.host, "z", (Pos) {}) >= 0);
                CHECK_INT(resource_set(other, cases[i].field, v, NULL), 0);
                CHECK_INT(pkg_type.groups(rig.r, other), cases[i].groups);
                CHECK_INT(pkg_type.groups(other, rig.r), cases[i].groups);
                resource_free(other);
        }
        rig.r->n_children = 0;
        resource_free(child);
}

TEST(packagekit_is_not_there_dies_and_comes_back) {
        FAKE_RIG();

        fake_stop(NULL);
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK(rig.host.reason && startswith(rig.host.reason, "org.freedesktop.PackageKit is not there"));
        unsigned before = rig.host.n_changed;
        REQUIRE(fake_start() >= 0);
        fake.available[0] = "1";
        CHECK(bus_wait(&rig.host.n_changed, before));

        fake.dying = "RefreshCache";
        for (int i = 0; i < 4; i++) {
                before = rig.host.n_changed;
                CHECK_INT(rig_apply(true), i < 3 ? -EAGAIN : -ECONNRESET);
                if (i < 3)
                        CHECK(bus_wait(&rig.host.n_changed, before));
                CHECK(sd_bus_request_name(fake.bus, SERVICE, 0) >= 0);
                rig_run(50000);
        }
        CHECK_STR(rig.host.diag.message, "PackageKit ends whenever it is asked to do RefreshCache");
        fake.dying = NULL;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);

        /* And the bus itself. */
        bus_stop();
        rig_run(100000);
        fake_stop(NULL);
        CHECK_INT(rig_apply(true), -EAGAIN);
        before = rig.host.n_changed;
        REQUIRE(bus_start() >= 0);
        REQUIRE(fake_start() >= 0);
        fake.installed[0] = "1";
        CHECK(bus_wait(&rig.host.n_changed, before));
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(validate) {
        static const struct {
                const char *name, *state, *message;
        } cases[] = {
                { "x", "state=", "state must be 'installed', 'uninstalled', 'newest' or a version, got ''" },
                { "x", "state=latest", "state must be 'newest' rather than 'latest'" },
                { "x", "state=1;2", "state must be 'installed', 'uninstalled', 'newest' or a version, got '1;2'" },
                { "x;1", "state=newest", "name must be that of one package, got 'x;1'" },
                { "x y", "state=newest", "name must be that of one package, got 'x y'" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&pkg_type, cases[i].name, FIELDS(cases[i].state)), -EINVAL);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
        CHECK_INT(rig_make(&pkg_type, "x", FIELDS()), 0);
        CHECK_INT(rig_make(&pkg_type, "libx11-6:amd64", FIELDS("state=2:1.8.4-2+deb12u2~x")), 0);
}

static bool has_uid(const ResourceUids *uids, const char *domain, const char *key) {
        for (size_t i = 0; i < uids->n; i++)
                if (streq(uids->items[i].domain, domain) && streq(uids->items[i].key, key))
                        return true;
        return false;
}

TEST(what_a_package_brings) {
        static const char list[] = "/.\n/etc\n/etc/web\n/etc/web/conf\n/usr\n/usr/bin\n/usr/bin/web\n/lib\n/lib/systemd\n"
                                   "/lib/systemd/system\n/lib/systemd/system/web-server.service\n/lib/systemd/system/web.timer\n"
                                   "/usr/share/doc/web\n/usr/share/doc/web/copyright\n";
        _cleanup_(resource_uids_done) ResourceUids offered = {}, wanted = {};
        char copy[sizeof(list)];

        memcpy(copy, list, sizeof(list));
        CHECK_INT(package_files_add_list(copy, PACKAGE_FILES_OFFERED, &offered), 0);
        CHECK(has_uid(&offered, "package-file", "/usr/bin/web"));
        CHECK(has_uid(&offered, "package-file", "/bin/web"));
        CHECK(has_uid(&offered, "package-file", "/etc/web/conf"));
        CHECK(!has_uid(&offered, "package-file", "/etc/web"));
        CHECK(!has_uid(&offered, "package-file", "/usr/share/doc/web/copyright"));

        memcpy(copy, list, sizeof(list));
        CHECK_INT(package_files_add_list(copy, PACKAGE_FILES_WANTED, &wanted), 0);
        CHECK(has_uid(&wanted, "svc", "web-server"));
        CHECK(!has_uid(&wanted, "svc", "web"));
        CHECK(has_uid(&wanted, "file", "/etc/web/conf"));
        CHECK(has_uid(&wanted, "file", "/etc/web/"));
        CHECK(!has_uid(&wanted, "file", "/etc/"));
        CHECK(!has_uid(&wanted, "file", "/usr/bin/"));
        for (size_t i = 0; i < wanted.n; i++)
                CHECK(wanted.items[i].after);
}

TEST(autoedge) {
        RIG();
        _cleanup_(resource_uids_done) ResourceUids offers = {}, wants = {}, none = {};

        CHECK_INT(rig_make(&pkg_type, "no-such-package", FIELDS()), 0);
        CHECK_INT(pkg_type.uids(rig.r, &offers), 0);
        CHECK(has_uid(&offers, "pkg", "no-such-package"));
        CHECK_INT(pkg_type.wants(rig.r, 0, &wants), 0);
        CHECK(has_uid(&wants, "svc", "no-such-package"));
        CHECK_INT(pkg_type.wants(rig.r, 1, &none), 0);
        CHECK_INT(none.n, 0);
}

TEST_MAIN()
