/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every step below returns 1 if something was wrong (and, with apply, is right now), 0 if not, or negative errno. Drivers differ
 * in the flags they know; a step that can do without one tries again without. */

#include <stdio.h>

#include <libvirt/virterror.h>

#include "common/hash.h"
#include "common/macro.h"
#include "common/resource.h"
#include "daemons/virt/attempt.h"
#include "daemons/virt/domain-change.h"
#include "daemons/virt/domain.h"

/* The library waits for ever for what a guest's agent says, if that has been heard of once: and with it all who use the connection. */
enum { AGENT_SECONDS = 5 };

typedef struct Domain {
        virDomainPtr handle;
        virDomainInfo info;
        bool active, persistent;
        const char *restart_for;        /* what only a restart can bring, NULL if nothing */
        char restart_because[256];      /* why, in the library's words; "" where that is plain */
        char *definition;               /* as it was read last, owned; NULL: it was changed since */
        int live_maximum;               /* of cpus in what runs */
        const char *owes;               /* what its guest was asked for and has not done yet, NULL if nothing */
} Domain;

static void domain_done(Domain *d) {
        if (d->handle)
                (void) virDomainFree(d->handle);
        d->handle = NULL;
        free(TAKE_PTR(d->definition));
}

/* As the field says it. */
static const char *domain_state_name(DomainState s) {
        static const char *const words[_DOMAIN_STATE_MAX] = { "", "running", "paused", "shutoff" };

        return words[s];
}

DomainState domain_state_from_name(const char *s) {
        for (int i = 0; i < _DOMAIN_STATE_MAX; i++)
                if (streq(domain_state_name((DomainState) i), s))
                        return (DomainState) i;
        return _DOMAIN_STATE_INVALID;
}

static void differs_new(DomainTask *t) {
        char memory[24], cpus[24];

        (void) snprintf(memory, sizeof(memory), "%llu", (unsigned long long) t->spec.memory_kib);
        (void) snprintf(cpus, sizeof(cpus), "%u", t->spec.cpus);
        virt_differs(t->differences, "state", "absent", t->state == DOMAIN_ANY ? "defined" : domain_state_name(t->state));
        virt_differs(t->differences, "memory", NULL, memory);
        virt_differs(t->differences, "cpus", NULL, cpus);
}

/* Reads the state anew. */
static int domain_look(Domain *d, Diag *reterr) {
        free(TAKE_PTR(d->definition));
        int active = virDomainIsActive(d->handle), persistent = virDomainIsPersistent(d->handle);

        if (active < 0 || persistent < 0 || virDomainGetInfo(d->handle, &d->info) < 0)
                return virt_error(reterr, "cannot look at domain");
        d->active = active;
        d->persistent = persistent;
        return 0;
}

/* 0 if there is none. */
static int domain_find(virConnectPtr c, const char *name, Domain *ret, Diag *reterr) {
        int r;

        ret->handle = virDomainLookupByName(c, name);
        if (!ret->handle) {
                virErrorPtr e = virGetLastError();
                return e && e->code == VIR_ERR_NO_DOMAIN ? 0 : virt_error(reterr, "cannot look up domain '%s'", name);
        }
        r = domain_look(ret, reterr);
        return r < 0 ? r : 1;
}

/* ---- coming into being ---- */

/* libvirt knows best whether its host can do hardware virtualisation. */
static const char *domain_type(virConnectPtr c, const DomainTask *t) {
        if (!streq(t->driver, "qemu"))
                return t->driver;

        _cleanup_free_ char *capabilities = virConnectGetDomainCapabilities(c, NULL, NULL, NULL, "kvm", 0);
        return capabilities ? "kvm" : "qemu";
}

static int make_xml(virConnectPtr c, const DomainTask *t, char **ret, Diag *reterr) {
        if (t->spec.memory_kib == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "memory must be given to create a domain");
        if (t->spec.cpus == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "cpus must be given to create a domain");
        return domain_xml_make(&t->spec, domain_type(c, t), ret, reterr);
}

static int create_transient(virConnectPtr c, const DomainTask *t, const char *xml, Domain *ret, Diag *reterr) {
        bool paused = t->state == DOMAIN_PAUSED;

        ret->handle = virDomainCreateXML(c, xml, paused ? VIR_DOMAIN_START_PAUSED : 0);
        if (!ret->handle && paused && virt_error_is_refusal()) {
                ret->handle = virDomainCreateXML(c, xml, 0);
                if (ret->handle && virDomainSuspend(ret->handle) < 0)
                        return virt_error(reterr, "cannot pause domain");
        }
        return ret->handle ? 0 : virt_error(reterr, "cannot create domain");
}

static int domain_create(virConnectPtr c, const DomainTask *t, Domain *ret, Diag *reterr) {
        _cleanup_free_ char *xml = NULL;
        int r;

        r = make_xml(c, t, &xml, reterr);
        if (r < 0)
                return r;
        if (t->transient)
                r = create_transient(c, t, xml, ret, reterr);
        else {
                ret->handle = virDomainDefineXML(c, xml);
                r = ret->handle ? 0 : virt_error(reterr, "cannot define domain");
        }
        return r < 0 ? r : domain_look(ret, reterr);
}

/* The definition goes or comes; a running domain goes on. After undefining one that does not run, there is none any more. */
static int fix_persistence(virConnectPtr c, DomainTask *t, Domain *d, Diag *reterr) {
        if (d->persistent == !t->transient)
                return 0;
        virt_differs(t->differences, "transient", d->persistent ? "false" : "true", t->transient ? "true" : "false");
        if (!t->apply)
                return 1;

        if (t->transient) {
                if (virDomainUndefine(d->handle) < 0)
                        return virt_error(reterr, "cannot undefine domain");
                if (!d->active) {
                        domain_done(d);
                        return 1;
                }
        } else {
                _cleanup_free_ char *xml = virDomainGetXMLDesc(d->handle, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
                virDomainPtr defined = xml ? virDomainDefineXML(c, xml) : NULL;

                if (!defined)
                        return virt_error(reterr, "cannot define domain");
                (void) virDomainFree(defined);
        }
        int r = domain_look(d, reterr);
        return r < 0 ? r : 1;
}

static int fix_autostart(DomainTask *t, const Domain *d, Diag *reterr) {
        int autostart;

        if (t->autostart < 0 || !d->persistent)
                return 0;
        if (virDomainGetAutostart(d->handle, &autostart) < 0)
                return virt_error(reterr, "cannot read autostart of domain");
        if (!autostart == !t->autostart)
                return 0;
        virt_differs(t->differences, "startup", autostart ? "enabled" : "disabled", t->autostart ? "enabled" : "disabled");
        if (t->apply && virDomainSetAutostart(d->handle, t->autostart) < 0)
                return virt_error(reterr, "cannot set autostart of domain");
        return 1;
}

/* ---- memory ---- */

static int set_memory(const DomainTask *t, const Domain *d, unsigned flags, Diag *reterr) {
        if (virDomainSetMemoryFlags(d->handle, t->spec.memory_kib, flags) < 0)
                return virt_error(reterr, "cannot set memory of domain to %llu KiB", (unsigned long long) t->spec.memory_kib);
        return 0;
}

static const char *definition_of(Domain *d, Diag *reterr) {
        if (!d->definition)
                d->definition = virDomainGetXMLDesc(d->handle, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
        if (!d->definition)
                (void) virt_error(reterr, "cannot read definition of domain");
        return d->definition;
}

/* Whether this is what was found right before; if not, *memo will say so from now on, unless it is set back. */
static bool was_seen(uint64_t *memo, const char *text) {
        uint64_t hash = hash_bytes(text, strlen(text));
        bool same = *memo == hash;

        *memo = hash;
        return same;
}

/* Without a balloon it has all of its maximum. */
static int fix_defined_memory(DomainTask *t, Domain *d, Diag *reterr) {
        const char *xml = definition_of(d, reterr);
        uint64_t wanted = t->spec.memory_kib;
        DomainMemory now;
        int r;

        if (!xml)
                return -EIO;
        if (was_seen(&t->seen.memory, xml))
                return 0;
        r = domain_xml_read_memory(xml, &now, reterr);
        if (r < 0)
                return r;
        bool maximum = now.balloon ? now.maximum_kib < wanted : now.maximum_kib != wanted;
        if (now.current_kib == wanted && !maximum)
                return 0;
        t->seen.memory = 0;
        virt_differs_number(t->differences, "memory", now.current_kib, wanted);
        if (!t->apply)
                return 1;
        free(TAKE_PTR(d->definition));
        if (maximum && now.maximum_kib > wanted)        /* the one may not be below the other */
                r = set_memory(t, d, VIR_DOMAIN_AFFECT_CONFIG, reterr);
        if (r >= 0 && maximum)
                r = set_memory(t, d, VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_MEM_MAXIMUM, reterr);
        if (r >= 0)
                r = set_memory(t, d, VIR_DOMAIN_AFFECT_CONFIG, reterr);
        return r < 0 ? r : 1;
}

static int fix_running_memory(DomainTask *t, Domain *d, Diag *reterr) {
        uint64_t wanted = t->spec.memory_kib;

        if (d->info.memory == wanted) {
                t->requests.memory_kib = 0;
                return 0;
        }
        if (wanted > d->info.maxMem) {
                d->restart_for = "memory";
                return 0;
        }
        virt_differs_number(t->differences, "memory", d->info.memory, wanted);
        if (!t->apply)
                return 1;
        if (t->requests.memory_kib == wanted) {
                d->owes = "memory";
                return 0;
        }
        if (virDomainSetMemoryFlags(d->handle, wanted, VIR_DOMAIN_AFFECT_LIVE) < 0) {
                if (virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID)
                        return virt_error(reterr, "cannot set memory of running domain to %llu KiB", (unsigned long long) wanted);
                d->restart_for = "memory";      /* it has no balloon */
                return 0;
        }
        t->requests.memory_kib = wanted;
        return 1;
}

static int fix_memory(DomainTask *t, Domain *d, Diag *reterr) {
        int changed = 0, r;

        if (t->spec.memory_kib == 0)
                return 0;
        if (d->persistent) {
                r = fix_defined_memory(t, d, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        if (d->active) {
                r = fix_running_memory(t, d, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        return changed;
}

/* ---- what it consists of ---- */

static void tell_differences(DomainTask *t, const DomainDifferences *list) {
        for (size_t i = 0; i < list->n; i++)
                virt_differs(t->differences, list->items[i].field, list->items[i].from, list->items[i].to);
}

static int fix_definition(virConnectPtr c, DomainTask *t, Domain *d, Diag *reterr) {
        _cleanup_(domain_differences_done) DomainDifferences list = {};
        const char *now = definition_of(d, reterr);
        _cleanup_free_ char *xml = NULL;
        virDomainPtr defined;
        int r;

        if (!now)
                return -EIO;
        if (was_seen(&t->seen.definition, now))
                return 0;
        r = domain_xml_change(now, &t->spec, &list, &xml, reterr);
        if (r >= 0 && !xml)
                return 0;
        t->seen.definition = 0;
        if (r < 0)
                return r;
        tell_differences(t, &list);
        if (!t->apply)
                return 1;
        free(TAKE_PTR(d->definition));
        defined = virDomainDefineXML(c, xml);
        if (!defined)
                return virt_error(reterr, "cannot change definition of domain");
        (void) virDomainFree(defined);
        return 1;
}

/* Whether it could be brought to a running domain. Why not is worth nothing: a restart can. */
static bool bring(const Domain *d, const DomainDifference *difference) {
        switch (difference->how) {
        case DOMAIN_ATTACH:
                return virDomainAttachDeviceFlags(d->handle, difference->device, VIR_DOMAIN_AFFECT_LIVE) >= 0;
        case DOMAIN_UPDATE:
                return virDomainUpdateDeviceFlags(d->handle, difference->device, VIR_DOMAIN_AFFECT_LIVE) >= 0;
        default:
                return false;
        }
}

static int fix_running_devices(DomainTask *t, Domain *d, Diag *reterr) {
        _cleanup_(domain_differences_done) DomainDifferences list = {};
        _cleanup_free_ char *now = virDomainGetXMLDesc(d->handle, 0), *unused = NULL;
        int changed = 0, r;

        if (!now)
                return virt_error(reterr, "cannot read domain");
        if (was_seen(&t->seen.running, now))
                return 0;
        r = domain_xml_change(now, &t->spec, &list, &unused, reterr);
        if (r < 0 || list.n > 0)
                t->seen.running = 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < list.n; i++) {
                const DomainDifference *difference = list.items + i;

                if (difference->how == DOMAIN_COLD || (t->apply && !bring(d, difference))) {
                        d->restart_for = difference->field;
                        continue;
                }
                virt_differs(t->differences, difference->field, difference->from, difference->to);
                changed = 1;
        }
        return changed;
}

/* A spec without any of it has nothing to compare. */
static bool says_makeup(const DomainSpec *s) {
        return (s->boot && s->boot[0]) || s->osinit[0] || s->n_disks + s->n_cdroms + s->n_networks + s->n_filesystems > 0;
}

static int fix_makeup(virConnectPtr c, DomainTask *t, Domain *d, Diag *reterr) {
        int changed = 0, r;

        if (!says_makeup(&t->spec))
                return 0;
        if (d->persistent) {
                r = fix_definition(c, t, d, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        if (d->active) {
                r = fix_running_devices(t, d, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        return changed;
}

/* ---- cpus ---- */

static void needs_restart(Domain *d, const char *what, const Diag *why) {
        d->restart_for = what;
        (void) snprintf(d->restart_because, sizeof(d->restart_because), "%s", why && why->message ? why->message : "");
}

static int set_cpus(const Domain *d, unsigned cpus, unsigned flags, Diag *reterr) {
        int r = virDomainSetVcpusFlags(d->handle, cpus, flags);

        if (r < 0 && (flags & VIR_DOMAIN_VCPU_HOTPLUGGABLE) && virt_error_is_refusal())
                r = virDomainSetVcpusFlags(d->handle, cpus, flags & ~VIR_DOMAIN_VCPU_HOTPLUGGABLE);
        return r < 0 ? virt_error(reterr, "cannot set number of cpus of domain to %u", cpus) : 0;
}

static int get_cpus(const Domain *d, unsigned flags, Diag *reterr) {
        int n = virDomainGetVcpusFlags(d->handle, flags);

        return n < 0 ? virt_error(reterr, "cannot read number of cpus of domain") : n;
}

static bool is_right_maximum(const DomainTask *t, int n) {
        return t->spec.hotcpus ? (unsigned) n == t->spec.maxcpus : (unsigned) n >= t->spec.cpus;
}

/* The library refuses a maximum below the current number, so that goes down first. */
static int define_max_cpus(const DomainTask *t, const Domain *d, Diag *reterr) {
        unsigned wanted = t->spec.hotcpus ? t->spec.maxcpus : t->spec.cpus;
        int r = get_cpus(d, VIR_DOMAIN_AFFECT_CONFIG, reterr);

        if (r >= 0 && (unsigned) r > wanted)
                r = set_cpus(d, wanted, VIR_DOMAIN_AFFECT_CONFIG, reterr);
        return r < 0 ? r : set_cpus(d, wanted, VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_VCPU_MAXIMUM, reterr);
}

/* The number of slots. In a running domain it cannot change, but in its definition. */
static int fix_max_cpus(DomainTask *t, Domain *d, Diag *reterr) {
        int changed = 0, r;

        if (t->spec.cpus == 0)
                return 0;
        if (d->persistent) {
                r = get_cpus(d, VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_VCPU_MAXIMUM, reterr);
                if (r < 0)
                        return r;
                changed = !is_right_maximum(t, r);
                if (changed)
                        virt_differs_number(t->differences, "maxcpus", (unsigned) r, t->spec.hotcpus ? t->spec.maxcpus : t->spec.cpus);
                if (changed && t->apply) {
                        r = define_max_cpus(t, d, reterr);
                        if (r < 0)
                                return r;
                }
        }
        if (d->active) {
                r = get_cpus(d, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_VCPU_MAXIMUM, reterr);
                if (r < 0)
                        return r;
                d->live_maximum = r;
                if (!is_right_maximum(t, r))
                        d->restart_for = t->spec.hotcpus ? "maxcpus" : "cpus";
        }
        return changed;
}

/* In one of the two: what runs now, and the definition. */
static int fix_cpus_of(DomainTask *t, const Domain *d, unsigned scope, Diag *reterr) {
        int r = get_cpus(d, scope, reterr);

        if (r < 0 || (unsigned) r == t->spec.cpus)
                return MIN(r, 0);
        virt_differs_number(t->differences, "cpus", (unsigned) r, t->spec.cpus);
        if (!t->apply)
                return 1;
        r = set_cpus(d, t->spec.cpus, scope | (t->spec.hotcpus ? VIR_DOMAIN_VCPU_HOTPLUGGABLE : 0), reterr);
        return r < 0 ? r : 1;
}

/* The guest has to let go of them, and libvirt waits for it. */
static int fix_running_cpus(DomainTask *t, Domain *d, Diag *reterr) {
        DomainRequests *asked = &t->requests;
        int n = get_cpus(d, VIR_DOMAIN_AFFECT_LIVE, reterr), r;

        if (n < 0)
                return n;
        if (asked->cpus_to == t->spec.cpus && asked->cpus_from == (unsigned) n && (unsigned) n != t->spec.cpus) {
                virt_differs_number(t->differences, "cpus", (unsigned) n, t->spec.cpus);
                d->owes = "cpus";
                return t->apply ? 0 : 1;
        }
        asked->cpus_from = asked->cpus_to = 0;
        r = fix_cpus_of(t, d, VIR_DOMAIN_AFFECT_LIVE, reterr);
        if (r == -ETIMEDOUT) {
                asked->cpus_from = (unsigned) n;
                asked->cpus_to = t->spec.cpus;
                d->owes = "cpus";
        } else if (r < 0 && !virt_is_overtaken(r))
                needs_restart(d, "cpus", reterr);
        else
                return r;
        diag_done(reterr);
        return 0;
}

static int fix_cpus(DomainTask *t, Domain *d, Diag *reterr) {
        int changed = 0, r;

        if (t->spec.cpus == 0)
                return 0;
        if (d->persistent) {
                r = fix_cpus_of(t, d, VIR_DOMAIN_AFFECT_CONFIG, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        if (d->active && t->spec.cpus <= (unsigned) d->live_maximum) {  /* else it takes a restart, as fix_max_cpus() has noted */
                r = fix_running_cpus(t, d, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        return changed;
}

/* Inside of the guest, as far as there is an agent to ask. A silent one must not keep a machine from being stopped. */
static int fix_online_cpus(DomainTask *t, const Domain *d, Diag *reterr) {
        if (t->state == DOMAIN_SHUTOFF || t->state == DOMAIN_PAUSED)
                return 0;
        if (!t->spec.hotcpus || t->spec.cpus == 0 || d->info.state != VIR_DOMAIN_RUNNING)
                return 0;

        _cleanup_free_ char *xml = virDomainGetXMLDesc(d->handle, 0);
        if (!xml || !domain_xml_has_agent(xml))
                return 0;
        (void) virDomainAgentSetResponseTimeout(d->handle, AGENT_SECONDS, 0);
        int n = get_cpus(d, VIR_DOMAIN_VCPU_GUEST, reterr);
        if (n < 0 || (unsigned) n == t->spec.cpus)
                return MIN(n, 0);
        virt_differs_number(t->differences, "cpus", (unsigned) n, t->spec.cpus);
        if (!t->apply)
                return 1;
        n = set_cpus(d, t->spec.cpus, VIR_DOMAIN_VCPU_GUEST, reterr);
        return n < 0 ? n : 1;
}

static int fix_attributes(virConnectPtr c, DomainTask *t, Domain *d, Diag *reterr) {
        int changed = 0, r;

        d->restart_for = d->owes = NULL;
        d->restart_because[0] = 0;
        r = fix_makeup(c, t, d, reterr);
        if (r < 0)
                return r;
        changed |= r;
        r = fix_memory(t, d, reterr);
        if (r < 0)
                return r;
        changed |= r;
        r = fix_max_cpus(t, d, reterr);
        if (r < 0)
                return r;
        changed |= r;
        r = fix_cpus(t, d, reterr);
        if (r < 0)
                return r;
        changed |= r;
        r = fix_online_cpus(t, d, reterr);
        return r < 0 ? r : changed | r;
}

/* ---- state ---- */

static int domain_start(Domain *d, bool paused, Diag *reterr) {
        int r = virDomainCreateWithFlags(d->handle, paused ? VIR_DOMAIN_START_PAUSED : 0);

        if (r < 0 && paused && virt_error_is_refusal()) {
                r = virDomainCreate(d->handle);
                if (r >= 0)
                        r = virDomainSuspend(d->handle);
        }
        return r < 0 ? virt_error(reterr, "cannot start domain") : 1;
}

static int domain_stop(const DomainTask *t, Domain *d, Diag *reterr) {
        if (virDomainDestroy(d->handle) < 0)
                return virt_error(reterr, "cannot stop domain");
        if (!d->persistent)
                domain_done(d);         /* that was all of it */
        return 1;
}

static int domain_run(Domain *d, Diag *reterr) {
        int r;

        switch (d->info.state) {
        case VIR_DOMAIN_PMSUSPENDED:
                r = virDomainPMWakeup(d->handle, 0);
                break;
        case VIR_DOMAIN_CRASHED:        /* kept for its dump */
                r = virDomainDestroy(d->handle);
                if (r >= 0 && d->persistent)
                        r = virDomainCreate(d->handle);
                break;
        default:
                r = virDomainResume(d->handle);
        }
        return r < 0 ? virt_error(reterr, "cannot resume domain") : 1;
}

static const char *state_text(const Domain *d) {
        static const char *const words[] = {
                [VIR_DOMAIN_NOSTATE] = "unknown", [VIR_DOMAIN_RUNNING] = "running", [VIR_DOMAIN_BLOCKED] = "running",
                [VIR_DOMAIN_PAUSED] = "paused", [VIR_DOMAIN_SHUTDOWN] = "shutting down", [VIR_DOMAIN_SHUTOFF] = "shutoff",
                [VIR_DOMAIN_CRASHED] = "crashed", [VIR_DOMAIN_PMSUSPENDED] = "suspended",
        };

        return d->info.state < ELEMENTSOF(words) ? words[d->info.state] : "unknown";
}

static int fix_state(DomainTask *t, Domain *d, Diag *reterr) {
        int state = d->info.state;

        /* "blocked" is a domain that runs and waits for something; only Xen ever says so */
        if (t->state == DOMAIN_ANY ||
            (t->state == DOMAIN_RUNNING && (state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED)) ||
            (t->state == DOMAIN_PAUSED && state == VIR_DOMAIN_PAUSED) ||
            (t->state == DOMAIN_SHUTOFF && !d->active))
                return 0;
        virt_differs(t->differences, "state", state_text(d), domain_state_name(t->state));
        if (!t->apply)
                return 1;

        if (t->state == DOMAIN_SHUTOFF)
                return domain_stop(t, d, reterr);
        if (!d->active)
                return domain_start(d, t->state == DOMAIN_PAUSED, reterr);
        if (state == VIR_DOMAIN_SHUTDOWN)
                return diag_set(reterr, (Pos) {}, -EAGAIN, "domain is shutting down");
        if (t->state == DOMAIN_RUNNING)
                return domain_run(d, reterr);
        return virDomainSuspend(d->handle) < 0 ? virt_error(reterr, "cannot pause domain") : 1;
}

/* ---- restarts ---- */

/* The second half: it was asked to shut down. */
static int finish_restart(DomainTask *t, Domain *d, Diag *reterr) {
        int r;

        virt_differs(t->differences, "restart", NULL, "to be finished");
        if (!t->apply)
                return 1;
        if (d->active && !t->force)
                return diag_set(reterr, (Pos) {}, -EAGAIN, "domain is shutting down for a restart");
        if (d->active) {
                r = domain_stop(t, d, reterr);
                if (r < 0)
                        return r;
        }
        t->stopping = false;
        return d->handle ? domain_start(d, t->state == DOMAIN_PAUSED, reterr) : 1;
}

static int shut_down(DomainTask *t, virDomainPtr domain, Diag *reterr) {
        if (virDomainShutdown(domain) < 0)
                return virt_error(reterr, "cannot shut down domain for a restart");
        t->stopping = true;
        return 1;
}

int domain_shut_down(virConnectPtr c, DomainTask *t, Diag *reterr) {
        virDomainPtr domain = virDomainLookupByName(c, t->spec.name);
        int r;

        if (!domain)
                return virt_error(reterr, "cannot look up domain '%s'", t->spec.name);
        r = shut_down(t, domain, reterr);
        (void) virDomainFree(domain);
        return r < 0 ? r : CHECK_CHANGED;
}

static int begin_restart(DomainTask *t, Domain *d, Diag *reterr) {
        _cleanup_free_ char *xml = virDomainGetXMLDesc(d->handle, 0);

        if (!xml || !domain_xml_has_agent(xml))
                return shut_down(t, d->handle, reterr);
        (void) virDomainAgentSetResponseTimeout(d->handle, AGENT_SECONDS, 0);
        t->to_stop = true;
        return 1;
}

static int fix_restart(DomainTask *t, Domain *d, Diag *reterr) {
        bool needed = d->restart_for && t->restart != DOMAIN_RESTART_IGNORE;

        if (!d->active || t->state == DOMAIN_SHUTOFF || t->stopping || !(needed || t->restart_now))
                return 0;
        if (t->restart_now || t->restart == DOMAIN_RESTART_IFNEEDED) {
                char why[64];
                (void) snprintf(why, sizeof(why), "because of %s", t->restart_now ? "a notification" : d->restart_for);
                virt_differs(t->differences, "restart", NULL, why);
                return t->apply ? begin_restart(t, d, reterr) : 1;
        }
        return diag_set(reterr, (Pos) {}, -EBUSY, "%s can only change with a restart of the domain, which restartondiverge "
                        "does not allow%s%s", d->restart_for, d->restart_because[0] ? ": " : "", d->restart_because);
}

/* ---- all of it ---- */

/* One that was just created consists of what it shall. */
static int fix_existing(virConnectPtr c, DomainTask *t, Domain *d, bool created, Diag *reterr) {
        int changed = 0, r;

        r = fix_persistence(c, t, d, reterr);
        if (r < 0 || !d->handle)
                return r;
        changed |= r;

        r = fix_autostart(t, d, reterr);
        if (r < 0)
                return r;
        changed |= r;

        if (t->stopping) {
                r = finish_restart(t, d, reterr);
                if (r < 0 || !d->handle)
                        return r;
                changed |= r;
                r = domain_look(d, reterr);
                if (r < 0)
                        return r;
        }

        if (!created) {
                r = fix_attributes(c, t, d, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        r = fix_state(t, d, reterr);
        if (r < 0 || !d->handle)
                return r;
        changed |= r;

        if (t->apply && (changed || created)) {              /* a domain that has just been started may differ from its definition */
                r = domain_look(d, reterr);
                if (r >= 0)
                        r = fix_attributes(c, t, d, reterr);
                if (r < 0)
                        return r;
        }
        r = fix_restart(t, d, reterr);
        if (r == 0 && !changed && d->owes)
                return diag_set(reterr, (Pos) {}, -EAGAIN, "the guest was asked for other %s and has not followed yet", d->owes);
        return r < 0 ? r : changed | r;
}

static int attempt(virConnectPtr c, DomainTask *t, Diag *reterr) {
        _cleanup_(domain_done) Domain d = {};
        bool absent = t->transient && t->state == DOMAIN_SHUTOFF, changed = false, created = false;
        int r;

        /* twice at most: a persistent one that is to be transient may have to vanish before it can come back */
        for (unsigned i = 0; i < 2; i++) {
                r = domain_find(c, t->spec.name, &d, reterr);
                if (r < 0)
                        return r;
                if (r == 0) {
                        t->stopping = false;
                        if (absent)
                                return changed ? CHECK_CHANGED : CHECK_OK;
                        differs_new(t);
                        if (!t->apply)
                                return CHECK_CHANGED;
                        r = domain_create(c, t, &d, reterr);
                        if (r < 0)
                                return r;
                        changed = created = true;
                }

                r = fix_existing(c, t, &d, created, reterr);
                if (r < 0)
                        return r;
                changed = changed || r > 0;
                if (d.handle)
                        break;
        }
        return changed ? CHECK_CHANGED : CHECK_OK;
}

int domain_check_apply(virConnectPtr c, DomainTask *t, Diag *reterr) {
        int r = attempt(c, t, reterr);

        for (unsigned i = 0; virt_is_overtaken(r) && i < VIRT_OVERTAKEN_MAX; i++) {
                diag_done(reterr);
                differences_done(t->differences);
                r = attempt(c, t, reterr);
        }
        return r;
}
