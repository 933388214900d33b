/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every step below returns 1 if something was wrong (and, with apply, is right now), 0 if not, or negative errno.
 *
 * A network is stopped and started again only if it is to be up and what it is made of was wrong: machines on it lose their
 * connection by that. Entries of DHCP change without. */

#include <stdio.h>
#include <strings.h>

#include <libvirt/virterror.h>

#include "common/macro.h"
#include "common/resource.h"
#include "daemons/virt/attempt.h"
#include "daemons/virt/network.h"

typedef struct Network {
        virNetworkPtr handle;
        bool active, persistent;
        bool one_view;          /* the driver does not tell the definition of one that runs */
} Network;

static void network_done(Network *n) {
        if (n->handle)
                (void) virNetworkFree(n->handle);
        *n = (Network) {};
}

/* As the field says it. */
static const char *network_state_name(NetworkState s) {
        static const char *const words[_NETWORK_STATE_MAX] = { "", "up", "down" };

        return words[s];
}

NetworkState network_state_from_name(const char *s) {
        for (int i = 0; i < _NETWORK_STATE_MAX; i++)
                if (streq(network_state_name((NetworkState) i), s))
                        return (NetworkState) i;
        return _NETWORK_STATE_INVALID;
}

static int network_look(Network *n, Diag *reterr) {
        int active = virNetworkIsActive(n->handle), persistent = virNetworkIsPersistent(n->handle);

        if (active < 0 || persistent < 0)
                return virt_error(reterr, "cannot look at network");
        n->active = active;
        n->persistent = persistent;
        return 0;
}

/* 0 if there is none. */
static int network_find(virConnectPtr c, const char *name, Network *ret, Diag *reterr) {
        int r;

        ret->handle = virNetworkLookupByName(c, name);
        if (!ret->handle) {
                virErrorPtr e = virGetLastError();
                return e && e->code == VIR_ERR_NO_NETWORK ? 0 : virt_error(reterr, "cannot look up network '%s'", name);
        }
        r = network_look(ret, reterr);
        return r < 0 ? r : 1;
}

/* Takes the place of what n was. */
static int network_take(Network *n, virNetworkPtr handle, Diag *reterr, const char *what) {
        bool one_view = n->one_view;

        if (!handle)
                return virt_error(reterr, "cannot %s network", what);
        network_done(n);
        *n = (Network) { .handle = handle, .one_view = one_view };
        return network_look(n, reterr);
}

static int network_define(virConnectPtr c, Network *n, const char *xml, Diag *reterr) {
        return network_take(n, virNetworkDefineXML(c, xml), reterr, "define");
}

static int network_start(Network *n, Diag *reterr) {
        if (virNetworkCreate(n->handle) < 0)
                return virt_error(reterr, "cannot start network");
        n->active = true;
        return 1;
}

static int network_stop(Network *n, Diag *reterr) {
        if (virNetworkDestroy(n->handle) < 0)
                return virt_error(reterr, "cannot stop network");
        n->active = false;
        if (!n->persistent)
                network_done(n);        /* that was all of it */
        return 1;
}

/* A driver that cannot do it to one that runs has it stopped first. */
static int network_undefine(Network *n, Diag *reterr) {
        int r = virNetworkUndefine(n->handle);

        if (r < 0 && n->active && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID) {
                r = network_stop(n, reterr);
                if (r < 0)
                        return r;
                r = virNetworkUndefine(n->handle);
        }
        if (r < 0)
                return virt_error(reterr, "cannot undefine network");
        n->persistent = false;
        if (!n->active)
                network_done(n);
        return 1;
}

/* ---- coming and going ---- */

static bool is_wanted(const NetworkTask *t) {
        return !t->transient || t->state != NETWORK_DOWN;
}

/* What is too much. */
static int fix_surplus(NetworkTask *t, Network *n, Diag *reterr) {
        int changed = 0, r;

        if (n->active && t->state == NETWORK_DOWN) {
                virt_differs(t->differences, "state", "up", "down");
                changed = 1;
                r = t->apply ? network_stop(n, reterr) : 0;
                if (r < 0)
                        return r;
        }
        if (n->handle && n->persistent && t->transient) {
                virt_differs(t->differences, "transient", "false", "true");
                changed = 1;
                r = t->apply ? network_undefine(n, reterr) : 0;
                if (r < 0)
                        return r;
        }
        return changed;
}

static int network_create(virConnectPtr c, const NetworkTask *t, Network *n, Diag *reterr) {
        _cleanup_free_ char *xml = NULL;
        int r;

        r = network_xml_make(&t->spec, &xml, reterr);
        if (r < 0)
                return r;
        if (t->transient)
                return network_take(n, virNetworkCreateXML(c, xml), reterr, "create");
        r = network_define(c, n, xml, reterr);
        return r >= 0 && t->state == NETWORK_UP ? network_start(n, reterr) : r;
}

static int fix_absence(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        const char *state = t->state == NETWORK_ANY ? t->transient ? "up" : "defined" : network_state_name(t->state);
        int r;

        virt_differs(t->differences, "state", "absent", state);
        if (!t->apply)
                return 1;
        r = network_create(c, t, n, reterr);
        return r < 0 ? r : 1;
}

/* One that runs without a definition gets its own as one. */
static int fix_persistence(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        _cleanup_free_ char *xml = NULL;
        int r;

        if (n->persistent || t->transient)
                return 0;
        virt_differs(t->differences, "transient", "true", "false");
        if (!t->apply)
                return 1;
        xml = virNetworkGetXMLDesc(n->handle, 0);
        if (!xml)
                return virt_error(reterr, "cannot read network");
        r = network_define(c, n, xml, reterr);
        return r < 0 ? r : 1;
}

/* ---- what it is made of ---- */

static int network_read(Network *n, bool inactive, char **ret, Diag *reterr) {
        *ret = NULL;
        if (inactive && !n->one_view) {
                *ret = virNetworkGetXMLDesc(n->handle, VIR_NETWORK_XML_INACTIVE);
                n->one_view = !*ret && virt_error_is_refusal();
        }
        if (!*ret && (!inactive || n->one_view))
                *ret = virNetworkGetXMLDesc(n->handle, 0);
        return *ret ? 0 : virt_error(reterr, "cannot read network");
}

/* NULL in *ret: that is as it should be. */
static int compare(NetworkTask *t, Network *n, bool inactive, char **ret, bool *ret_identity, Diag *reterr) {
        _cleanup_free_ char *now = NULL;
        int r;

        *ret = NULL;
        r = network_read(n, inactive, &now, reterr);
        if (r < 0 || (inactive && n->one_view && n->active))
                return r;
        return network_xml_change(now, &t->spec, t->differences, ret, ret_identity, reterr);
}

/* One that ran runs again, and one that starts with its host does so from here on as well. */
static int apply_definition(virConnectPtr c, Network *n, const char *xml, bool identity, Diag *reterr) {
        bool active = n->active;
        int autostart = 0, r;

        if (!identity)
                return network_define(c, n, xml, reterr);
        if (virNetworkGetAutostart(n->handle, &autostart) < 0)
                return virt_error(reterr, "cannot read autostart of network");
        if (active) {
                r = network_stop(n, reterr);
                if (r < 0)
                        return r;
        }
        r = network_undefine(n, reterr);
        if (r >= 0)
                r = network_define(c, n, xml, reterr);
        if (r >= 0 && autostart && virNetworkSetAutostart(n->handle, 1) < 0)
                r = virt_error(reterr, "cannot set autostart of network");
        return r >= 0 && active ? network_start(n, reterr) : r;
}

static int restart(virConnectPtr c, Network *n, const char *xml, bool identity, Diag *reterr) {
        bool persistent = n->persistent, one_view = n->one_view;
        int r;

        r = network_stop(n, reterr);
        if (r < 0)
                return r;
        if (!persistent)
                return network_take(n, virNetworkCreateXML(c, xml), reterr, "create");
        if (one_view)
                r = apply_definition(c, n, xml, identity, reterr);
        return r < 0 ? r : network_start(n, reterr);
}

static int fix_definition(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        _cleanup_free_ char *xml = NULL;
        bool identity;
        int r;

        r = compare(t, n, true, &xml, &identity, reterr);
        if (r < 0 || !xml)
                return r;
        r = t->apply ? apply_definition(c, n, xml, identity, reterr) : 0;
        return r < 0 ? r : 1;
}

/* After a restart it must be right: else it would be restarted again and again. */
static int fix_running(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        _cleanup_free_ char *xml = NULL, *still = NULL;
        bool identity;
        int r;

        r = compare(t, n, false, &xml, &identity, reterr);
        if (r < 0 || !xml || !t->apply)
                return r < 0 ? r : xml != NULL;
        r = restart(c, n, xml, identity, reterr);
        if (r >= 0)
                r = compare(t, n, false, &still, &identity, reterr);
        if (r >= 0 && still)
                r = diag_set(reterr, (Pos) {}, -EIO, "libvirt has started the network differently from its definition");
        return r < 0 ? r : 1;
}

static int fix_base(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        int changed = 0, r;

        if (n->persistent && !t->transient) {
                r = fix_definition(c, t, n, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        if (n->active && (t->state == NETWORK_UP || t->transient)) {
                r = fix_running(c, t, n, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        return changed;
}

/* ---- entries of DHCP ---- */

typedef struct Update {
        NetworkTask *task;
        const Network *network;
        unsigned scope;         /* VIR_NETWORK_UPDATE_AFFECT_… */
        int index;              /* of the address */
        NetworkEntries now;
        int changed;
} Update;

static int update(Update *u, unsigned command, unsigned section, const char *xml, Diag *reterr) {
        if (virNetworkUpdate(u->network->handle, command, section, u->index, xml, u->scope) < 0)
                return virt_error(reterr, "cannot update network with %s", xml);
        return 0;
}

static char *host_text(const NetworkHost *h) {
        char address[IPV4_TEXT_MAX];
        char *text;

        return asprintf(&text, "%s %s%s%s", h->mac, ipv4_text(h->address, address), h->name[0] ? " " : "", h->name) < 0 ? NULL : text;
}

static int update_host(Update *u, unsigned command, const NetworkHost *from, const NetworkHost *to, Diag *reterr) {
        _cleanup_free_ char *a = from ? host_text(from) : NULL, *b = to ? host_text(to) : NULL, *xml = NULL;
        int r;

        u->changed = 1;
        virt_differs(u->task->differences, "host", a, b);
        if (!u->task->apply)
                return 0;
        r = network_host_xml(to ? to : from, &xml, reterr);
        return r < 0 ? r : update(u, command, VIR_NETWORK_SECTION_IP_DHCP_HOST, xml, reterr);
}

static int update_range(Update *u, unsigned command, const NetworkRange *range, Diag *reterr) {
        char start[IPV4_TEXT_MAX], end[IPV4_TEXT_MAX], text[2 * IPV4_TEXT_MAX + 1];
        bool goes = command == VIR_NETWORK_UPDATE_COMMAND_DELETE;
        _cleanup_free_ char *xml = NULL;
        int r;

        (void) snprintf(text, sizeof(text), "%s-%s", ipv4_text(range->start, start), ipv4_text(range->end, end));
        u->changed = 1;
        virt_differs(u->task->differences, "range", goes ? text : NULL, goes ? NULL : text);
        if (!u->task->apply)
                return 0;
        r = network_range_xml(range, &xml, reterr);
        return r < 0 ? r : update(u, command, VIR_NETWORK_SECTION_IP_DHCP_RANGE, xml, reterr);
}

static const NetworkHost *host_of_mac(const NetworkEntries *e, const char *mac) {
        for (size_t i = 0; i < e->n_hosts; i++)
                if (strcasecmp(e->hosts[i].mac, mac) == 0)
                        return e->hosts + i;
        return NULL;
}

/* It has what another host is to have. Such a one goes even where others may stay: there is no way to have both. */
static bool host_is_in_the_way(const NetworkEntries *wanted, const NetworkHost *h) {
        for (size_t i = 0; i < wanted->n_hosts; i++) {
                const NetworkHost *w = wanted->hosts + i;
                if (strcasecmp(w->mac, h->mac) != 0 && (w->address == h->address || (h->name[0] && streq(w->name, h->name))))
                        return true;
        }
        return false;
}

static bool same_host(const NetworkHost *a, const NetworkHost *b) {
        return a->address == b->address && streq(a->name, b->name) && streq(a->mac, b->mac);
}

/* One of ours that is in the way of another goes as well, and comes again: libvirt modifies the first entry that has any of what it is
 * told, the address among it. */
static bool host_goes(const Update *u, const NetworkHost *h) {
        const NetworkEntries *wanted = &u->task->spec.entries;
        const NetworkHost *ours = host_of_mac(wanted, h->mac);

        if (!ours)
                return u->task->purge_hosts || host_is_in_the_way(wanted, h);
        return host_of_mac(&u->now, h->mac) != h || (!same_host(h, ours) && host_is_in_the_way(wanted, h));
}

static bool has_range(const NetworkEntries *e, const NetworkRange *range) {
        for (size_t i = 0; i < e->n_ranges; i++)
                if (e->ranges[i].start == range->start && e->ranges[i].end == range->end)
                        return true;
        return false;
}

static bool range_is_in_the_way(const NetworkEntries *wanted, const NetworkRange *range) {
        for (size_t i = 0; i < wanted->n_ranges; i++)
                if (range->start <= wanted->ranges[i].end && wanted->ranges[i].start <= range->end)
                        return true;
        return false;
}

/* What goes makes room for what comes. */
static int fix_hosts(Update *u, Diag *reterr) {
        const NetworkEntries *wanted = &u->task->spec.entries;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < u->now.n_hosts; i++) {
                const NetworkHost *h = u->now.hosts + i;
                if (host_goes(u, h))
                        r = update_host(u, VIR_NETWORK_UPDATE_COMMAND_DELETE, h, NULL, reterr);
        }
        for (size_t i = 0; r >= 0 && i < wanted->n_hosts; i++) {
                const NetworkHost *h = wanted->hosts + i, *now = host_of_mac(&u->now, h->mac);
                if (!now || host_goes(u, now))
                        r = update_host(u, VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, NULL, h, reterr);
                else if (!same_host(now, h))
                        r = update_host(u, VIR_NETWORK_UPDATE_COMMAND_MODIFY, now, h, reterr);
        }
        return r;
}

static int fix_ranges(Update *u, Diag *reterr) {
        const NetworkEntries *wanted = &u->task->spec.entries;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < u->now.n_ranges; i++) {
                const NetworkRange *range = u->now.ranges + i;
                if (!has_range(wanted, range) && (u->task->purge_ranges || range_is_in_the_way(wanted, range)))
                        r = update_range(u, VIR_NETWORK_UPDATE_COMMAND_DELETE, range, reterr);
        }
        for (size_t i = 0; r >= 0 && i < wanted->n_ranges; i++)
                if (!has_range(&u->now, wanted->ranges + i))
                        r = update_range(u, VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, wanted->ranges + i, reterr);
        return r;
}

/* Of the definition, or of what runs, or of both at once. One whose address is another yet (with apply false, or because it may not
 * be restarted) has no place for them. */
static int fix_entries_of(NetworkTask *t, Network *n, unsigned scope, Diag *reterr) {
        Update u = { .task = t, .network = n, .scope = scope };
        _cleanup_free_ char *xml = NULL;
        int r;

        r = network_read(n, scope == VIR_NETWORK_UPDATE_AFFECT_CONFIG, &xml, reterr);
        if (r < 0)
                return r;
        r = network_xml_read_entries(xml, &t->spec, &u.now, &u.index, reterr);
        if (r == -ENOENT || r == -ENOTUNIQ)
                return 0;
        if (r >= 0)
                r = fix_ranges(&u, reterr);
        if (r >= 0)
                r = fix_hosts(&u, reterr);
        network_entries_done(&u.now);
        return r < 0 ? r : u.changed;
}

static int fix_entries(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        bool live = n->active && t->state != NETWORK_DOWN, config = n->persistent && !t->transient;
        int changed = 0, r;

        if (live && config && n->one_view)
                return fix_entries_of(t, n, VIR_NETWORK_UPDATE_AFFECT_LIVE | VIR_NETWORK_UPDATE_AFFECT_CONFIG, reterr);
        if (config) {
                r = fix_entries_of(t, n, VIR_NETWORK_UPDATE_AFFECT_CONFIG, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        if (live) {
                r = fix_entries_of(t, n, VIR_NETWORK_UPDATE_AFFECT_LIVE, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        return changed;
}

/* ---- the rest ---- */

static int fix_inactivity(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        if (t->state != NETWORK_UP || n->active)
                return 0;
        virt_differs(t->differences, "state", "down", "up");
        return t->apply ? network_start(n, reterr) : 1;
}

static int fix_autostart(virConnectPtr c, NetworkTask *t, Network *n, Diag *reterr) {
        int autostart;

        if (t->autostart < 0 || !n->persistent)
                return 0;
        if (virNetworkGetAutostart(n->handle, &autostart) < 0)
                return virt_error(reterr, "cannot read autostart of network");
        if (!autostart == !t->autostart)
                return 0;
        virt_differs(t->differences, "startup", autostart ? "enabled" : "disabled", t->autostart ? "enabled" : "disabled");
        if (t->apply && virNetworkSetAutostart(n->handle, t->autostart) < 0)
                return virt_error(reterr, "cannot set autostart of network");
        return 1;
}

static int attempt(virConnectPtr c, NetworkTask *t, Diag *reterr) {
        static int (*const steps[])(virConnectPtr, NetworkTask *, Network *, Diag *) = {
                fix_persistence, fix_base, fix_entries, fix_inactivity, fix_autostart,
        };
        _cleanup_(network_done) Network n = {};
        int changed = 0, r;

        r = network_find(c, t->spec.name, &n, reterr);
        if (r > 0) {
                r = fix_surplus(t, &n, reterr);
                changed |= r > 0;
        }
        if (r < 0)
                return r;

        if (!n.handle && is_wanted(t)) {
                r = fix_absence(c, t, &n, reterr);
                if (r < 0)
                        return r;
                changed = 1;
        }
        for (size_t i = 0; n.handle && is_wanted(t) && i < ELEMENTSOF(steps); i++) {
                r = steps[i](c, t, &n, reterr);
                if (r < 0)
                        return r;
                changed |= r;
        }
        return changed ? CHECK_CHANGED : CHECK_OK;
}

int network_check_apply(virConnectPtr c, NetworkTask *t, Diag *reterr) {
        int r = attempt(c, t, reterr);

        for (unsigned i = 0; virt_is_overtaken(r) && i < VIRT_OVERTAKEN_MAX; i++) {
                diag_done(reterr);
                differences_done(t->differences);
                r = attempt(c, t, reterr);
        }
        return r;
}
