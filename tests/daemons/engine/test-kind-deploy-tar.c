/* SPDX-License-Identifier: GPL-3.0-or-later */

/* deploy:tar: the files of the program that a mgmt-lang of the test's own says it has. */

#include <locale.h>

#include <archive.h>
#include <archive_entry.h>

#include "common/bundle.h"
#include "tests/daemons/engine/bus-test.h"
#include "tests/daemons/engine/file-test.h"

extern const ResourceType deploy_tar_type;

#define LANG "org.mgmt.lang1"

enum { LARGE_SIZE = 3 * 1024 * 1024 + 17 };

static struct {
        sd_bus *bus;
        Value bundle;
        bool lies;              /* what it gives is no bundle */
        unsigned n_asked;
} lang;

static int get_files(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_close_ int fd = -EBADF;

        lang.n_asked++;
        if (lang.lies)
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        else if (lang.bundle.kind == TYPE_NIL)
                return sd_bus_error_set(reterr, "org.mgmt.Error.NoProgram", "no program is in force");
        else
                CHECK_INT(bundle_seal(lang.bundle, &fd), 0);
        return sd_bus_reply_method_return(m, "h", fd);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetFiles", NULL, "h", get_files, 0),
        SD_BUS_SIGNAL("ProgramChanged", "ts", 0),
        SD_BUS_VTABLE_END
};

static int lang_start(void) {
        lang.bus = service_connect();
        if (!lang.bus)
                return -ENOTCONN;
        int r = sd_bus_add_object_vtable(lang.bus, NULL, "/org/mgmt/lang1", LANG ".Manager", vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(lang.bus, LANG, 0);
}

static void lang_stop(int *unused) {
        lang.bus = sd_bus_close_unref(lang.bus);
        value_done(&lang.bundle);
        lang.bundle = VALUE_NIL;
        lang.lies = false;
        lang.n_asked = 0;
}

/* "path", "content", …, NULL */
static void put_program(const char *const *files) {
        Value items[32];
        uint32_t n = 0;

        for (; files[n] && n < ELEMENTSOF(items); n++)
                CHECK_INT(value_strz(&items[n], files[n]), 0);
        value_done(&lang.bundle);
        CHECK_INT(value_map(&lang.bundle, items, n / 2), 0);
        if (lang.bus)
                CHECK(sd_bus_emit_signal(lang.bus, "/org/mgmt/lang1", LANG ".Manager", "ProgramChanged", "ts", UINT64_C(1), "x") >= 0);
}

#define LANG_RIG() \
        BUS_RIG(); \
        __attribute__((__cleanup__(lang_stop), __unused__)) int lang_guard = 0; \
        REQUIRE(bus_start() >= 0)

/* "/d/ 755\n/d/f 644 content\n", all of nobody in particular. */
static void check_archive(const char *want) {
        _cleanup_(strbuf_done) StrBuf b = {};
        struct archive *a = archive_read_new();
        struct archive_entry *e;
        char text[1000];
        int r;

        (void) archive_read_support_format_tar(a);
        CHECK_INT(archive_read_open_filename(a, in_dir("t.tar"), 10240), ARCHIVE_OK);
        while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
                strbuf_printf(&b, "%s %o", archive_entry_pathname(e), (unsigned) archive_entry_perm(e));
                ssize_t n = archive_read_data(a, text, sizeof(text));
                CHECK_INT(archive_entry_uid(e) + archive_entry_gid(e) + archive_entry_mtime(e), 0);
                strbuf_printf(&b, "%s%.*s\n", n > 0 ? " " : "", (int) MAX(n, 0), text);
        }
        CHECK_INT(r, ARCHIVE_EOF);
        CHECK_STR(b.data ?: "", want);
        (void) archive_read_free(a);
}

static int make(const char *field) {
        return rig_make(&deploy_tar_type, in_dir("t.tar"), FIELDS(field));
}

static void converge_archive(const char *field, const char *want) {
        CHECK_INT(make(field), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(rig.host.diag.message, NULL);
        check_archive(want);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_apply(false), CHECK_OK);
}

TEST(what_is_in_it) {
        static const char *const site[] = {
                "/main.mcl", "print \"x\" {}\n", "/metadata.yaml", "main: main.mcl\n", "/files/a/b/c", "deep", "/files/a.txt", "",
                "/files/a/b/d", "two", "/files/a-b", "three", "/zoo/é", "four", NULL,
        };
        static const char want[] = "/files/ 755\n/files/a-b 644 three\n/files/a.txt 644\n/files/a/ 755\n/files/a/b/ 755\n"
                "/files/a/b/c 644 deep\n/files/a/b/d 644 two\n/main.mcl 644 print \"x\" {}\n\n/metadata.yaml 644 main: main.mcl\n\n"
                "/zoo/ 755\n/zoo/é 644 four\n";
        LANG_RIG();

        REQUIRE(lang_start() >= 0);
        put_program(site);
        (void) setlocale(LC_ALL, "C.UTF-8");            /* that of the test: to read such names */
        converge_archive(NULL, want);
        for (unsigned i = 0; i < 3; i++) {
                CHECK_INT(unlink(in_dir("t.tar")), 0);
                converge_archive(((const char *const[]) { "format=2", "format=4", "format=8" })[i], want);
        }
        put_program((const char *const[]) { NULL });
        converge_archive(NULL, "");
}

TEST(another_program) {
        LANG_RIG();

        CHECK_INT(make(NULL), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), -EAGAIN);          /* there is nobody to ask */
        REQUIRE(lang_start() >= 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "no program is in force yet");
        CHECK(!exists("t.tar"));
        rig_run(50000);

        for (unsigned i = 0; i < 2; i++) {
                unsigned before = rig.host.n_changed;
                put_program((const char *const[]) { "/main.mcl", i == 0 ? "one" : "two", NULL });
                CHECK(bus_wait(&rig.host.n_changed, before));
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                check_archive(i == 0 ? "/main.mcl 644 one\n" : "/main.mcl 644 two\n");
        }
        rig_run(50000);
        rig.host.n_changed = 0;
        put_file("t.tar", "x");
        CHECK(bus_wait(&rig.host.n_changed, 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_archive("/main.mcl 644 two\n");
}

TEST(a_large_file_and_a_cancelled_attempt) {
        _cleanup_(diag_done) Diag diag = {};
        char *large = malloc(LARGE_SIZE + 1);
        struct stat st;
        LANG_RIG();

        REQUIRE(large);
        memset(large, 'x', LARGE_SIZE);
        large[LARGE_SIZE] = '\0';
        REQUIRE(lang_start() >= 0);
        put_program((const char *const[]) { "/large", large, "/main.mcl", "", NULL });
        free(large);
        CHECK_INT(make(NULL), 0);
        rig.r->applies = true;
        CHECK_INT(deploy_tar_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
        rig.host.finished = NOT_FINISHED;
        CHECK(RIG_UNTIL(lang.n_asked > 0));
        deploy_tar_type.cancel(rig.r);
        rig_run(50000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(stat(in_dir("t.tar"), &st), 0);
        CHECK(st.st_size > LARGE_SIZE);
        CHECK_INT(n_entries(""), 3);                    /* with those of the bus */
}

TEST(what_is_no_bundle) {
        LANG_RIG();

        REQUIRE(lang_start() >= 0);
        lang.lies = true;
        CHECK_INT(make(NULL), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
        CHECK_STR(rig.host.diag.message, "cannot read the files of the program: a bundle must be a sealed memfd");
        CHECK_INT(rig.host.diag.pos.line, 3);
        CHECK(!exists("t.tar"));
}

TEST(validate) {
        RIG();

        CHECK_INT(rig_make(&deploy_tar_type, "t.tar", FIELDS()), -EINVAL);
        CHECK_INT(rig_make(&deploy_tar_type, "/t/", FIELDS()), -EINVAL);
        CHECK_INT(rig_make(&deploy_tar_type, "x", FIELDS("path=/t.tar", "format=3")), -EINVAL);
        CHECK_STR(rig.host.diag.message, "format must be one of $const.res.tar.format");
        CHECK_INT(rig_make(&deploy_tar_type, "x", FIELDS("path=/srv/t.tar")), 0);
        check_wants("file:/srv/ | file:/");
}

TEST_MAIN()
