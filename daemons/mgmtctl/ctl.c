/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the command, reads its options from its table, runs it. */

#include <getopt.h>
#include <stdio.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "common/strbuf.h"
#include "common/suggest.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/help.h"
#include "daemons/mgmtctl/output.h"

char **ctl_words = NULL;
bool arg_json = false;
static bool arg_help = false;
static bool arg_version = false;
static bool arg_man_page = false;
static const char *arg_color = "auto";

const Option ctl_common_options[] = {
        { "json", OPTION_FLAG, &arg_json, .doc = "print JSON, one object per line" },
        { "color", OPTION_STR, &arg_color, "WHEN", "MGMT_COLOR", .doc = "auto, always or never" },
        { "help", OPTION_FLAG, &arg_help, .letter = 'h', .doc = "show this text" },
        {}
};

const Option ctl_main_options[] = {
        { "version", OPTION_FLAG, &arg_version, .doc = "show the version" },
        { "man-page", OPTION_FLAG, &arg_man_page, .doc = "print the manual page, in the language of man" },
        {}
};

int ctl_open_bus(sd_bus **ret) {
        int r = bus_open(ret, NULL, "mgmtctl");

        if (r < 0)
                output_error("cannot connect to the bus: %s; does dbus run? ('mgmtctl run' brings a bus of its own)", strerrordesc_np(-r));
        return r;
}

enum { OPTIONS_MAX = 40 };

static int option_set(const Option *o, const char *value, const char *what) {
        char *end;

        switch (o->type) {
        case OPTION_FLAG:
        case OPTION_CLEAR:
                *(bool *) o->target = o->type == OPTION_FLAG;
                return 0;
        case OPTION_STR:
                *(const char **) o->target = value;
                return 0;
        case OPTION_INT:
                errno = 0;
                long long i = strtoll(value, &end, 10);
                if (errno != 0 || end == value || *end || i < o->min || i > o->max) {
                        output_error("%s must be a whole number between %lld and %lld, got '%s'", what,
                                     (long long) o->min, (long long) o->max, value);
                        return -EINVAL;
                }
                *(int64_t *) o->target = i;
                return 0;
        }
        return -EINVAL;
}

static int options_from_environment(const Option *options) {
        for (const Option *o = options; o && o->name; o++) {
                const char *value = o->environment ? getenv(o->environment) : NULL;

                if (value && *value && option_set(o, value, o->environment) < 0)
                        return -EINVAL;
        }
        return 0;
}

/* Collects the tables into what getopt_long() wants; val is the index. */
static void options_collect(const Option *options, const Option **all, struct option *getopt_options, StrBuf *letters, size_t *n) {
        for (const Option *o = options; o && o->name && *n < OPTIONS_MAX; o++) {
                all[*n] = o;
                if (o->letter)
                        strbuf_printf(letters, "%c%s", o->letter, o->type >= OPTION_INT ? ":" : "");
                getopt_options[*n] = (struct option) {
                        .name = o->name,
                        .has_arg = o->type >= OPTION_INT ? required_argument : no_argument,
                        .val = 256 + (int) *n,
                };
                (*n)++;
        }
}

/* What getopt_long() returned stands for, or NULL. */
static const Option *option_found(const Option *const *all, size_t n, int c) {
        for (size_t i = 0; i < n; i++)
                if (c == 256 + (int) i || (c > 0 && c == all[i]->letter))
                        return all[i];
        return NULL;
}

/* word is what getopt_long() would not take, and c what it said. */
static void say_wrong_option(const Option *const *all, size_t n, const char *word, int c) {
        const char letter[] = { '-', (char) optopt, '\0' };
        if (optopt > 0 && optopt < 256) /* several may share a word, which is not done then */
                word = letter;
        const char *name = startswith(word, "--");
        Suggestion near = suggestion_for(name ?: "");

        for (size_t i = 0; i < n; i++)
                suggestion_add(&near, all[i]->name);
        if (c == ':')
                output_error("option '%s' needs a value", word);
        else if (option_found(all, n, optopt))
                output_error("option '%s' takes no value", word);
        else if (name && near.best)
                output_error("there is no option '%s', did you mean '--%s'?", word, near.best);
        else
                output_error("there is no option '%s', --help lists them", word);
}

/* Up to the first word that is no option, or all of them. Leaves optind at what follows. */
static int options_parse(const Option *options, int argc, char *argv[], bool stop_at_word) {
        struct option getopt_options[OPTIONS_MAX + 1] = {};
        const Option *all[OPTIONS_MAX];
        _cleanup_(strbuf_done) StrBuf letters = {};
        size_t n = 0;
        int c;

        strbuf_puts(&letters, stop_at_word ? "+:" : ":");
        options_collect(ctl_common_options, all, getopt_options, &letters, &n);
        options_collect(options, all, getopt_options, &letters, &n);
        if (letters.failed)
                return -ENOMEM;
        if (options_from_environment(ctl_common_options) < 0 || options_from_environment(options) < 0)
                return -EINVAL;

        optind = 0;             /* starts over */
        opterr = 0;
        while ((c = getopt_long(argc, argv, letters.data, getopt_options, NULL)) >= 0) {
                const Option *o = option_found(all, n, c);
                char what[64];

                if (!o) {
                        say_wrong_option(all, n, argv[optind - 1], c);
                        return -EINVAL;
                }
                (void) snprintf(what, sizeof(what), "--%s", o->name);
                if (option_set(o, optarg, what) < 0)
                        return -EINVAL;
        }
        return output_set_color(arg_color);
}

static const Command *command_find(const Command *const commands[], const char *name) {
        Suggestion near = suggestion_for(name);

        for (const Command *const *c = commands; *c; c++) {
                if (streq((*c)->name, name))
                        return *c;
                suggestion_add(&near, (*c)->name);
        }
        if (near.best)
                output_error("there is no command '%s', did you mean '%s'?", name, near.best);
        else
                output_error("there is no command '%s', 'mgmtctl --help' lists them", name);
        return NULL;
}

int ctl_main(const Command *const commands[], int argc, char *argv[]) {
        ctl_words = argv;
        if (options_parse(ctl_main_options, argc, argv, true) < 0)
                return EXIT_ERROR;
        if (arg_version) {
                printf("mgmtctl %s\n", MGMT_VERSION);
                return EXIT_SUCCESS;
        }
        if (arg_man_page) {
                help_print_man_page(commands);
                return EXIT_SUCCESS;
        }
        if (optind >= argc || streq(argv[optind], "help")) {
                help_print(commands);
                return EXIT_SUCCESS;
        }

        const Command *c = command_find(commands, argv[optind]);
        if (!c)
                return EXIT_ERROR;
        argc -= optind;
        argv += optind;
        if (options_parse(c->options, argc, argv, false) < 0)
                return EXIT_ERROR;
        if (arg_help) {
                help_print_command(c);
                return EXIT_SUCCESS;
        }
        int n = argc - optind;
        if (n < c->min_arguments || n > c->max_arguments) {
                output_error("usage: mgmtctl %s [OPTIONS…]%s%s", c->name, c->arguments ? " " : "", c->arguments ?: "");
                return EXIT_ERROR;
        }
        return c->run(argv + optind, n);
}
