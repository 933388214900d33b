/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A directory of users and groups in place of that of libc, as slow as one likes. There is one user, "far" with the number 5000,
 * whose entry needs much room, a group "farers" with the number 5001, and "sick", who makes it fail. To be included by the one .c
 * file of a test program. */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic unsigned names_asked, names_delay_msec;
static _Atomic bool names_held;                 /* answers nobody until it is false */
static _Atomic unsigned names_asked_by_loop;    /* which would stand still meanwhile */

static void service_sleep(unsigned msec) {
        (void) nanosleep(&(struct timespec) { msec / 1000, (long) (msec % 1000) * 1000000 }, NULL);
}

static void service_wait(void) {
        names_asked++;
        names_asked_by_loop += gettid() == getpid();
        service_sleep(names_delay_msec);
        while (names_held && gettid() != getpid())
                service_sleep(1);
}

static int answer_user(struct passwd *p, size_t size, struct passwd **ret) {
        static char name[] = "far", home[] = "/far/home", shell[] = "/bin/far";

        if (size < 10000)
                return ERANGE;
        *p = (struct passwd) { .pw_name = name, .pw_uid = 5000, .pw_gid = 5001, .pw_dir = home, .pw_shell = shell };
        *ret = p;
        return 0;
}

int getpwnam_r(const char *name, struct passwd *p, char *buffer, size_t size, struct passwd **ret) {
        *ret = NULL;
        service_wait();
        if (strcmp(name, "sick") == 0)
                return EIO;
        return strcmp(name, "far") == 0 ? answer_user(p, size, ret) : 0;
}

int getpwuid_r(uid_t uid, struct passwd *p, char *buffer, size_t size, struct passwd **ret) {
        *ret = NULL;
        service_wait();
        return uid == 5000 ? answer_user(p, size, ret) : ENOENT;
}

int getgrnam_r(const char *name, struct group *g, char *buffer, size_t size, struct group **ret) {
        static char far[] = "farers";

        *ret = NULL;
        service_wait();
        if (strcmp(name, far) == 0) {
                *g = (struct group) { .gr_name = far, .gr_gid = 5001 };
                *ret = g;
        }
        return 0;
}

int getgrgid_r(gid_t gid, struct group *g, char *buffer, size_t size, struct group **ret) {
        *ret = NULL;
        return 0;
}
