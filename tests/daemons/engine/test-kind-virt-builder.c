/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt:builder with a program of ours in the place of virt-builder: what it is told, and what becomes of what it makes. The real one
 * has a case in the system suite. */

#include <dirent.h>

#include "daemons/engine/kinds/replacement.h"
#include "daemons/engine/kinds/virt-builder.h"
#include "tests/daemons/engine/kind-test.h"

extern const ResourceType virt_builder_type;

/* ---- the command line ---- */

static char *joined(const ImageSpec *s) {
        char **argv = NULL;
        StrBuf text = {};
        int r = image_argv(s, &argv);

        CHECK_INT(r, 0);
        for (char **a = argv; r == 0 && *a; a++)
                strbuf_printf(&text, "%s%s", text.size > 0 ? "|" : "", *a);
        strv_free(argv);
        return strbuf_take(&text);
}

static Value parsed(const char *text, const char *type) {
        Value v = VALUE_NIL;

        CHECK_INT(value_parse(text, field_type_from_text(type), &v, NULL), 0);
        return v;
}

TEST(everything_is_said_in_its_order) {
        static char *packages[] = { (char *) "nginx", (char *) "vim", NULL }, *mkdir[] = { (char *) "/srv/", NULL },
                    *run[] = { (char *) "true; id", NULL }, *first[] = { (char *) "date", NULL };
        _cleanup_(value_done) Value keys = parsed("[struct{user => \"ada\", type => \"ssh-ed25519\", key => \"AAAA\", comment => \"a@b\"},"
                                                  " struct{user => \"\", type => \"ssh-rsa\", key => \"BBBB\", comment => \"\"},]",
                                                  "[]struct{user str; type str; key str; comment str}");
        _cleanup_(value_done) Value copies = parsed("[struct{path => \"/etc/motd\", dest => \"/srv/\"},]", "[]struct{path str; dest str}");
        const ImageSpec s = {
                .output = "/a.img", .os_version = "debian-12", .arch = "x86_64", .hostname = "web1", .format = "qcow2", .size = 1 << 30,
                .packages = packages, .update = true, .selinux_relabel = true, .root_ssh_inject = true, .tweaks = true,
                .ssh_keys = keys, .root_password_selector = "disabled", .mkdir = mkdir, .copy_in = copies, .run_cmd = run,
                .firstboot_cmd = first,
        };
        _cleanup_free_ char *text = joined(&s);

        CHECK_STR(text, "virt-builder|debian-12|--output|/a.img|--arch|x86_64|--hostname|web1|--format|qcow2|--size|1073741824b|"
                        "--install|nginx,vim,qemu-guest-agent|--run-command|systemctl enable qemu-guest-agent.service|"
                        "--run-command|apt-mark hold grub-pc|--update|--firstboot-command|apt-mark unhold grub-pc|--selinux-relabel|"
                        "--ssh-inject|ada:string:ssh-ed25519 AAAA a@b|--ssh-inject|root:string:ssh-rsa BBBB|--ssh-inject|root|"
                        "--root-password|disabled|--mkdir|/srv/|--copy-in|/etc/motd:/srv/|--run-command|true; id|"
                        "--firstboot-command|date");
}

TEST(what_is_not_said_is_left_out) {
        const ImageSpec s = { .output = "/a", .os_version = "alpine-3", .arch = "", .hostname = "", .format = "",
                              .root_password_selector = "" };
        _cleanup_free_ char *text = joined(&s);

        CHECK_STR(text, "virt-builder|alpine-3|--output|/a");
}

TEST(mgmt_is_put_in_with_what_it_needs) {
        static char *seeds[] = { (char *) "http://10.0.0.1:2379", (char *) "http://10.0.0.2:2379", NULL };
        static const struct {
                const char *os, *part;
        } parts[] = {
                { "debian-12", "|--install|dbus,libarchive13,libaugeas0,libcurl4," },
                { "fedora-40", "|--install|dbus,augeas-libs,expat,gnutls,json-c," },
                { "debian-12", "/bin/mgmtctl:" },
                { "debian-12", "/mgmt-world.socket:" },
                { "debian-12", "/org.mgmt.virt1.conf:" },
                { "debian-12", "|--mkdir|/etc/mgmt|--write|/etc/mgmt/world.conf:MGMT_STORE=etcd:http://10.0.0.1:2379,http://10.0.0.2:2379\n|" },
                { "debian-12", "|--run-command|systemd-sysusers && systemctl enable mgmt.target" },
        };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                const ImageSpec s = { .output = "/a", .os_version = parts[i].os, .arch = "", .hostname = "", .format = "",
                                      .root_password_selector = "", .bootstrap = true, .seeds = seeds };
                _cleanup_free_ char *text = joined(&s);
                if (!text || !strstr(text, parts[i].part))
                        TEST_FAIL("'%s' is not in '%s'", parts[i].part, text);
        }
        const ImageSpec unknown = { .output = "/a", .os_version = "haiku-1", .arch = "", .hostname = "", .format = "",
                                    .root_password_selector = "", .bootstrap = true };
        char **argv = NULL;
        CHECK_INT(image_argv(&unknown, &argv), -EOPNOTSUPP);
}

/* ---- running it ---- */

/* A program that does this, and is found by everybody who looks for virt-builder. It has the file to write in $3. */
static void install_program(const char *script) {
        _cleanup_free_ char *text = NULL, *path = NULL;

        if (asprintf(&text, "#!/bin/sh\n%s\n", script) < 0 || asprintf(&path, "%s:/usr/bin:/bin", rig.dir) < 0)
                abort();
        put_file("virt-builder", text);
        CHECK_INT(chmod(in_dir("virt-builder"), 0755), 0);
        CHECK_INT(setenv("PATH", path, 1), 0);
}

static int make_in(const char *name) {
        return rig_make(&virt_builder_type, in_dir(name), FIELDS("os_version=alpine-3", "bootstrap=false", "root_ssh_inject=false",
                                                                    "no_setup=true"));
}

static int make(void) {
        return make_in("a.img");
}

static unsigned n_files(const char *prefix) {
        DIR *d = opendir(rig.dir);
        unsigned n = 0;

        for (struct dirent *e; d && (e = readdir(d));)
                n += startswith(e->d_name, prefix) != NULL;
        if (d)
                (void) closedir(d);
        return n;
}

static char *log_text(void) {
        _cleanup_free_ char *command = NULL;
        char *text = calloc(1, 256);

        if (!text || asprintf(&command, "cat $(find '%s' -name '*.log' -perm 0600)", rig.dir) < 0)
                abort();
        FILE *f = popen(command, "r");
        if (f) {
                text[fread(text, 1, 255, f)] = 0;
                (void) pclose(f);
        }
        return text;
}

TEST(an_image_is_made_once) {
        RIG();
        install_program("echo working; echo \"$*\" >\"$3\"");
        CHECK_INT(make(), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("output: absent -> alpine-3\n");
        CHECK(access(in_dir("a.img"), F_OK) < 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(rig.host.diag.message, NULL);
        _cleanup_free_ char *made = NULL, *log = log_text();
        CHECK_INT(read_file_at(AT_FDCWD, in_dir("a.img"), 4096, &made, NULL), 0);
        CHECK(made && startswith(made, "alpine-3 --output ") && strstr(made, "--root-password disabled"));
        CHECK_STR(log, "working\n");
        CHECK_INT(n_files(".mgmt-"), 0);

        put_file("a.img", "another");
        CHECK_INT(rig_apply(true), CHECK_OK);
        check_file("a.img", "another");
        unsigned n = rig.host.n_changed;
        CHECK_INT(unlink(in_dir("a.img")), 0);
        CHECK(RIG_UNTIL(rig.host.n_changed > n));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(a_failure_leaves_nothing_behind) {
        RIG();
        install_program("echo half >\"$3\"; echo first; echo 'no such template' >&2; exit 3");
        CHECK_INT(make(), 0);
        CHECK_INT(rig_apply(true), -EPROTO);
        CHECK_STR(rig.host.diag.message, "virt-builder failed with status 3: no such template");
        CHECK_INT(n_files(".mgmt-"), 0);
        CHECK(access(in_dir("a.img"), F_OK) < 0);
}

/* What a killed engine leaves is no image, and goes with the next attempt. */
TEST(what_was_cut_off_is_no_image) {
        RIG();
        char name[REPLACEMENT_NAME_MAX], file[REPLACEMENT_NAME_MAX + 8];
        replacement_name("a.img", name);
        (void) snprintf(file, sizeof(file), "%s/image", name);
        CHECK_INT(mkdir(in_dir(name), 0700), 0);
        put_file(file, "half");
        install_program("echo whole >\"$3\"");
        CHECK_INT(make(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("a.img", "whole\n");
        CHECK_INT(n_files(".mgmt-"), 0);
}

/* Root's program is given a path, and must write nowhere else. */
TEST(others_do_not_lead_it_elsewhere) {
        RIG();

        if (geteuid() != 0)
                TEST_SKIP("needs to be root to have directories of others");
        install_program("echo whole >\"$3\"");
        CHECK_INT(mkdir(in_dir("secret"), 0755), 0);
        CHECK_INT(symlink("secret", in_dir("link")), 0);
        CHECK_INT(lchown(in_dir("link"), 65534, 65534), 0);
        CHECK_INT(mkdir(in_dir("theirs"), 0755), 0);
        CHECK_INT(chown(in_dir("theirs"), 65534, 65534), 0);
        CHECK_INT(mkdir(in_dir("tmp"), 0700), 0);
        CHECK_INT(chmod(in_dir("tmp"), 01777), 0);
        CHECK_INT(make_in("link/a.img"), 0);
        CHECK_INT(rig_apply(true), -EPERM);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "is not trusted"));
        CHECK(access(in_dir("secret/a.img"), F_OK) < 0);
        CHECK_INT(make_in("theirs/a.img"), 0);
        CHECK_INT(rig_apply(true), -EPERM);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "others may write in the directory of"));
        CHECK_INT(make_in("tmp/a.img"), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("tmp/a.img", "whole\n");
        CHECK_INT(lchown(in_dir("link"), 0, 0), 0);
        CHECK_INT(make_in("link/a.img"), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("secret/a.img", "whole\n");
}

TEST(an_attempt_can_be_stopped) {
        RIG();
        install_program("echo half >\"$3\"; touch \"${0%/*}/begun\"; exec sleep 1000");
        CHECK_INT(make(), 0);
        rig.r->applies = true;
        CHECK_INT(virt_builder_type.check_apply(rig.r, true, &rig.host.diag), CHECK_PENDING);
        CHECK(RIG_UNTIL(access(in_dir("begun"), F_OK) >= 0));
        virt_builder_type.cancel(rig.r);
        CHECK_INT(n_files(".mgmt-"), 0);
        install_program("echo whole >\"$3\"");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("a.img", "whole\n");
}

TEST(a_program_that_is_not_there_is_waited_for) {
        RIG();
        CHECK_INT(setenv("PATH", rig.dir, 1), 0);
        CHECK_INT(make(), 0);
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "there is no virt-builder yet (guestfs-tools)");
        install_program("echo whole >\"$3\"");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(fields_that_are_refused_say_so) {
        static const struct {
                const char *field, *want;
        } cases[] = {
                { "output=a.img", "output must be the absolute path of a file, got 'a.img'" },
                { "output=/a/", "output must be the absolute path of a file, got '/a/'" },
                { "os_version=--delete", "os_version must name a template, such as debian-12, got '--delete'" },
                { "format=vdi", "format must be raw, qcow2 or empty, got 'vdi'" },
                { "size=-1", "size must not be negative, got '-1'" },
                { "packages=a,b", "packages must have no element that is empty or has blanks, commas or newlines, got 'a,b'" },
                { "seeds=10.0.0.1:2379", "seeds must be of the form http://HOST:PORT, got '10.0.0.1:2379'" },
                { "seeds=http://", "seeds must be of the form http://HOST:PORT, got 'http://'" },
                { "seeds=http://a:1/path", "seeds must be of the form http://HOST:PORT, got 'http://a:1/path'" },
                { "seeds=http://a:1\"", "seeds must be of the form http://HOST:PORT, got 'http://a:1\"'" },
                { "mkdir=/srv", "mkdir must be absolute, without ':', and end with '/', got '/srv'" },
                { "os_version=haiku-1", "bootstrap is not possible for 'haiku-1': which packages mgmt needs there is not known" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&virt_builder_type, "/a.img", FIELDS("os_version=debian-12", cases[i].field)), -EINVAL);
                CHECK_STR(rig.host.diag.message, cases[i].want);
        }
        rig_unmake();
        CHECK_INT(resource_new(&rig.r, &virt_builder_type, &rig.host.host, "/a", (Pos) {}), 0);
        static const struct {
                const char *field, *text, *want;
        } lists[] = {
                { "ssh_keys", "[struct{user => \"a b\", type => \"t\", key => \"k\", comment => \"\"},]",
                  "user of ssh_keys must be one word, got 'a b'" },
                { "ssh_keys", "[struct{user => \"\", type => \"\", key => \"k\", comment => \"\"},]",
                  "type of ssh_keys must be one word, got ''" },
                { "copy_in", "[struct{path => \"a\", dest => \"/\"},]", "path of copy_in must be absolute and without ':', got 'a'" },
                { "copy_in", "[struct{path => \"/a\", dest => \"/b\"},]",
                  "dest of copy_in must be absolute, without ':', and end with '/', got '/b'" },
        };
        _cleanup_(value_done) Value os = VALUE_NIL;
        CHECK_INT(value_strz(&os, "debian-12"), 0);
        CHECK_INT(resource_set(rig.r, "os_version", os, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                const FieldSpec *f = field_find(virt_builder_type.fields, lists[i].field);
                _cleanup_(value_done) Value v = parsed(lists[i].text, f->mcl_type);
                _cleanup_(value_done) Value none = parsed("[]", f->mcl_type);
                _cleanup_(diag_done) Diag diag = {};

                CHECK_INT(resource_set(rig.r, lists[i].field, v, NULL), 0);
                CHECK_INT(resource_validate(rig.r, &diag), -EINVAL);
                CHECK_STR(diag.message, lists[i].want);
                CHECK_INT(resource_set(rig.r, lists[i].field, none, NULL), 0);
        }
}

TEST(what_it_wants_before_it) {
        RIG();

        CHECK_INT(rig_make(&virt_builder_type, "/a/b/x.img", FIELDS("os_version=debian-12")), 0);
        check_wants("package-file:/usr/bin/virt-builder+ | file:/a/b/ | file:/a/ | file:/");
}

TEST_MAIN()
