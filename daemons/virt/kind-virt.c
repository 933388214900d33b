/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt: a virtual machine or a container of libvirt. What there is to do is in domain.c, which runs in the thread of the
 * connection and gets a copy of everything; this file is the resource around it. */

#include <pwd.h>
#include <stdio.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/resource.h"
#include "daemons/virt/attempt.h"
#include "daemons/virt/domain.h"

#define RESTART_PATIENCE_USEC (UINT64_C(5) * 60 * 1000000)      /* for a guest that was asked to shut down */

typedef struct Virt {
        Resource resource;
        char *uri;
        char *state;
        char *startup;
        bool transient;
        uint32_t cpus, maxcpus;
        bool hotcpus;
        uint64_t memory;
        char *osinit;
        char **boot;
        Value disk, cdrom, network, filesystem;
        Value auth;
        char *restartondiverge;
        bool restartonrefresh;

        VirtClient client;
        bool stopping;                  /* asked to shut down, to be started again */
        uint64_t stop_until_usec;
        DomainRequests requests;
        DomainSeen seen;                /* for the fields as they are */
        sd_event_source *stop_timer;
} Virt;

typedef struct DomainAttempt {
        VirtAttempt attempt;            /* must be first */
        DomainTask task;
} DomainAttempt;

#define DISK "[]struct{source str; type str}"

static const FieldSpec virt_fields[] = {
        FIELD(Virt, uri, FIELD_STR, 0,
              "Where the hypervisor is, such as qemu:///system, lxc:/// or test:///default; empty: what libvirt has for root."),
        FIELD(Virt, state, FIELD_STR, 0,
              "What it shall do: running, paused or shutoff; empty: whatever it does. Transient and shutoff is: not there."),
        FIELD(Virt, startup, FIELD_STR, 0, "Whether it starts with its host: enabled or disabled; empty: as it is."),
        FIELD(Virt, transient, FIELD_BOOL, 0, "Without a definition that outlives it."),
        FIELD(Virt, cpus, FIELD_UINT32, 0, "Number of its processors; needed to create it, 0: as it is."),
        FIELD(Virt, maxcpus, FIELD_UINT32, 0, "How many processors can be plugged in.", .initial = "32"),
        FIELD(Virt, hotcpus, FIELD_BOOL, 0, "Make it so that processors can be plugged in while it runs.", .initial = "true"),
        FIELD(Virt, memory, FIELD_UINT64, 0, "Its memory in KiB; needed to create it, 0: as it is."),
        FIELD(Virt, osinit, FIELD_STR, 0, "Path of the first program in a container."),
        FIELD(Virt, boot, FIELD_STRV, 0, "What to boot from, in order: fd, hd, cdrom, network."),
        FIELD(Virt, disk, FIELD_VALUE, 0,
              "Files that are its disks, and their format, such as qcow2; a leading ~ is a home directory.", .mcl_type = DISK),
        FIELD(Virt, cdrom, FIELD_VALUE, 0, "Files that are in its optical drives, and their format.", .mcl_type = DISK),
        FIELD(Virt, network, FIELD_VALUE, 0,
              "The libvirt networks it is in, and its hardware addresses there; an empty one is chosen by libvirt.",
              .mcl_type = "[]struct{name str; mac str}"),
        FIELD(Virt, filesystem, FIELD_VALUE, 0, "Directories of the host that it sees, and under which name.",
              .mcl_type = "[]struct{access str; source str; target str; read_only bool}"),
        FIELD(Virt, auth, FIELD_VALUE, FIELD_OPTIONAL | FIELD_SECRET, "Who to be towards the hypervisor.",
              .mcl_type = "struct{username str; password str}"),
        FIELD(Virt, restartondiverge, FIELD_STR, 0,
              "Where only a restart would bring what is wanted: ignore it, restart if that is needed (ifneeded), or fail "
              "(error).",
              .initial = "\"error\""),
        FIELD(Virt, restartonrefresh, FIELD_BOOL, 0, "Restart it when notified."),
        {}
};

/* ---- words ---- */

static int word_find(const char *const *words, int n, const char *s) {
        for (int i = 0; i < n; i++)
                if (streq(words[i], s))
                        return i;
        return -EINVAL;
}

static DomainRestart parse_restart(const char *s) {
        static const char *const words[_DOMAIN_RESTART_MAX] = { "ignore", "ifneeded", "error" };

        return (DomainRestart) word_find(words, _DOMAIN_RESTART_MAX, s);
}

/* What a domain's "type" is, by the driver that a URI names; "qemu" stands for the best there is. */
static const char *parse_driver(const char *uri) {
        static const struct {
                const char *scheme, *type;
        } drivers[] = {
                { "bhyve", "bhyve" },
                { "esx", "vmware" },
                { "hyperv", "hyperv" },
                { "lxc", "lxc" },
                { "openvz", "openvz" },
                { "test", "test" },
                { "vbox", "vbox" },
                { "vpx", "vmware" },
                { "vz", "vz" },
                { "xen", "xen" },
        };
        size_t n = strcspn(uri, ":+");

        for (size_t i = 0; i < ELEMENTSOF(drivers); i++)
                if (strlen(drivers[i].scheme) == n && strncmp(uri, drivers[i].scheme, n) == 0)
                        return drivers[i].type;
        return "qemu";
}

static bool is_boot_device(const char *s) {
        static const char *const words[] = { "fd", "hd", "cdrom", "network" };

        return word_find(words, ELEMENTSOF(words), s) >= 0;
}

static int virt_validate(const Resource *r, Diag *reterr) {
        const Virt *v = (const Virt *) r;

        if ((int) domain_state_from_name(v->state) < 0)
                return resource_error(r, reterr, -EINVAL, "state must be running, paused, shutoff or empty, got '%s'",
                                      v->state);
        if (v->startup[0] && !streq(v->startup, "enabled") && !streq(v->startup, "disabled"))
                return resource_error(r, reterr, -EINVAL, "startup must be enabled, disabled or empty, got '%s'", v->startup);
        if (v->transient && v->startup[0])
                return resource_error(r, reterr, -EINVAL, "startup must be empty for a transient domain, got '%s'",
                                      v->startup);
        if ((int) parse_restart(v->restartondiverge) < 0)
                return resource_error(r, reterr, -EINVAL, "restartondiverge must be ignore, ifneeded or error, got '%s'",
                                      v->restartondiverge);
        if (v->cpus > v->maxcpus)
                return resource_error(r, reterr, -EINVAL, "cpus must not be more than maxcpus (%u), got '%u'",
                                      v->maxcpus, v->cpus);
        if (v->maxcpus > 4096)
                return resource_error(r, reterr, -EINVAL, "maxcpus must be at most 4096, got '%u'", v->maxcpus);
        for (char **b = v->boot; b && *b; b++)
                if (!is_boot_device(*b))
                        return resource_error(r, reterr, -EINVAL, "boot must be made of fd, hd, cdrom and network, got '%s'",
                                              *b);
        return 0;
}

/* ---- the copy for the thread ---- */

static char *copy_field(Value item, const char *name) {
        const Value *v = value_struct_get(item, name);

        return strdup(v && v->kind == TYPE_STR ? value_cstr(*v) : "");
}

static int copy_files(Value list, DomainFile **ret, size_t *ret_n) {
        size_t n = list.kind == TYPE_LIST ? list.l->n : 0;

        *ret = calloc(n + 1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        for (; *ret_n < n; (*ret_n)++) {
                DomainFile *f = *ret + *ret_n;
                f->source = copy_field(value_list_at(list.l, *ret_n), "source");
                f->type = copy_field(value_list_at(list.l, *ret_n), "type");
                if (!f->source || !f->type)
                        return -ENOMEM;
        }
        return 0;
}

static int copy_networks(Value list, DomainSpec *s) {
        size_t n = list.kind == TYPE_LIST ? list.l->n : 0;

        s->networks = calloc(n + 1, sizeof(*s->networks));
        if (!s->networks)
                return -ENOMEM;
        for (; s->n_networks < n; s->n_networks++) {
                DomainNetwork *w = s->networks + s->n_networks;
                w->name = copy_field(value_list_at(list.l, s->n_networks), "name");
                w->mac = copy_field(value_list_at(list.l, s->n_networks), "mac");
                if (!w->name || !w->mac)
                        return -ENOMEM;
        }
        return 0;
}

static int copy_filesystems(Value list, DomainSpec *s) {
        size_t n = list.kind == TYPE_LIST ? list.l->n : 0;

        s->filesystems = calloc(n + 1, sizeof(*s->filesystems));
        if (!s->filesystems)
                return -ENOMEM;
        for (; s->n_filesystems < n; s->n_filesystems++) {
                Value item = value_list_at(list.l, s->n_filesystems);
                const Value *read_only = value_struct_get(item, "read_only");
                DomainFilesystem *f = s->filesystems + s->n_filesystems;

                f->access = copy_field(item, "access");
                f->source = copy_field(item, "source");
                f->target = copy_field(item, "target");
                f->read_only = read_only && read_only->kind == TYPE_BOOL && read_only->b;
                if (!f->access || !f->source || !f->target)
                        return -ENOMEM;
        }
        return 0;
}

static int copy_spec(const Virt *v, DomainSpec *s) {
        int r;

        *s = (DomainSpec) {
                .name = strdup(v->resource.name),
                .osinit = strdup(v->osinit),
                .memory_kib = v->memory,
                .cpus = v->cpus,
                .maxcpus = v->maxcpus,
                .hotcpus = v->hotcpus,
        };
        if (!s->name || !s->osinit)
                return -ENOMEM;
        r = strv_copy(&s->boot, v->boot);
        if (r >= 0)
                r = copy_files(v->disk, &s->disks, &s->n_disks);
        if (r >= 0)
                r = copy_files(v->cdrom, &s->cdroms, &s->n_cdroms);
        if (r >= 0)
                r = copy_networks(v->network, s);
        return r < 0 ? r : copy_filesystems(v->filesystem, s);
}

/* ---- attempts ---- */

static void attempt_free(VirtAttempt *a) {
        domain_spec_done(&((DomainAttempt *) a)->task.spec);
        free(a);
}

/* "~/x" and "~user/x". Of an unknown user it stays as it is, and libvirt will say so. */
static int expand_home(char **path) {
        char *expanded, buffer[4096];
        struct passwd entry, *p = NULL;

        if ((*path)[0] != '~')
                return 0;
        size_t n = strcspn(*path, "/");
        _cleanup_free_ char *user = strndup(*path + 1, n - 1);
        if (!user)
                return -ENOMEM;
        if (user[0])
                (void) getpwnam_r(user, &entry, buffer, sizeof(buffer), &p);
        else
                (void) getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &p);
        if (!p)
                return 0;
        if (asprintf(&expanded, "%s%s", p->pw_dir, *path + n) < 0)
                return -ENOMEM;
        free(*path);
        *path = expanded;
        return 0;
}

/* In the thread, as a directory of users may be far away. */
static int expand_homes(DomainSpec *s) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n_disks; i++)
                r = expand_home(&s->disks[i].source);
        for (size_t i = 0; r >= 0 && i < s->n_cdroms; i++)
                r = expand_home(&s->cdroms[i].source);
        for (size_t i = 0; r >= 0 && i < s->n_filesystems; i++)
                r = expand_home(&s->filesystems[i].source);
        return r;
}

static int attempt_wait(VirtAttempt *a, virConnectPtr c, Diag *reterr) {
        return domain_shut_down(c, &((DomainAttempt *) a)->task, reterr);
}

static int attempt_run(VirtAttempt *a, virConnectPtr c, Diag *reterr) {
        DomainTask *t = &((DomainAttempt *) a)->task;
        int r = expand_homes(&t->spec);

        if (r >= 0)
                r = domain_check_apply(c, t, reterr);
        if (r >= 0 && t->to_stop)
                a->wait = attempt_wait;
        return r;
}

static int on_stop_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Virt *v = userdata;

        resource_changed(&v->resource);
        return 0;
}

static uint64_t now_usec(const Virt *v) {
        uint64_t now = 0;

        (void) sd_event_now(v->resource.host->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* The timer runs only while a shutdown is waited for. */
static void arm_stop_timer(Virt *v) {
        v->stop_timer = sd_event_source_disable_unref(v->stop_timer);
        if (v->stopping)
                (void) sd_event_add_time(v->resource.host->event, &v->stop_timer, CLOCK_MONOTONIC, v->stop_until_usec, 0,
                                         on_stop_timer, v);
}

/* A guest that was asked to shut down gets its time. */
static void note_stopping(Virt *v, bool stopping) {
        if (v->stopping == stopping)
                return;
        v->stopping = stopping;
        v->stop_until_usec = now_usec(v) + RESTART_PATIENCE_USEC;
        arm_stop_timer(v);
}

static void attempt_ended(VirtAttempt *a, Resource *r, int result) {
        const DomainTask *t = &((DomainAttempt *) a)->task;

        if (result == -ECANCELED)
                return;
        ((Virt *) r)->seen = t->seen;
        if (!t->apply)
                return;
        ((Virt *) r)->requests = t->requests;
        note_stopping((Virt *) r, t->stopping);
}

static void task_init(DomainTask *t, const Virt *v, bool apply) {
        t->driver = parse_driver(v->uri);
        t->state = domain_state_from_name(v->state);
        t->autostart = v->startup[0] ? streq(v->startup, "enabled") : -1;
        t->transient = v->transient;
        t->restart = parse_restart(v->restartondiverge);
        t->restart_now = v->restartonrefresh && resource_refresh(&v->resource);
        t->apply = apply;
        t->stopping = v->stopping;
        t->requests = v->requests;
        t->seen = v->resource.received ? (DomainSeen) {} : v->seen;
        t->force = v->stopping && now_usec(v) >= v->stop_until_usec;
}

static int virt_check_apply(Resource *r, bool apply, Diag *reterr) {
        Virt *v = (Virt *) r;
        DomainAttempt *a;
        int k;

        k = virt_client_open(&v->client, r, VIRT_DOMAIN, v->uri, v->auth, reterr);
        if (k < 0)
                return k;
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->attempt = (VirtAttempt) { .run = attempt_run, .ended = attempt_ended, .free = attempt_free };
        a->task.differences = &a->attempt.differences;
        task_init(&a->task, v, apply);
        k = copy_spec(v, &a->task.spec);
        if (k < 0) {
                attempt_free(&a->attempt);
                return resource_error(r, reterr, k, "cannot copy fields: %m");
        }
        return virt_client_attempt(&v->client, r, &a->attempt, reterr);
}

static void virt_cancel(Resource *r) {
        virt_client_cancel(&((Virt *) r)->client);
}

/* ---- events ---- */

static int virt_watch(Resource *r, Diag *reterr) {
        Virt *v = (Virt *) r;
        int k;

        k = virt_client_open(&v->client, r, VIRT_DOMAIN, v->uri, v->auth, reterr);
        if (k < 0)
                return k;
        virt_client_watch_files(&v->client, r, v->uri);
        arm_stop_timer(v);
        resource_armed(r);
        return 0;
}

static void virt_unwatch(Resource *r) {
        Virt *v = (Virt *) r;

        v->stop_timer = sd_event_source_disable_unref(v->stop_timer);
        virt_client_close(&v->client);
}

static void virt_done(Resource *r) {
        virt_cancel(r);
        virt_unwatch(r);
}

const ResourceType virt_type = {
        .kind = "virt",
        .doc = "A virtual machine or container of libvirt: that it exists, what it consists of and what it does. Both its definition and "
               "what runs of it are kept as they are wanted; what is not said here is left alone. A list of devices that is not empty "
               "names all of its sort: others of it go.",
        .example = "virt \"web1\" {\n"
                   "\turi => \"test:///default\",\n"
                   "\tstate => \"running\",\n"
                   "\tcpus => 2,\n"
                   "\tmemory => 1048576,\n"
                   "}\n",
        .size = sizeof(Virt),
        .flags = RESOURCE_REFRESHABLE | RESOURCE_REFUSES_POLL,
        .fields = virt_fields,
        .done = virt_done,
        .validate = virt_validate,
        .watch = virt_watch,
        .unwatch = virt_unwatch,
        .check_apply = virt_check_apply,
        .cancel = virt_cancel,
};
