/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What mgmt-world starts for a resource `remote`: mgmt-ssh with words of its own. People have `mgmtctl remote`. */

#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/remote-options.h"

static const Option agent_options[] = {
        { "resource", OPTION_STR, &arg_remote.resource, "NAME", .doc = "whose directory there it is" },
        { "identity", OPTION_STR, &arg_remote.identity, "FILE", .doc = "a private key to log in with" },
        { "no-keys", OPTION_FLAG, &arg_remote.no_keys, .doc = "log in by the password alone" },
        { "password", OPTION_FLAG, &arg_remote.password, .doc = "the password is on standard input" },
        { "known-hosts", OPTION_STR, &arg_remote.known_hosts, "FILE", .doc = "the keys of hosts, in place of ssh's" },
        { "host-key", OPTION_STR, &arg_remote.host_key, "BASE64", .doc = "a key that is the host's as well" },
        { "keep", OPTION_FLAG, &arg_remote.keep, .doc = "leave the programs there at the end" },
        { "install-deps", OPTION_FLAG, &arg_remote.deps, .doc = "have packages installed that are missing there" },
        { "direct", OPTION_FLAG, &arg_remote.direct, .doc = "it reaches the cluster by itself" },
        { "converger-timeout", OPTION_INT, &arg_remote.converger_timeout, "S", .min = -1, .max = INT32_MAX,
          .doc = "end there after S quiet seconds" },
        {}
};

const Command command_agent = {
        .name = "agent",
        .arguments = "run|start|look|stop HOST",
        .doc = "Have what the cluster deploys run on another host",
        .options = agent_options,
        .min_arguments = 2,
        .max_arguments = 2,
};
