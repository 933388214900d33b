/* SPDX-License-Identifier: GPL-3.0-or-later */

/* embedded/provisioner: options of programs that install machines over the network. They are environment variables of this process:
 * MGMT_PROVISIONER_NETWORK is what provisioner.cli_network() says. */

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "daemons/lang/sources.h"

enum { VARIABLE_MAX = 64 };

/* ---- what may be said ---- */

typedef bool Check(const char *text);

/* ADDRESS/BITS, of IPv4. */
static bool read_cidr(const char *text, uint32_t *ret_address, unsigned *ret_bits) {
        char address[INET_ADDRSTRLEN], *end;
        const char *slash = strchr(text, '/');
        struct in_addr a;

        if (!slash || (size_t) (slash - text) >= sizeof(address) || !isdigit((unsigned char) slash[1]))
                return false;
        memcpy(address, text, (size_t) (slash - text));
        address[slash - text] = '\0';
        unsigned long bits = strtoul(slash + 1, &end, 10);
        if (*end || bits > 32 || inet_pton(AF_INET, address, &a) != 1)
                return false;
        *ret_address = ntohl(a.s_addr);
        *ret_bits = (unsigned) bits;
        return true;
}

static bool is_cidr(const char *text) {
        uint32_t address;
        unsigned bits;

        return read_cidr(text, &address, &bits);
}

static bool is_address(const char *text) {
        return inet_pton(AF_INET, text, &(struct in_addr) {}) == 1;
}

static bool is_fedora(const char *text) {
        return streq(text, "fedora");
}

static bool is_capital(const char *text) {
        return isupper((unsigned char) *text);
}

static bool is_partition(const char *text) {
        return streq(text, "") || streq(text, "plain") || streq(text, "btrfs");
}

static bool is_directory(const char *text) {
        return *text == '/' && text[strlen(text) - 1] == '/';
}

static bool is_existing(const char *text) {
        return streq(text, "") || (*text == '/' && access(text, F_OK) >= 0);
}

static bool is_mac(const char *text) {
        size_t n = strlen(text);

        for (size_t i = 0; i < n; i++)
                if (i % 3 == 2 ? text[i] != ':' && text[i] != '-' : hex_digit(text[i]) < 0)
                        return false;
        return n == 0 || n == 17;
}

static bool is_hash(const char *text) {
        return strlen(text) == 106 && startswith(text, "$6$");
}

/* ---- the options ---- */

typedef enum Shape { SHAPE_TEXT, SHAPE_BOOL, SHAPE_LIST } Shape;

static const struct Option {
        const char *name;
        Shape shape;
        const char *initial;    /* NULL: none, see there_is_none() */
        Check *check;           /* of the text, or of each that stands in the list; NULL: anything goes */
        const char *wanted;     /* what it must be */
} options[] = {
        { "check", SHAPE_BOOL, "false" },
        { "cli_arch", SHAPE_TEXT, "x86_64" },
        { "cli_bios", SHAPE_BOOL, "false" },
        { "cli_bmc_uri", SHAPE_TEXT, "" },
        { "cli_distro", SHAPE_TEXT, "fedora", is_fedora, "'fedora'" },
        { "cli_dns", SHAPE_LIST, "", is_address, "addresses with commas between them" },
        { "cli_firewalld", SHAPE_BOOL, "true" },
        { "cli_flavour", SHAPE_TEXT, "Workstation", is_capital, "a name that begins with a capital letter" },
        { "cli_handoff_code", SHAPE_TEXT, "", is_existing, "an absolute path of what there is" },
        { "cli_handoff_exec", SHAPE_TEXT, "" },
        { "cli_handoff_hostname", SHAPE_TEXT, "" },
        { "cli_handoff_module_path", SHAPE_TEXT, "", is_existing, "an absolute path of what there is" },
        { "cli_interface", SHAPE_TEXT, NULL },
        { "cli_ip", SHAPE_TEXT, "192.168.42.13/24", is_cidr, "an address and its prefix" },
        { "cli_luks", SHAPE_BOOL, "true" },
        { "cli_mac", SHAPE_TEXT, "", is_mac, "six bytes with colons between them" },
        { "cli_mirror", SHAPE_TEXT, "https://download.fedoraproject.org/pub/fedora/linux/" },
        { "cli_network", SHAPE_TEXT, "192.168.42.0/24", is_cidr, "an address and its prefix" },
        { "cli_packages", SHAPE_LIST, "" },
        { "cli_part", SHAPE_TEXT, "", is_partition, "'plain' or 'btrfs'" },
        { "cli_password", SHAPE_TEXT, NULL, is_hash, "a hash of 106 bytes that begins with $6$" },
        { "cli_prefix", SHAPE_TEXT, NULL, is_directory, "an absolute path with a trailing slash" },
        { "cli_router", SHAPE_TEXT, "192.168.42.1/24", is_cidr, "an address and its prefix" },
        { "cli_rsync", SHAPE_TEXT, "" },
        { "cli_version", SHAPE_TEXT, NULL },
};

static void variable_of(const struct Option *o, char ret[static VARIABLE_MAX]) {
        char *to = stpcpy(ret, "MGMT_PROVISIONER_");

        for (const char *p = startswith(o->name, "cli_") ?: o->name; *p; p++)
                *to++ = (char) toupper((unsigned char) *p);
        *to = '\0';
}

static const char *said(const char *name) {
        char variable[VARIABLE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(options[i].name, name)) {
                        variable_of(&options[i], variable);
                        return getenv(variable) ?: options[i].initial;
                }
        return NULL;
}

/* ---- what is found where nothing is said ---- */

/* A device of hardware that speaks Ethernet by wire. */
static bool is_wired(const char *interface) {
        char path[PATH_MAX];
        char type[8] = "";

        (void) snprintf(path, sizeof(path), "/sys/class/net/%s/device", interface);
        if (access(path, F_OK) < 0)
                return false;
        (void) snprintf(path, sizeof(path), "/sys/class/net/%s/wireless", interface);
        if (access(path, F_OK) >= 0)
                return false;
        (void) snprintf(path, sizeof(path), "/sys/class/net/%s/type", interface);
        FILE *f = fopen(path, "re");
        bool ethernet = f && fgets(type, sizeof(type), f) && streq(type, "1\n");
        if (f)
                (void) fclose(f);
        return ethernet;
}

static void find_interface(Source *s) {
        DIR *d = opendir("/sys/class/net");
        char name[256] = "";
        unsigned n = 0;

        for (struct dirent *e; d && (e = readdir(d));)
                if (is_wired(e->d_name) && n++ == 0)
                        (void) snprintf(name, sizeof(name), "%s", e->d_name);
        if (d)
                (void) closedir(d);
        if (n == 1)
                source_set_text(s, name);
        else
                source_failf(s, true, n > 1 ? -ENOTUNIQ : -ENODEV, n > 1 ? "there are %u wired network interfaces, and none is chosen"
                                                                         : "no wired network interface found", n);
}

static void find_cache(Source *s) {
        const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        Value v = VALUE_NIL;
        int r = -ENXIO;

        if (cache && *cache == '/')
                r = value_strf(&v, "%s/mgmt/provisioner/", cache);
        else if (home && *home == '/')
                r = value_strf(&v, "%s/.cache/mgmt/provisioner/", home);
        if (r == -ENXIO)
                source_failf(s, true, r, "there is no cache: HOME is not set");
        else
                source_result(s, r, v);
}

static void find(Source *s, const struct Option *o, const char *variable) {
        if (streq(o->name, "cli_interface"))
                find_interface(s);
        else if (streq(o->name, "cli_prefix"))
                find_cache(s);
        else
                source_failf(s, true, -ENOENT, "%s is not set", variable);
}

/* ---- the functions ---- */

static int set_bool(Source *s, const char *variable, const char *text, Diag *reterr) {
        bool yes = streq(text, "true") || streq(text, "1"), no = streq(text, "false") || streq(text, "0");

        if (!yes && !no)
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s must be 'true' or 'false', got '%s'", variable, text);
        source_set(s, VALUE_BOOL(yes));
        return 0;
}

/* Items with commas between them. */
static int read_list(const struct Option *o, const char *text, Value *ret, bool *ret_valid) {
        _cleanup_(value_done) Value list = VALUE_NIL;
        int r = value_list(&list, NULL, 0);

        *ret_valid = true;
        for (const char *end; r >= 0 && *text; text = *end ? end + 1 : end) {
                end = strchrnul(text, ',');
                Value item = VALUE_NIL, longer;
                r = value_str(&item, text, (size_t) (end - text));
                if (r < 0)
                        break;
                if (o->check && !o->check(value_cstr(item)))
                        *ret_valid = false;
                r = value_list_extend(&longer, list, &item, 1);
                if (r < 0)
                        break;
                value_done(&list);
                list = longer;
        }
        if (r >= 0)
                *ret = value_take(&list);
        return r;
}

static int set_list(Source *s, const struct Option *o, const char *variable, const char *text, Diag *reterr) {
        Value list = VALUE_NIL;
        bool valid;
        int r = read_list(o, text, &list, &valid);

        if (r >= 0 && !valid) {
                value_done(&list);
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s must be %s, got '%s'", variable, o->wanted, text);
        }
        source_result(s, r, list);
        return 0;
}

/* This host has an address in the network that it serves. */
static bool is_in_network(const char *router) {
        uint32_t a, b;
        unsigned bits, router_bits;

        return read_cidr(said("cli_network"), &a, &bits) && read_cidr(router, &b, &router_bits) &&
               (bits == 0 || (a ^ b) >> (32 - bits) == 0);
}

static int set_text(Source *s, const struct Option *o, const char *variable, const char *text, Diag *reterr) {
        if (o->check && !o->check(text) && streq(o->name, "cli_password"))     /* it is shown to nobody */
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s must be %s", variable, o->wanted);
        if (o->check && !o->check(text))
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s must be %s, got '%s'", variable, o->wanted, text);
        if (streq(o->name, "cli_router") && !is_in_network(text))
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s must lie in the network '%s', got '%s'", variable, said("cli_network"),
                                text);

        _cleanup_free_ char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        for (char *c = copy; streq(o->name, "cli_mac") && *c; c++)
                *c = *c == '-' ? ':' : (char) tolower((unsigned char) *c);
        source_set_text(s, copy);
        return 0;
}

static int option_open(Source *s, Diag *reterr) {
        const char *name = startswith(s->function, "embedded/provisioner.");

        for (size_t i = 0; name && i < ELEMENTSOF(options); i++) {
                const struct Option *o = &options[i];
                char variable[VARIABLE_MAX];

                if (!streq(o->name, name))
                        continue;
                variable_of(o, variable);
                const char *text = getenv(variable) ?: o->initial;
                if (!text) {
                        find(s, o, variable);
                        return 0;
                }
                return o->shape == SHAPE_BOOL   ? set_bool(s, variable, text, reterr)
                       : o->shape == SHAPE_LIST ? set_list(s, o, variable, text, reterr)
                                                : set_text(s, o, variable, text, reterr);
        }
        return -EINVAL;
}

#define OPTION(n) { .name = "embedded/provisioner." n, .size = sizeof(Source), .open = option_open }

const SourceType provisioner_sources[] = {
        OPTION("check"),
        OPTION("cli_arch"),
        OPTION("cli_bios"),
        OPTION("cli_bmc_uri"),
        OPTION("cli_distro"),
        OPTION("cli_dns"),
        OPTION("cli_firewalld"),
        OPTION("cli_flavour"),
        OPTION("cli_handoff_code"),
        OPTION("cli_handoff_exec"),
        OPTION("cli_handoff_hostname"),
        OPTION("cli_handoff_module_path"),
        OPTION("cli_interface"),
        OPTION("cli_ip"),
        OPTION("cli_luks"),
        OPTION("cli_mac"),
        OPTION("cli_mirror"),
        OPTION("cli_network"),
        OPTION("cli_packages"),
        OPTION("cli_part"),
        OPTION("cli_password"),
        OPTION("cli_prefix"),
        OPTION("cli_router"),
        OPTION("cli_rsync"),
        OPTION("cli_version"),
        {}
};
