/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Kinds that write files, where memory, descriptors or room on the disk run out, at every place they can. Whatever comes of the attempt,
 * it ends; a file is as it was or as it shall be, and nothing is left beside it; and as soon as there is enough, all is put right. */

#include <signal.h>
#include <sys/resource.h>

#include "daemons/engine/kinds/fstab.h"
#include "tests/common/alloc.h"
#include "tests/daemons/engine/file-test.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtleSBvZiB0aGUgZmlyc3QgcGVyc29uLCBmb3IgdGVz"

extern const ResourceType exec_type, gzip_type, json_edit_type, line_type, password_type, ssh_authorized_key_type, sysctl_type, tar_type;

/* "@" in a field is the directory of the test. */
typedef struct Case {
        const ResourceType *type;
        const char *name, *fields[6];
        const char *file, *before, *after;      /* what is written; NULL: it is not there, or nobody knows what it will be */
} Case;

static const Case cases[] = {
        { &file_type, "@/f", { "state=exists", "content=new", "mode=0640" }, "f", "old", "new" },
        { &file_type, "@/f", { "state=exists", "content=new" }, "f", NULL, "new" },
        { &file_type, "@/f", { "state=exists", "source=@/src/a" }, "f", "old", "text of a" },
        { &file_type, "@/f", { "state=exists", "fragments=@/src/ @/src/a" }, "f", "old", "text of atext of btext of a" },
        { &file_type, "@/f", { "state=exists", "symlink=true", "source=src/a", "force=true" }, "f", "old", "text of a" },
        { &file_type, "@/d/", { "state=exists", "source=@/src/", "recurse=true" }, "d/sub/c", NULL, "text of c" },
        { &file_type, "@/old/", { "state=absent", "recurse=true" }, "old/x", "x", NULL },
        { &file_type, "@/f", { "mode=0600" }, "f", "old", "old" },
        { &line_type, "l", { "file=@/f", "state=exists", "content=new" }, "f", "old\n", "old\nnew\n" },
        { &line_type, "l", { "file=@/f", "state=absent", "content=old" }, "f", "old\nmore\n", "more\n" },
        { &json_edit_type, "@/f", { "edits=.a=1" }, "f", "{}\n", "{\n\t\"a\": 1\n}\n" },
        { &sysctl_type, "kernel.ostype", { "value=1", "runtime=false", "path=@/f.conf" }, "f.conf", "old", "kernel.ostype = 1\n" },
        { &ssh_authorized_key_type, KEY, { "state=exists", "file=@/.ssh/keys" }, ".ssh/keys", NULL, KEY "\n" },
        { &ssh_authorized_key_type, KEY, { "state=exists", "file=@/f" }, "f", "# x\n", "# x\n" KEY "\n" },
        { &tar_type, "@/t", { "inputs=@/src" }, "t", "old", NULL },
        { &gzip_type, "@/z", { "input=@/src/a" }, "z", "old", NULL },
        { &exec_type, "x", { "cmd=/bin/echo done", "creates=@/f", "donecmd=/bin/ln @/src/a @/f" }, "f", NULL, "text of a" },
        { &password_type, "p", { "saved=true", "length=8" }, NULL, NULL, NULL },
};

/* Owned by the caller. */
static char *placed(const char *text) {
        StrBuf b = {};

        for (; *text; text++)
                if (*text == '@')
                        strbuf_puts(&b, rig.dir);
                else
                        strbuf_putc(&b, *text);
        return strbuf_take(&b);
}

static void begin(const Case *c) {
        char *fields[7] = {};
        char *name = placed(c->name);

        make_dir("src");
        put_file("src/a", "text of a");
        put_file("src/b", "text of b");
        if (c->type == &tar_type || (c->fields[1] && strstr(c->fields[1], "source=@/src/") && c->fields[2] && streq(c->fields[2], "recurse=true"))) {
                make_dir("src/sub");
                put_file("src/sub/c", "text of c");
        }
        if (c->file && startswith(c->file, "old/"))
                make_dir("old");
        if (c->before)
                put_file(c->file, c->before);
        for (size_t i = 0; i < ELEMENTSOF(c->fields) && c->fields[i]; i++)
                fields[i] = placed(c->fields[i]);
        CHECK_INT(rig_make(c->type, name, (const char *const *) fields), 0);
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                free(fields[i]);
        free(name);
}

static int attempt(void) {
        int r = rig_watch();

        return r < 0 ? r : rig_apply(true);
}

static bool has(const char *name, const char *want) {
        _cleanup_free_ char *text = NULL;

        if (read_file_at(AT_FDCWD, in_dir(name), 1 << 20, &text, NULL) < 0)
                text = NULL;
        return streq_ptr(text, want);
}

static void check_no_leftovers(void) {
        StrBuf b = {};

        (void) collect(rig.dir, &b);
        if (b.data && strstr(b.data, ".mgmt-"))
                TEST_FAIL("left behind: %s", b.data);
        strbuf_done(&b);
}

/* What has come of an attempt for which there was not enough of something; and then there is. */
static void judge(const Case *c, int r) {
        if (r == NOT_FINISHED)
                TEST_FAIL("it did not end");
        if (r < 0 && r != -EAGAIN && r != -ENOMEM)
                CHECK(rig.host.diag.message);
        if (c->before && c->after && !has(c->file, c->before))
                check_file(c->file, c->after);
        rig_run(1000);
        if (c->type->cancel)
                c->type->cancel(rig.r);
        check_no_leftovers();
        if (c->type->unwatch)
                c->type->unwatch(rig.r);

        r = attempt();
        if (r != CHECK_CHANGED && r != CHECK_OK)
                TEST_FAIL("not put right: %d (%s)", r, rig.host.diag.message ?: "");
        CHECK_INT(rig_apply(true), CHECK_OK);
        if (c->after || c->type == &file_type)
                check_file(c->file, c->after);
        check_no_leftovers();
}

static void memory_runs_out(const Case *c, uint64_t n, bool *ret_failed) {
        RIG_FAST();

        begin(c);
        alloc_fail_at(n);
        int r = attempt();
        *ret_failed = alloc_failed();
        judge(c, r);
}

TEST(memory) {
        for (size_t i = 0; i < ELEMENTSOF(cases) && test_failures == 0; i++) {
                bool failed = cases[i].type != &tar_type;       /* libarchive aborts */
                for (uint64_t n = 1; failed && test_failures == 0; n++) {
                        memory_runs_out(&cases[i], n, &failed);
                        if (test_failures > 0)
                                TEST_FAIL("case %zu, allocation %" PRIu64, i, n);
                }
        }
}

/* Half a table, or none, would be one without which the host does not boot. */
TEST(memory_for_the_table_of_file_systems) {
        const FstabEntry entry = { .device = (char *) "tmpfs", .point = (char *) "/srv/a b", .type = (char *) "tmpfs", .options = (char *) "ro" };
        static const char before[] = "# x\n/dev/vda1 / ext4 defaults 0 1\ntmpfs /srv/a\\040b tmpfs rw 0 0\n/dev/vda2 /home ext4 defaults 0 2\n";
        static const char after[] = "# x\n/dev/vda1 / ext4 defaults 0 1\ntmpfs /srv/a\\040b tmpfs ro 0 0\n/dev/vda2 /home ext4 defaults 0 2\n";
        bool failed = true;

        for (uint64_t n = 1; failed && test_failures == 0; n++) {
                _cleanup_free_ char *text = NULL;

                alloc_fail_at(n);
                int r = fstab_edit(before, entry.point, &entry, &text);
                failed = alloc_failed();
                CHECK(r == 1 || (failed && r == -ENOMEM));
                CHECK_STR(text, r == 1 ? after : NULL);
        }
}

static int lowest_free_descriptor(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        (void) close(fd);
        return fd;
}

static void descriptors_run_out(const Case *c, unsigned n_more, bool *ret_failed) {
        struct rlimit before, limit;
        RIG_FAST();

        begin(c);
        CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = (struct rlimit) { .rlim_cur = (rlim_t) lowest_free_descriptor() + n_more, .rlim_max = before.rlim_max };
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int r = attempt();
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
        *ret_failed = r != CHECK_CHANGED;
        judge(c, r);
}

TEST(descriptors) {
        for (size_t i = 0; i < ELEMENTSOF(cases) && test_failures == 0; i++) {
                bool failed = true;
                for (unsigned n = 0; failed && test_failures == 0; n++) {
                        descriptors_run_out(&cases[i], n, &failed);
                        if (test_failures > 0 || n > 100)
                                TEST_FAIL("case %zu, %u descriptors", i, n);
                }
        }
}

/* The kernel refuses to make a file longer than that: what a full disk does, without a disk. */
static void room_runs_out(const Case *c, rlim_t size) {
        struct rlimit before, limit;
        RIG_FAST();

        begin(c);
        CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = (struct rlimit) { .rlim_cur = size, .rlim_max = before.rlim_max };
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
        int r = attempt();
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
        judge(c, r);
}

TEST(room) {
        (void) signal(SIGXFSZ, SIG_IGN);
        for (size_t i = 0; i < ELEMENTSOF(cases) && test_failures == 0; i++)
                for (rlim_t size = 0; size < 8 && test_failures == 0; size += 2) {
                        room_runs_out(&cases[i], size);
                        if (test_failures > 0)
                                TEST_FAIL("case %zu, %u bytes", i, (unsigned) size);
                }
        (void) signal(SIGXFSZ, SIG_DFL);
}

TEST_MAIN()
