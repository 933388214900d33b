/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sys: what this machine says of itself while it runs. */

#include <fcntl.h>
#include <limits.h>
#include <sys/sysinfo.h>

#include "common/io.h"
#include "daemons/lang/sources.h"
#include "daemons/lang/ticker.h"

/* ---- what is looked at again when the kernel says so ---- */

typedef struct Watched {
        Source source;
        KernelWatch *watch;
} Watched;

static void watched_close(Source *s) {
        kernel_watch_free(((Watched *) s)->watch);
}

/* "0-3,5": how many that is; 0 if it is not such a list. */
static int64_t count_list(const char *text) {
        int64_t n = 0;

        for (const char *p = text; *p && *p != '\n';) {
                char *end;
                unsigned long first = strtoul(p, &end, 10), last = first;

                if (end == p)
                        return 0;
                if (*end == '-') {
                        p = end + 1;
                        last = strtoul(p, &end, 10);
                        if (end == p || last < first)
                                return 0;
                }
                n += (int64_t) (last - first) + 1;
                p = end + (*end == ',');
        }
        return n;
}

static void cpu_look(void *userdata) {
        static const char path[] = "/sys/devices/system/cpu/online";
        Source *s = userdata;
        _cleanup_free_ char *text = NULL;
        int r = read_file_at(AT_FDCWD, path, 64 * 1024, &text, NULL);

        if (r >= 0 && count_list(text) == 0)
                r = -EBADMSG;
        if (r < 0)
                source_failf(s, false, r, "cannot read '%s': %m", path);
        else
                source_set(s, VALUE_INT(count_list(text)));
}

static int cpu_open(Source *s, Diag *reterr) {
        int r = source_watch_kernel(s, KERNEL_DEVICES, "cpu", cpu_look, s, &((Watched *) s)->watch, reterr);

        if (r >= 0)
                cpu_look(s);
        return r;
}

/* The name that the kernel has is the one that org.freedesktop.hostname1 shows; here it can be had without a bus, and without
 * starting a service. */
static void hostname_look(void *userdata) {
        char name[HOST_NAME_MAX + 1] = "";
        Source *s = userdata;

        if (gethostname(name, sizeof(name) - 1) < 0)
                source_failf(s, false, -errno, "cannot read the name of the host: %m");
        else
                source_set_text(s, name);
}

static int hostname_open(Source *s, Diag *reterr) {
        int r = source_watch_kernel(s, KERNEL_HOSTNAME, NULL, hostname_look, s, &((Watched *) s)->watch, reterr);

        if (r >= 0)
                hostname_look(s);
        return r;
}

/* ---- what changes with time ---- */

static int say_load(Ticker *t, Value *ret) {
        static const char *const names[] = { "x1", "x5", "x15" };
        Value values[ELEMENTSOF(names)];
        struct sysinfo info;

        if (sysinfo(&info) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                values[i] = VALUE_FLOAT((double) info.loads[i] / (1 << SI_LOAD_SHIFT));
        return value_struct(ret, names, values, ELEMENTSOF(names));
}

static int load_open(Source *s, Diag *reterr) {
        return ticker_open((Ticker *) s, 5 * 1000 * 1000, say_load, reterr);
}

static int say_uptime(Ticker *t, Value *ret) {
        struct sysinfo info;

        if (sysinfo(&info) < 0)
                return -errno;
        *ret = VALUE_INT(info.uptime);
        return 0;
}

static int uptime_open(Source *s, Diag *reterr) {
        return ticker_open((Ticker *) s, 1000 * 1000, say_uptime, reterr);
}

const SourceType sys_sources[] = {
        { .name = "sys.cpu_count", .size = sizeof(Watched), .open = cpu_open, .close = watched_close },
        { .name = "sys.hostname", .size = sizeof(Watched), .open = hostname_open, .close = watched_close },
        { .name = "sys.load", .size = sizeof(Ticker), .open = load_open, .close = ticker_close },
        { .name = "sys.uptime", .size = sizeof(Ticker), .open = uptime_open, .close = ticker_close },
        {}
};
