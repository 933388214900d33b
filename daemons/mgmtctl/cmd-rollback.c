/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl rollback`: an earlier deploy once more. It becomes the newest one, so that nothing is lost by it either. */

#include <errno.h>
#include <stdlib.h>

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/deploy-list.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/program.h"

static const char *arg_sign = NULL;

static const Option rollback_options[] = {
        { "sign", OPTION_STR, &arg_sign, "KEY", "MGMT_SIGN_KEY", .doc = "sign it with this SSH key, as deploy does" },
        {}
};

/* The one before that in force, which is the newest one if none is; while some hosts try another, the newest of all hosts. */
static int find_previous(sd_bus *bus, uint64_t *ret) {
        _cleanup_(deploy_list_done) DeployList l = {};
        bool tried;

        if (deploy_list_read(&l, bus) < 0)
                return -EIO;
        if (!l.runs) {
                output_error("cannot tell which deploy was in force: %s", bus_absence_text);
                return -EHOSTDOWN;
        }
        tried = l.n > 0 && *l.rows[0].hosts;
        for (size_t i = 0; i < l.n; i++)
                if (!*l.rows[i].hosts && (tried || l.in_force == 0 || l.rows[i].id < l.in_force)) {
                        *ret = l.rows[i].id;
                        return 0;
                }
        output_error("there is no earlier deploy");
        return -ENOENT;
}

static int parse_id(const char *text, uint64_t *ret) {
        char *end;

        errno = 0;
        *ret = strtoull(text, &end, 10);
        if (errno == 0 && end != text && *end == '\0' && *text != '-')
                return 0;
        output_error("'%s' is not the number of a deploy, see 'mgmtctl deploys'", text);
        return -EINVAL;
}

static int run_rollback(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(program_done) Program p = { .fd = -EBADF };
        _cleanup_(value_done) Value bundle = {};
        uint64_t id = 0;

        if (n > 0 && parse_id(arguments[0], &id) < 0)
                return EXIT_ERROR;
        if (ctl_open_bus(&bus) < 0 || (n == 0 && find_previous(bus, &id) < 0) || program_fetch(&p, bus, id, &bundle) < 0)
                return EXIT_ERROR;
        if (program_set_hosts(&p, "") < 0 || (arg_sign && program_sign(&p, bundle, arg_sign) < 0))
                return EXIT_ERROR;
        return program_deploy(&p, bus);
}

const Command command_rollback = {
        .name = "rollback",
        .arguments = "[DEPLOY]",
        .doc = "Put an earlier deploy in force again",
        .help = "DEPLOY is a number that 'mgmtctl deploys' shows; without it, it is the one before that in force. In a cluster all hosts\n"
                "take it; while only some have the newest deploy (deploy --canary), it is the newest that all have.\n",
        .options = rollback_options,
        .max_arguments = 1,
        .run = run_rollback,
};
