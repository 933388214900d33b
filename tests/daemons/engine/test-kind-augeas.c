/* SPDX-License-Identifier: GPL-3.0-or-later */

/* augeas: what the sets name changes, all else in the file stays; what the lens does not understand is not touched. */

#include "tests/daemons/engine/file-test.h"

extern const ResourceType augeas_type;

#define LENSES "/usr/share/augeas/lenses/dist/hosts.aug"
#define NEEDS_LENSES() \
        if (access(LENSES, R_OK) < 0) \
                TEST_SKIP("needs the lenses of Augeas (augeas-lenses)")

typedef struct Set {
        const char *path, *value;
} Set;

static int make_with(const char *file, const char *lens, const Set *sets, size_t n) {
        static const char *const names[] = { "path", "value" };
        _cleanup_(value_done) Value list = VALUE_NIL, text = VALUE_NIL;
        Value items[8], pair[2];
        int r;

        rig_unmake();
        r = resource_new(&rig.r, &augeas_type, &rig.host.host, "a", (Pos) { .file = "site.mcl", .line = 3, .column = 1 });
        for (size_t i = 0; r >= 0 && i < n; i++) {
                (void) value_strz(&pair[0], sets[i].path);
                (void) value_strz(&pair[1], sets[i].value);
                r = value_struct(&items[i], names, pair, 2);
        }
        if (r >= 0)
                r = value_list(&list, items, n);
        if (r >= 0)
                r = resource_set(rig.r, "sets", list, &rig.host.diag);
        if (r >= 0)
                r = value_strz(&text, file);
        if (r >= 0)
                r = resource_set(rig.r, "file", text, &rig.host.diag);
        value_done(&text);
        if (r >= 0)
                r = value_strz(&text, lens);
        if (r >= 0)
                r = resource_set(rig.r, "lens", text, &rig.host.diag);
        return r < 0 ? r : resource_validate(rig.r, &rig.host.diag);
}

#define MAKE(lens, ...) make_with(in_dir("f"), lens, (const Set[]) { __VA_ARGS__ }, ELEMENTSOF(((const Set[]) { __VA_ARGS__ })))

TEST(values_are_set) {
        RIG();
        NEEDS_LENSES();

        put_file("f", "127.0.0.1  localhost # us\n10.0.0.1\trouter\n");
        CHECK_INT(chmod(in_dir("f"), 0640), 0);
        CHECK_INT(MAKE("Hosts.lns", { "2/canonical", "gateway" }, { "1/canonical", "localhost" }), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK(rig.host.differences.data && strstr(rig.host.differences.data, "+10.0.0.1\tgateway"));
        check_file("f", "127.0.0.1  localhost # us\n10.0.0.1\trouter\n");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "127.0.0.1  localhost # us\n10.0.0.1\tgateway\n");
        CHECK_INT(mode_of("f"), 0640);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(n_entries(""), 1);
}

TEST(what_is_not_there_is_empty) {
        RIG();
        NEEDS_LENSES();

        put_file("f", "127.0.0.1 localhost\n");
        CHECK_INT(MAKE("Hosts.lns", { "9/canonical", "" }), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(make_with(in_dir("f"), "Hosts.lns", NULL, 0), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(files_are_made) {
        RIG();
        NEEDS_LENSES();

        CHECK_INT(MAKE("Sysctl.lns", { "vm.swappiness", "10" }), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK(!exists("f"));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "vm.swappiness = 10\n");
        CHECK_INT(mode_of("f"), 0600);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

static void fails_with(int error, const char *message) {
        CHECK_INT(rig_apply(true), error);
        if (!rig.host.diag.message || !strstr(rig.host.diag.message, message))
                TEST_FAIL("'%s' does not say '%s'", rig.host.diag.message ? rig.host.diag.message : "", message);
        CHECK_INT(rig.host.diag.pos.line, 3);
}

TEST(what_is_wrong_is_said) {
        RIG();
        NEEDS_LENSES();

        put_file("f", "127.0.0.1 localhost\n127\n");
        CHECK_INT(MAKE("Hosts.lns", { "1/canonical", "x" }), 0);
        fails_with(-EPROTO, "line 2, column ");
        CHECK_INT(MAKE("Nothing.lns", { "1/canonical", "x" }), 0);
        fails_with(-EPROTO, "Can not find lens Nothing.lns");
        put_file("f", "127.0.0.1 localhost\n");
        CHECK_INT(MAKE("Hosts.lns", { "1/nothing", "x" }), 0);
        fails_with(-EPROTO, "cannot edit");
        CHECK_INT(MAKE("Hosts.lns", { "01/ipaddr", "2.2.2.2" }, { "01/canonical", "x" }), 0);
        fails_with(-EPROTO, "01/ipaddr: it would not be found there again");
        CHECK_INT(MAKE("Hosts.lns", { "*[", "x" }), 0);
        fails_with(-EPROTO, "*[");
        check_file("f", "127.0.0.1 localhost\n");
        CHECK_INT(write_file_atomic_at(AT_FDCWD, in_dir("f"), "a\0b", 3, 0644, false), 0);
        CHECK_INT(MAKE("Hosts.lns", { "1/canonical", "x" }), 0);
        fails_with(-EBADMSG, "is no text");
        CHECK_INT(unlink(in_dir("f")), 0);
        make_dir("f");
        fails_with(-EISDIR, "f'");
        CHECK_INT(make_with(in_dir("no/f"), "Sysctl.lns", (const Set[]) { { "a.b", "x" } }, 1), 0);
        fails_with(-ENOENT, "no/f'");
}

/* The child has the text already when somebody else writes the file. */
TEST(what_others_write_meanwhile_is_not_lost) {
        RIG();
        NEEDS_LENSES();

        put_file("f", "1.1.1.1 a\n");
        CHECK_INT(MAKE("Hosts.lns", { "1/canonical", "x" }), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        put_file("f", "1.1.1.1 a\n2.2.2.2 b\n");
        rig.host.n_changed = 0;
        CHECK_INT(finish_apply(), -EAGAIN);
        CHECK_INT(rig.host.n_changed, 1);
        check_file("f", "1.1.1.1 a\n2.2.2.2 b\n");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "1.1.1.1 x\n2.2.2.2 b\n");
}

TEST(an_attempt_can_be_cancelled) {
        RIG();
        NEEDS_LENSES();

        put_file("f", "1.1.1.1 a\n");
        CHECK_INT(MAKE("Hosts.lns", { "1/canonical", "x" }), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        augeas_type.cancel(rig.r);
        rig_run(50000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        check_file("f", "1.1.1.1 a\n");
}

TEST(a_change_from_outside_is_seen) {
        RIG();

        put_file("f", "1.1.1.1 a\n");
        CHECK_INT(MAKE("Hosts.lns", { "1/canonical", "x" }), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        rig_run(10000);
        rig.host.n_changed = 0;
        put_file("f", "1.1.1.1 b\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
}

TEST(validate) {
        static const struct {
                const char *file, *lens;
                Set set;
        } bad[] = { { "f", "Hosts.lns", { "a", "b" } }, { "/f/", "Hosts.lns", { "a", "b" } }, { "/f", "Hosts", { "a", "b" } },
                    { "/f", ".lns", { "a", "b" } }, { "/f", "", { "a", "b" } }, { "", "Hosts.lns", { "a", "b" } },
                    { "/f", "Hosts.lns", { "", "b" } }, { "/f", "Hosts.lns", { "/a", "b" } } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (make_with(bad[i].file, bad[i].lens, &bad[i].set, 1) >= 0)
                        TEST_FAIL("case %zu is taken", i);
}

TEST(what_it_wants_before_it) {
        RIG();

        CHECK_INT(rig_make(&augeas_type, "a", FIELDS("file=/a/f", "lens=Sshd.lns")), 0);
        check_wants("file:/a/f package-file:/a/f | file:/a/ | file:/");
}

TEST_MAIN()
