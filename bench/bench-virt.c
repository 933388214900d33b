/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A thousand virt on libvirt's test driver, in this process: made, looked at again, and repaired after somebody has switched one off.
 * The floor is a plain program that makes the calls of the library which that takes, and nothing else. At the end the same by
 * mgmtctl run, with all that belongs to it.
 *
 * Starts mgmtctl from the folder above its own, the top of the build directory. */

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <systemd/sd-event.h>

#include "bench/bench.h"
#include "common/macro.h"
#include "common/resource.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/kinds.h"

enum { N = 1000, N_RUNS = 5, N_DRIFTS = 200 };
#define URI "test:///default"

static __attribute__((__noreturn__)) void die(const char *what) {
        (void) fprintf(stderr, "bench-virt: %s failed\n", what);
        exit(EXIT_FAILURE);
}

/* ---- the floor ---- */

static const char description[] =
        "<domain type='test'><name>%s</name><memory unit='KiB'>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices>"
        "<serial type='pty'/><console type='pty'/></devices></domain>";

static void floor_make(virConnectPtr c, const char *name) {
        char xml[512];

        (void) snprintf(xml, sizeof(xml), description, name);
        virDomainPtr d = virDomainLookupByName(c, name);
        if (d)
                die("a domain that is not there");
        d = virDomainDefineXML(c, xml);
        if (!d || virDomainCreate(d) < 0)
                die("virDomainCreate");
        (void) virDomainFree(d);
}

/* What tells whether state, memory and processors are right, of what runs and of the definition. */
static void floor_check(virConnectPtr c, const char *name) {
        virDomainPtr d = virDomainLookupByName(c, name);
        virDomainInfo info;

        if (!d || virDomainIsActive(d) != 1 || virDomainIsPersistent(d) != 1 || virDomainGetInfo(d, &info) < 0 || info.memory != 1024 ||
            virDomainGetVcpusFlags(d, VIR_DOMAIN_AFFECT_LIVE) != 1 || virDomainGetVcpusFlags(d, VIR_DOMAIN_AFFECT_CONFIG) != 1 ||
            virDomainGetVcpusFlags(d, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_VCPU_MAXIMUM) != 1 ||
            virDomainGetVcpusFlags(d, VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_VCPU_MAXIMUM) != 1)
                die("a domain that is right");
        char *xml = virDomainGetXMLDesc(d, VIR_DOMAIN_XML_INACTIVE);
        if (!xml || !strstr(xml, "<currentMemory unit='KiB'>1024<"))
                die("virDomainGetXMLDesc");
        free(xml);
        (void) virDomainFree(d);
}

static void measure_floor(uint64_t *ret_make, uint64_t *ret_check) {
        virConnectPtr c = virConnectOpen(URI);
        char name[16];

        if (!c)
                die("virConnectOpen");
        uint64_t start = now_nsec();
        for (unsigned i = 0; i < N; i++) {
                (void) snprintf(name, sizeof(name), "m%u", i);
                floor_make(c, name);
        }
        *ret_make = now_nsec() - start;

        start = now_nsec();
        for (unsigned i = 0; i < N; i++) {
                (void) snprintf(name, sizeof(name), "m%u", i);
                floor_check(c, name);
        }
        *ret_check = now_nsec() - start;
        (void) virConnectClose(c);
}

/* ---- ours ---- */

typedef struct Bench {
        ResourceHost host;              /* first: resources point to it */
        sd_event *event;
        VirtManager manager;
        Resource *resources[N];
        unsigned n_pending, n_changed;
        Resource *seen;                 /* the last one that something happened to */
} Bench;

static void on_changed(Resource *r) {
        ((Bench *) r->host)->seen = r;
}

static void on_armed(Resource *r) {
}

static void on_finished(Resource *r, int result, Diag *diag) {
        Bench *b = (Bench *) r->host;

        if (result < 0)
                die(diag && diag->message ? diag->message : "an attempt");
        b->n_pending--;
        b->n_changed += result == CHECK_CHANGED;
}

static bool on_refresh(const Resource *r) {
        return false;
}

static void on_differs(Resource *r, Difference *d) {
        difference_done(d);
}

static void set(Resource *r, const char *field, Value v) {
        Diag diag = {};

        if (resource_set(r, field, v, &diag) < 0)
                die(diag.message);
        value_done(&v);
}

static void set_text(Resource *r, const char *field, const char *text) {
        Value v;

        if (value_strz(&v, text) < 0)
                die("value");
        set(r, field, v);
}

static void add_resource(Bench *b, unsigned i) {
        char name[16];

        (void) snprintf(name, sizeof(name), "m%u", i);
        if (resource_new(&b->resources[i], resource_type_find(virt_kinds, "virt"), &b->host, name, (Pos) {}) < 0)
                die("resource");
        Resource *r = b->resources[i];
        set_text(r, "uri", URI);
        set_text(r, "state", "running");
        set(r, "cpus", VALUE_INT(1));
        set(r, "memory", VALUE_INT(1024));
        set(r, "hotcpus", VALUE_BOOL(false));
        if (r->type->watch(r, NULL) < 0)
                die("watch");
}

static void attempt(Bench *b, Resource *r) {
        r->applies = true;
        if (r->type->check_apply(r, true, NULL) != CHECK_PENDING)
                die("check_apply");
        b->n_pending++;
}

static void settle(Bench *b) {
        while (b->n_pending > 0)
                if (sd_event_run(b->event, UINT64_MAX) < 0)
                        die("loop");
}

static uint64_t attempt_all(Bench *b, unsigned want_changed) {
        uint64_t start = now_nsec();

        b->n_changed = 0;
        for (unsigned i = 0; i < N; i++)
                attempt(b, b->resources[i]);
        settle(b);
        if (b->n_changed != want_changed)
                die("convergence");
        return now_nsec() - start;
}

static void bench_begin(Bench *b) {
        *b = (Bench) { .host = { .changed = on_changed, .armed = on_armed, .finished = on_finished, .refresh = on_refresh,
                                 .differs = on_differs, .hostname = "bench" } };
        if (sd_event_new(&b->event) < 0 || virt_manager_init(&b->manager, b->event) < 0)
                die("manager");
        b->host.event = b->event;
        b->host.manager = &b->manager;
        for (unsigned i = 0; i < N; i++)
                add_resource(b, i);
}

static void bench_end(Bench *b) {
        for (unsigned i = 0; i < N; i++)
                resource_free(b->resources[i]);
        virt_manager_done(&b->manager);
        sd_event_unref(b->event);
}

/* From a call of somebody else until the domain runs again. */
static uint64_t measure_reaction(Bench *b, virConnectPtr outside, unsigned i) {
        char name[16];

        (void) snprintf(name, sizeof(name), "m%u", i);
        virDomainPtr d = virDomainLookupByName(outside, name);
        b->seen = NULL;
        if (!d || virDomainDestroy(d) < 0)
                die("virDomainDestroy");
        uint64_t start = now_nsec();
        while (b->seen != b->resources[i])
                if (sd_event_run(b->event, UINT64_MAX) < 0)
                        die("loop");
        attempt(b, b->resources[i]);
        settle(b);
        uint64_t nsec = now_nsec() - start;
        if (virDomainIsActive(d) != 1)
                die("a repair");
        (void) virDomainFree(d);
        /* the event of our own start belongs to this round */
        while (sd_event_run(b->event, 2000) > 0)
                ;
        return nsec;
}

static void measure_reactions(Bench *b) {
        virConnectPtr outside = virConnectOpen(URI);
        uint64_t samples[N_DRIFTS];

        if (!outside)
                die("virConnectOpen");
        while (sd_event_run(b->event, 2000) > 0)        /* events of what was made */
                ;
        for (unsigned i = 0; i < N_DRIFTS; i++)
                samples[i] = measure_reaction(b, outside, i * (N / N_DRIFTS));
        report("one is switched off: seen and started again", median(samples, N_DRIFTS), 0);
        printf("%-56s %12.3f ms\n", "  the slowest of 200", (double) samples[N_DRIFTS - 1] / 1e6);
        (void) virConnectClose(outside);
}

/* ---- mgmtctl run ---- */

static int find_mgmtctl(char path[static PATH_MAX]) {
        ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof("/mgmtctl"));

        for (unsigned up = 0; n > 0 && up < 2; up++) {
                path[n] = '\0';
                char *slash = strrchr(path, '/');
                if (!slash)
                        break;
                stpcpy(slash, "/mgmtctl");
                if (access(path, X_OK) == 0)
                        return 0;
                n = slash - path;
        }
        return -ENOENT;
}

static void measure_run(uint64_t floor_nsec) {
        char mgmtctl[PATH_MAX], program[] = "/tmp/mgmt-bench-XXXXXX.mcl";
        int fd = mkstemps(program, 4), status;
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
        posix_spawn_file_actions_t actions;
        pid_t pid;

        if (!f || find_mgmtctl(mgmtctl) < 0)
                die("mgmtctl");
        for (unsigned i = 0; i < N; i++)
                (void) fprintf(f, "virt \"m%u\" {\n\turi => \"" URI "\",\n\tstate => \"running\",\n\tcpus => 1,\n\tmemory => 1024,\n"
                                  "\thotcpus => false,\n}\n", i);
        (void) fclose(f);

        char *argv[] = { mgmtctl, (char *) "run", (char *) "--tmp-prefix", (char *) "--converger-timeout=0", (char *) "--converged-exit",
                         program, NULL };
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        (void) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        uint64_t start = now_nsec();
        if (posix_spawn(&pid, mgmtctl, &actions, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) ||
            WEXITSTATUS(status) != 0)
                die("mgmtctl run");
        report("mgmtctl run, with five daemons, until all run", now_nsec() - start, floor_nsec);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) unlink(program);
}

int main(void) {
        uint64_t floor_make_nsec[N_RUNS], floor_check_nsec[N_RUNS], make[N_RUNS], check[N_RUNS];
        static Bench b;

        for (unsigned i = 0; i < N_RUNS; i++) {
                size_t before = mallinfo2().uordblks;

                bench_begin(&b);
                if (i == 0)
                        printf("%-56s %12.1f KiB\n", "a virt needs, beside its domain", (double) (mallinfo2().uordblks - before) / N / 1024);
                make[i] = attempt_all(&b, N);
                check[i] = attempt_all(&b, 0);
                if (i == N_RUNS - 1)
                        measure_reactions(&b);
                bench_end(&b);
                measure_floor(&floor_make_nsec[i], &floor_check_nsec[i]);
        }
        uint64_t floor = median(floor_make_nsec, N_RUNS);
        report("a thousand domains are made", median(make, N_RUNS), floor);
        report("a thousand domains are right", median(check, N_RUNS), median(floor_check_nsec, N_RUNS));
        measure_run(floor);
        return EXIT_SUCCESS;
}
