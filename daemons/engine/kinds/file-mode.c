/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/engine/kinds/file-mode.h"

enum { WHO_USER = 1, WHO_GROUP = 2, WHO_OTHER = 4 };

static int parse_who(const char **p, unsigned *ret) {
        unsigned who = 0;

        if (**p == 'a') {
                (*p)++;
                who = WHO_USER | WHO_GROUP | WHO_OTHER;
        } else
                for (;; (*p)++) {
                        unsigned bit = **p == 'u' ? WHO_USER : **p == 'g' ? WHO_GROUP : **p == 'o' ? WHO_OTHER : 0;
                        if (bit == 0)
                                break;
                        if (who & bit)
                                return -EINVAL;
                        who |= bit;
                }
        if (**p != '=')
                return -EINVAL;
        (*p)++;
        *ret = who;
        return 0;
}

/* The bits of one "what" for those it is said of. */
static mode_t bits_of(char what, unsigned who) {
        mode_t rwx = what == 'r' ? 4 : what == 'w' ? 2 : what == 'x' ? 1 : 0;
        mode_t bits = 0;

        if (who & WHO_USER)
                bits |= rwx << 6 | (what == 's' ? 04000 : 0);
        if (who & WHO_GROUP)
                bits |= rwx << 3 | (what == 's' ? 02000 : 0);
        if (who & WHO_OTHER)
                bits |= rwx;
        return bits | (what == 't' ? 01000 : 0);
}

static int parse_symbolic(const char *p, mode_t mode, mode_t *ret) {
        unsigned said = 0;

        for (;;) {
                unsigned who;

                if (parse_who(&p, &who) < 0)
                        return -EINVAL;
                /* Nobody named means all, and then nothing else can be said. */
                bool alone = who == 0;
                if (alone && said != 0)
                        return -EINVAL;
                if (alone)
                        who = WHO_USER | WHO_GROUP | WHO_OTHER;
                if (said & who)
                        return -EINVAL;
                said |= who;

                mode &= ~(bits_of('r', who) | bits_of('w', who) | bits_of('x', who) | bits_of('s', who));
                for (; *p && *p != ','; p++) {
                        if (!strchr("rwxst", *p))
                                return -EINVAL;
                        mode |= bits_of(*p, who);
                }
                if (*p == '\0')
                        break;
                p++;
        }
        *ret = mode;
        return 0;
}

int file_mode_parse(const char *text, mode_t now, mode_t *ret) {
        char *end;

        if (strspn(text, "01234567") == strlen(text) && *text) {
                errno = 0;
                unsigned long n = strtoul(text, &end, 8);
                if (errno != 0 || n > 07777)
                        return -EINVAL;
                *ret = (mode_t) n;
                return 0;
        }
        return parse_symbolic(text, now & 07777, ret);
}
