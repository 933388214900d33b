/* SPDX-License-Identifier: GPL-3.0-or-later */

/* embedded/provisioner: what a program that installs machines over the network is told. It is told by environment variables. */

#include "lang/builtins.h"

#define OPTION(name, variable, type, doc) \
        BUILTIN_ASKED("embedded/provisioner." name, "func() " type, doc " It is said by MGMT_PROVISIONER_" variable ", in the environment.", \
                      MCL(provisioner.) name "()")

const Builtin provisioner_builtins[] = {
        OPTION("check", "CHECK", "bool",
               "Whether nothing is to be done but to look; false if it is not said."),
        OPTION("cli_arch", "ARCH", "str",
               "The architecture to install; 'x86_64' if it is not said."),
        OPTION("cli_bios", "BIOS", "bool",
               "Whether the machine starts by BIOS and not by UEFI; false if it is not said."),
        OPTION("cli_bmc_uri", "BMC_URI", "str",
               "Where the machine's management controller is; empty if it is not said."),
        OPTION("cli_distro", "DISTRO", "str",
               "The distribution to install; it is 'fedora'."),
        OPTION("cli_dns", "DNS", "[]str",
               "Addresses of the name servers, with commas between them; none if it is not said."),
        OPTION("cli_firewalld", "FIREWALLD", "bool",
               "Whether the firewall of this host is to be opened; true if it is not said."),
        OPTION("cli_flavour", "FLAVOUR", "str",
               "The variant to install, which begins with a capital letter; 'Workstation' if it is not said."),
        OPTION("cli_handoff_code", "HANDOFF_CODE", "str",
               "Absolute path of the program that the new machine runs; empty if it is not said."),
        OPTION("cli_handoff_exec", "HANDOFF_EXEC", "str",
               "The command that the new machine runs; empty if it is not said."),
        OPTION("cli_handoff_hostname", "HANDOFF_HOSTNAME", "str",
               "How the new machine is called there; empty if it is not said."),
        OPTION("cli_handoff_module_path", "HANDOFF_MODULE_PATH", "str",
               "Absolute path of the modules of that program; empty if it is not said."),
        OPTION("cli_interface", "INTERFACE", "str",
               "The interface on which machines are served; if it is not said, the only wired one there is. That "
               "there are none or several can be caught."),
        OPTION("cli_ip", "IP", "str",
               "The address of the new machine, with its prefix; '192.168.42.13/24' if it is not said."),
        OPTION("cli_luks", "LUKS", "bool",
               "Whether its disk is encrypted; true if it is not said."),
        OPTION("cli_mac", "MAC", "str",
               "Its hardware address, in lower case; empty if it is not said."),
        OPTION("cli_mirror", "MIRROR", "str",
               "Where packages come from; the redirector of the distribution if it is not said."),
        OPTION("cli_network", "NETWORK", "str",
               "The network, with its prefix; '192.168.42.0/24' if it is not said."),
        OPTION("cli_packages", "PACKAGES", "[]str",
               "What is installed besides, with commas between the names; nothing if it is not said."),
        OPTION("cli_part", "PART", "str",
               "How its disk is parted: '', 'plain' or 'btrfs'."),
        OPTION("cli_password", "PASSWORD", "str",
               "The hash of root's password, as crypt makes it with SHA-512. That it is not said can be caught."),
        OPTION("cli_prefix", "PREFIX", "str",
               "A directory for what is downloaded, with a trailing slash; if it is not said, one of the cache of "
               "the user."),
        OPTION("cli_router", "ROUTER", "str",
               "The address of this host in the network, with its prefix; '192.168.42.1/24' if it is not said."),
        OPTION("cli_rsync", "RSYNC", "str",
               "Where packages come from by rsync; empty if it is not said."),
        OPTION("cli_version", "VERSION", "str",
               "The release to install. That it is not said can be caught."),
        {}
};
