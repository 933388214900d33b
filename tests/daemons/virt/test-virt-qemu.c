/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt against a real libvirtd with real machines (which have nothing to boot from, and so cost little). Everything happens in
 * namespaces of our own: processes, mounts and network vanish with the test. Skipped where that is not possible. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <libvirt/libvirt.h>

#include "common/io.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/kinds.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

#define URI "qemu:///system"
#define LIBVIRTD "/usr/sbin/libvirtd"

static const char *missing;             /* why these tests cannot run */

typedef struct Fixture {
        sd_event *event;
        VirtManager manager;
        TestHost host;
        pid_t libvirtd;
} Fixture;

/* ---- a machine of our own ---- */

static int write_text(const char *path, const char *text) {
        return write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false);
}

/* The accounts that libvirtd insists on, beside those that are there. */
static int add_account(const char *file, const char *copy, const char *line) {
        _cleanup_free_ char *text = NULL, *more = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, file, 1024 * 1024, &text, &size);
        if (r < 0)
                return r;
        if (asprintf(&more, "%s%s", text, line) < 0)
                return -ENOMEM;
        r = write_text(copy, more);
        return r < 0 ? r : mount(copy, file, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int make_machine(void) {
        static const char *const folders[] = { "/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt" };
        int r;

        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                if (access(folders[i], F_OK) < 0)
                        continue;
                if (mount("tmpfs", folders[i], "tmpfs", 0, NULL) < 0)
                        return -errno;
        }
        if (mount("proc", "/proc", "proc", 0, NULL) < 0)
                return -errno;
        /* without hardware: what that can do depends on where we run */
        if (access("/dev/kvm", F_OK) >= 0 && mount("/dev/null", "/dev/kvm", NULL, MS_BIND, NULL) < 0)
                return -errno;
        r = make_directories("/run/lock", 0755);
        if (r >= 0)
                r = write_text("/etc/libvirt/libvirtd.conf", "auth_unix_rw = \"none\"\n");
        if (r >= 0)
                r = write_text("/etc/libvirt/qemu.conf", "user = \"root\"\ngroup = \"root\"\ncgroup_controllers = []\n"
                               "security_driver = \"none\"\nremember_owner = 0\nstdio_handler = \"file\"\n");
        if (r >= 0)
                r = add_account("/etc/passwd", "/run/passwd", "libvirt-qemu:x:64055:64055::/:/bin/false\n");
        if (r >= 0)
                r = add_account("/etc/group", "/run/group", "libvirt-qemu:x:64055:\n");
        return r;
}

static pid_t start_libvirtd(void) {
        pid_t pid = fork();

        if (pid == 0) {
                int log = open("/run/libvirtd.log", O_CREAT | O_WRONLY | O_APPEND, 0600);
                (void) dup2(log, STDERR_FILENO);
                (void) dup2(log, STDOUT_FILENO);
                sigset_t none;
                (void) sigemptyset(&none);
                (void) sigprocmask(SIG_SETMASK, &none, NULL);
                execl(LIBVIRTD, LIBVIRTD, NULL);
                _exit(127);
        }
        return pid;
}

static void stop_libvirtd(Fixture *f, int signal) {
        if (f->libvirtd <= 0)
                return;
        (void) kill(f->libvirtd, signal);
        (void) waitpid(f->libvirtd, NULL, 0);
        f->libvirtd = 0;
}

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || virt_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
}

static void teardown(Fixture *f) {
        testhost_done(&f->host);
        virt_manager_done(&f->manager);
        sd_event_unref(f->event);
        stop_libvirtd(f, SIGTERM);
}

#define VIRT(f, state, ...) \
        testhost_resource(&(f)->host, resource_type_find(virt_kinds, "virt"), "m", "uri", "\"" URI "\"", "memory", "65536", "maxcpus", "2", "state", state, __VA_ARGS__, NULL)

/* What a host does with a resource that waits: it checks again after each change, until that works. */
static int check_until_not_waiting(Fixture *f, Resource *r) {
        int k = -EAGAIN;

        for (unsigned i = 0; i < 100 && k == -EAGAIN; i++) {
                unsigned n = f->host.n_changed;

                k = testhost_check(&f->host, r, true);
                if (k == -EAGAIN && !testhost_until_changed(&f->host, n, 30000))
                        return -ETIMEDOUT;
        }
        return k;
}

static void check_ok(Fixture *f, Resource *r, int want) {
        int k = testhost_check(&f->host, r, true);

        if (k != want)
                TEST_FAIL("result is %d, not %d: %s", k, want, f->host.diag.message ? f->host.diag.message : f->host.reason);
}

static int state_seen(void) {
        virConnectPtr c = virConnectOpen(URI);
        virDomainPtr d = c ? virDomainLookupByName(c, "m") : NULL;
        virDomainInfo info = { .state = 255 };

        if (d)
                (void) virDomainGetInfo(d, &info);
        if (d)
                (void) virDomainFree(d);
        if (c)
                (void) virConnectClose(c);
        return d ? info.state : -1;
}

/* As somebody else would, in a process of its own: this one's loop has to go on. */
static void virsh(const char *command) {
        _cleanup_free_ char *line = NULL;

        if (asprintf(&line, "virsh -q -c " URI " %s >/dev/null 2>&1", command) < 0 || system(line) != 0)
                TEST_FAIL("virsh %s failed", command);
}

/* ---- cases ---- */

TEST(from_nothing_to_a_machine_and_through_all_states) {
        Fixture f;
        Resource *r;

        if (missing)
                TEST_SKIP(missing);
        setup(&f);

        /* the program is there before libvirt is */
        r = VIRT(&f, "\"running\"", "cpus", "1", "startup", "\"enabled\"");
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        f.libvirtd = start_libvirtd();
        int k = check_until_not_waiting(&f, r);
        if (k != CHECK_CHANGED)
                TEST_FAIL("result is %d: %s", k, f.host.diag.message ? f.host.diag.message : "");
        CHECK_INT(state_seen(), VIR_DOMAIN_RUNNING);
        testhost_run(&f.host, 300);
        check_ok(&f, r, CHECK_OK);

        /* somebody pulls the plug */
        unsigned n = f.host.n_changed;
        virsh("destroy m");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        check_ok(&f, r, CHECK_CHANGED);
        check_ok(&f, r, CHECK_OK);
        testhost_run(&f.host, 300);

        /* somebody pauses it, and has it not start with the host */
        n = f.host.n_changed;
        virsh("suspend m");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        check_ok(&f, r, CHECK_CHANGED);
        testhost_run(&f.host, 300);
        n = f.host.n_changed;
        virsh("autostart --disable m");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        check_ok(&f, r, CHECK_CHANGED);
        check_ok(&f, r, CHECK_OK);

        /* one processor more, while it runs */
        testhost_free(r);
        r = VIRT(&f, "\"running\"", "cpus", "2");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_ok(&f, r, CHECK_CHANGED);
        check_ok(&f, r, CHECK_OK);

        static const struct {
                const char *state;
                int want;
        } states[] = {
                { "\"paused\"", VIR_DOMAIN_PAUSED },
                { "\"shutoff\"", VIR_DOMAIN_SHUTOFF },
                { "\"paused\"", VIR_DOMAIN_PAUSED },
                { "\"running\"", VIR_DOMAIN_RUNNING },
        };
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                testhost_free(r);
                r = VIRT(&f, states[i].state, "cpus", "2");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                check_ok(&f, r, CHECK_CHANGED);
                check_ok(&f, r, CHECK_OK);
                CHECK_INT(state_seen(), states[i].want);
        }

        /* libvirtd dies: the machine does not, and the connection comes back by itself */
        n = f.host.n_changed;
        stop_libvirtd(&f, SIGKILL);
        CHECK(testhost_until_changed(&f.host, n, 60000));
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        f.libvirtd = start_libvirtd();
        CHECK_INT(check_until_not_waiting(&f, r), CHECK_OK);
        CHECK_INT(state_seen(), VIR_DOMAIN_RUNNING);

        /* and in the end there is none */
        testhost_free(r);
        r = VIRT(&f, "\"shutoff\"", "cpus", "2", "transient", "true");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_ok(&f, r, CHECK_CHANGED);
        check_ok(&f, r, CHECK_OK);
        CHECK_INT(state_seen(), -1);
        testhost_free(r);
        teardown(&f);
}

/* The exit status of pid; whatever else ends meanwhile is reaped. */
static int wait_for(pid_t pid) {
        int status = 0;
        pid_t p;

        do
                p = waitpid(-1, &status, 0);
        while (p != pid && (p >= 0 || errno == EINTR));
        return p == pid && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* The first process of a namespace inherits all orphans, and libvirtd waits for its own to be gone: so the tests are the second. */
static int run_inside(int argc, char *argv[]) {
        int r = make_machine();

        if (r < 0)
                missing = "cannot make a machine of our own";
        pid_t pid = fork();
        if (pid == 0)
                _exit(test_run(argc, argv));
        return wait_for(pid);
}

int main(int argc, char *argv[]) {
        if (access(LIBVIRTD, X_OK) < 0 || access("/usr/bin/qemu-system-x86_64", X_OK) < 0 || access("/usr/bin/virsh", X_OK) < 0)
                missing = "no libvirtd, virsh and qemu-system-x86_64";
        else if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) < 0)
                missing = "no namespaces (it takes root)";
        if (missing)
                return test_run(argc, argv);

        pid_t pid = fork();
        if (pid == 0)
                _exit(run_inside(argc, argv));
        _exit(wait_for(pid));           /* a leak checker could not start its own process any more */
}
