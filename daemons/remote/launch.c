/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See launch.h. */

#include <stdio.h>

#include "daemons/remote/launch.h"

enum {
        STRINGS_MAX = 256,
        OWN_VARIABLES = 3,      /* those that are set here */
};

/* Ours says where things are, and nothing that is meant for another mgmt is passed on. */
static bool is_kept(const char *variable) {
        static const char *const dropped[] = { "MGMT_", "XDG_RUNTIME_DIR=", "XDG_CACHE_HOME=", "STATE_DIRECTORY=", "CREDENTIALS_DIRECTORY=",
                                               "TMPDIR=", "LISTEN_", "NOTIFY_SOCKET=", "SSH_" };

        for (size_t i = 0; i < ELEMENTSOF(dropped); i++)
                if (startswith(variable, dropped[i]))
                        return false;
        return true;
}

static int run(Child **ret, sd_event *event, const LaunchSpec *spec, char **given, char **arguments, Diag *reterr) {
        _cleanup_free_ char *program = NULL, *temporary = NULL, *credentials = NULL, *proxy = NULL, *cwd = NULL;
        _cleanup_free_ char **env = NULL, **argv = NULL;
        const char *directory = spec->directory;
        size_t n = 0, k = 0;

        while (environ[n])
                n++;
        env = calloc(n + STRINGS_MAX + OWN_VARIABLES + 1, sizeof(char *));
        argv = calloc(STRINGS_MAX + 2, sizeof(char *));
        if (asprintf(&program, "%s/mgmtctl", directory) < 0)
                program = NULL;
        if (asprintf(&cwd, "%s/program", directory) < 0)
                cwd = NULL;
        if (asprintf(&temporary, "TMPDIR=%s", directory) < 0)
                temporary = NULL;
        if (asprintf(&credentials, "CREDENTIALS_DIRECTORY=%s/credentials", directory) < 0)
                credentials = NULL;
        if (asprintf(&proxy, "MGMT_STORE_PROXY=socks5h://localhost%s", spec->socket ?: "") < 0)
                proxy = NULL;
        if (!env || !argv || !program || !cwd || !temporary || !credentials || !proxy)
                return -ENOMEM;

        n = 0;
        for (char **e = environ; *e; e++)
                if (is_kept(*e))
                        env[n++] = *e;
        for (; *given; given++)
                env[n++] = *given;
        env[n++] = temporary;
        env[n++] = credentials;
        if (spec->socket)
                env[n++] = proxy;
        argv[k++] = program;
        for (; *arguments; arguments++)
                argv[k++] = *arguments;
        return child_start(ret, event, &(ChildSpec) { .argv = argv, .env = env, .cwd = access(cwd, F_OK) == 0 ? cwd : directory,
                                                      .uid = (uid_t) -1, .gid = (gid_t) -1, .output = spec->output },
                           spec->ended, spec->userdata, reterr);
}

int launch(Child **ret, sd_event *event, const LaunchSpec *spec, Diag *reterr) {
        char *strings[STRINGS_MAX + 2] = {}, **arguments = NULL;
        size_t n = 0;

        if (spec->size == 0 || spec->start[spec->size - 1] != '\0')
                return -EPROTO;
        _cleanup_free_ char *text = malloc(spec->size);
        if (!text)
                return -ENOMEM;
        memcpy(text, spec->start, spec->size);
        for (char *at = text; at < text + spec->size; at += strlen(at) + 1) {
                if (n >= STRINGS_MAX)
                        return -E2BIG;
                if (*at || arguments)
                        strings[n++] = at;
                else {
                        strings[n++] = NULL;
                        arguments = strings + n;
                }
        }
        return arguments ? run(ret, event, spec, strings, arguments, reterr) : -EPROTO;
}
