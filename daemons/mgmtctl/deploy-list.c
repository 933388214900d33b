/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/deploy-list.h"
#include "daemons/mgmtctl/output.h"

static int read_rows(DeployList *l, sd_bus_message *m) {
        int r = sd_bus_message_enter_container(m, 'a', "(ttttsbs)");

        while (r >= 0) {
                DeployRow row = {}, *grown;
                const char *source, *hosts;
                int is_signed;

                r = sd_bus_message_read(m, "(ttttsbs)", &row.id, &row.time_usec, &row.n_files, &row.size_bytes, &source, &is_signed,
                                        &hosts);
                if (r <= 0)
                        break;
                grown = reallocarray(l->rows, l->n + 1, sizeof(*l->rows));
                if (!grown)
                        return -ENOMEM;
                l->rows = grown;
                row.is_signed = is_signed;
                row.source = strdup(source);
                row.hosts = strdup(hosts);
                l->rows[l->n++] = row;
                if (!row.source || !row.hosts)
                        return -ENOMEM;
        }
        return r;
}

static int read_in_force(DeployList *l, sd_bus *bus, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = bus_ask(bus, "lang", NULL, "org.freedesktop.DBus.Properties", "Get", reterr, &reply,
                    "ss", "org.mgmt.lang1.Manager", "DeployId");
        if (r < 0 && bus_error_is_absence(reterr)) {
                sd_bus_error_free(reterr);
                return 0;
        }
        if (r >= 0)
                r = sd_bus_message_read(reply, "v", "t", &l->in_force);
        l->runs = r >= 0;
        return r;
}

int deploy_list_read(DeployList *ret, sd_bus *bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        *ret = (DeployList) {};
        r = sd_bus_call_method(bus, "org.mgmt.world1", "/org/mgmt/world1", "org.mgmt.world1.Manager", "ListDeploys", &error, &reply, NULL);
        if (r >= 0)
                r = read_rows(ret, reply);
        if (r >= 0)
                r = read_in_force(ret, bus, &error);
        if (r < 0) {
                output_error("cannot list the deploys: %s", bus_error_text(&error, r));
                deploy_list_done(ret);
        }
        return r;
}

void deploy_list_done(DeployList *l) {
        for (size_t i = 0; i < l->n; i++) {
                free(l->rows[i].source);
                free(l->rows[i].hosts);
        }
        free(l->rows);
        *l = (DeployList) {};
}
