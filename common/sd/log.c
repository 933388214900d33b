/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One process, one log: a level, a target, and one system call per line. A line for people is written by a single writev(), so
 * that the lines of five daemons that share a terminal never mix. Texts may quote what strangers chose (file names, output of
 * commands): on their way to a terminal control characters are spelled out, and further lines are indented, so that nobody can
 * forge a line of ours.
 *
 * Nobody who reads our lines, or stopped reading them (Ctrl-S in a terminal is enough), can hold a daemon up: a console that
 * takes nothing for a while is given up, and told later how much it missed. */

#define SD_JOURNAL_SUPPRESS_LOCATION    /* CODE_FILE and CODE_LINE name the statement in the program, not our source */

#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include <systemd/sd-journal.h>

#include "common/sd/log.h"
#include "common/utf8.h"

enum { TEXT_INLINE = 1024, FIELDS_MAX = 8, CONSOLE_PATIENCE_MSEC = 100 };

typedef enum Target {
        TARGET_AUTO,
        TARGET_JOURNAL,
        TARGET_CONSOLE,
        TARGET_NULL,
        _TARGET_MAX,
} Target;

static const char *const target_names[_TARGET_MAX] = { "auto", "journal", "console", "null" };
static const char *const level_names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

/* A piece of the log is the one thing that everything in a process shares, hence not part of a Manager. */
static struct {
        const char *program;
        int level;
        Target target;          /* never TARGET_AUTO once opened */
        bool stderr_is_journal;
        bool stderr_is_terminal;
        bool colour;
        unsigned long n_lost;   /* lines that the console did not take */
} logger = { .level = LOG_INFO, .target = TARGET_CONSOLE };

/* Journald names the stream that it made for our stderr; somebody may have redirected it since. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

static bool wants_colour(void) {
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

        return logger.stderr_is_terminal && !(no_colour && *no_colour) && !(term && streq(term, "dumb"));
}

void log_open(const char *program) {
        logger.program = program;
        logger.stderr_is_journal = stderr_is_journal();
        logger.stderr_is_terminal = isatty(STDERR_FILENO);
        logger.colour = wants_colour();
        (void) log_set_target("auto");

        const char *name = getenv("MGMT_LOG_LEVEL");
        int level = name && *name ? log_level_from_name(name) : LOG_INFO;
        logger.level = level < 0 ? LOG_INFO : level;
        if (level < 0)
                (void) log_warning(0, "MGMT_LOG_LEVEL is '%s', expected a level from 'emerg' to 'debug'; ignoring", name);
}

int log_set_level(int level) {
        if (level < LOG_EMERG || level > LOG_DEBUG)
                return -EINVAL;
        logger.level = level;
        return 0;
}

int log_level(void) {
        return logger.level;
}

int log_level_from_name(const char *name) {
        if (name[0] >= '0' && name[0] <= '7' && !name[1])
                return name[0] - '0';
        for (size_t i = 0; i < ELEMENTSOF(level_names); i++)
                if (streq(name, level_names[i]))
                        return (int) i;
        return -EINVAL;
}

const char *log_level_name(int level) {
        return level >= LOG_EMERG && level <= LOG_DEBUG ? level_names[level] : NULL;
}

const char *log_target(void) {
        return target_names[logger.target];
}

int log_set_target(const char *name) {
        for (Target t = 0; t < _TARGET_MAX; t++)
                if (streq(name, target_names[t])) {
                        logger.target = t != TARGET_AUTO ? t : logger.stderr_is_journal ? TARGET_JOURNAL : TARGET_CONSOLE;
                        return 0;
                }
        return -EINVAL;
}

/* What one line says. Everything is borrowed. */
typedef struct Entry {
        int level, error;
        const char *kind, *name;        /* of the resource, or NULL */
        Pos pos;
        const char *text;
} Entry;

/* ---- the journal ---- */

typedef struct Fields {
        struct iovec items[FIELDS_MAX];
        unsigned n;
} Fields;

/* "NAME=value", freed by fields_done(). A field that finds no memory is left out: better a poorer line than none. */
static void fields_add(Fields *f, const char *format, ...) _printf_(2, 3);
static void fields_add(Fields *f, const char *format, ...) {
        char *text;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n >= 0)
                f->items[f->n++] = (struct iovec) { .iov_base = text, .iov_len = (size_t) n };
}

static void fields_done(Fields *f) {
        for (unsigned i = 0; i < f->n; i++)
                free(f->items[i].iov_base);
}

static void write_journal(const Entry *e, const char *place) {
        _cleanup_(fields_done) Fields f = {};

        fields_add(&f, "MESSAGE=%s%s", place, e->text);
        fields_add(&f, "PRIORITY=%i", e->level);
        fields_add(&f, "SYSLOG_IDENTIFIER=%s", logger.program ? logger.program : program_invocation_short_name);
        if (e->error < 0)
                fields_add(&f, "ERRNO=%i", -e->error);
        if (e->kind)
                fields_add(&f, "MGMT_KIND=%s", e->kind);
        if (e->name)
                fields_add(&f, "MGMT_NAME=%s", e->name);
        if (e->pos.line > 0 && e->pos.file)
                fields_add(&f, "CODE_FILE=%s", e->pos.file);
        if (e->pos.line > 0)
                fields_add(&f, "CODE_LINE=%u", e->pos.line);
        (void) sd_journal_sendv(f.items, (int) f.n);
}

/* ---- the console ---- */

/* The text as a terminal may see it; NULL if out of memory. Trailing line breaks are dropped. */
static char *printable(const char *text) {
        static const char digits[] = "0123456789abcdef";
        size_t n = strlen(text);
        while (n > 0 && text[n - 1] == '\n')
                n--;

        char *out = malloc(n * 5 + 1), *o = out;
        if (!out)
                return NULL;
        for (size_t i = 0; i < n;) {
                unsigned size = text[i] == '\t' ? 0 : utf8_control_size(text + i);
                if (size == 0)
                        *o++ = text[i++];
                else if (text[i] == '\n') {
                        o = stpcpy(o, "\n    ");
                        i++;
                } else
                        for (; size > 0; size--, i++) {
                                o = stpcpy(o, "\\x");
                                *o++ = digits[(unsigned char) text[i] >> 4];
                                *o++ = digits[(unsigned char) text[i] & 15];
                        }
        }
        *o = '\0';
        return out;
}

/* What stands before a line. A terminal shows lines as they come, so only files and pipes get the time; a journal that listens
 * at stderr takes the priority, and knows the rest. */
static void line_prefix(char *buffer, size_t size, int level) {
        const char *program = logger.program ? logger.program : program_invocation_short_name;

        if (logger.stderr_is_journal) {
                snprintf(buffer, size, "<%i>", level);
                return;
        }
        if (logger.stderr_is_terminal) {
                if (logger.colour || level > LOG_WARNING)
                        snprintf(buffer, size, "%s: ", program);
                else
                        snprintf(buffer, size, "%s[%s]: ", program, level_names[level]);
                return;
        }

        struct timespec now;
        struct tm tm;
        char date[32] = "";
        if (clock_gettime(CLOCK_REALTIME, &now) == 0 && localtime_r(&now.tv_sec, &tm))
                strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        snprintf(buffer, size, "%s.%03ld %s[%s]: ", date, now.tv_nsec / 1000000, program, level_names[level]);
}

static const char *level_colour(int level) {
        switch (level) {
        case LOG_WARNING:
                return "\033[33m";
        case LOG_NOTICE:
                return "\033[1m";
        case LOG_INFO:
                return "";
        case LOG_DEBUG:
                return "\033[2m";
        default:
                return "\033[1;31m";
        }
}

/* The patience is for the first line only; after that it takes one that can be written at once. */
static bool console_takes(void) {
        struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

        return poll(&p, 1, logger.n_lost == 0 ? CONSOLE_PATIENCE_MSEC : 0) > 0;
}

static void write_line(const char *colour, const char *prefix, const char *place, const char *text) {
        const char *parts[] = { colour, prefix, place, text, *colour ? "\033[0m\n" : "\n" };
        struct iovec iov[ELEMENTSOF(parts)];

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                iov[i] = (struct iovec) { .iov_base = (char *) parts[i], .iov_len = strlen(parts[i]) };
        while (writev(STDERR_FILENO, iov, ELEMENTSOF(iov)) < 0 && errno == EINTR)
                ;
}

static void write_console(const Entry *e, const char *place) {
        const char *colour = logger.colour ? level_colour(e->level) : "";
        _cleanup_free_ char *nice_place = printable(place), *nice_text = printable(e->text);
        char prefix[128], missed[64];

        if (!console_takes()) {
                logger.n_lost++;
                return;
        }
        if (logger.n_lost > 0) {
                line_prefix(prefix, sizeof(prefix), LOG_WARNING);
                snprintf(missed, sizeof(missed), "%lu lines were lost here", logger.n_lost);
                logger.n_lost = 0;
                write_line("", prefix, "", missed);
        }
        line_prefix(prefix, sizeof(prefix), e->level);
        write_line(colour, prefix, nice_place ? nice_place : "", nice_text ? nice_text : "(out of memory)");
}

/* ---- common ---- */

static void write_entry(const Entry *e, const char *place) {
        switch (logger.target) {
        case TARGET_JOURNAL:
                write_journal(e, place);
                break;
        case TARGET_CONSOLE:
                write_console(e, place);
                break;
        default:
                break;
        }
}

static void write_format(Entry *e, const char *place, const char *format, va_list ap) _printf_(3, 0);
static void write_format(Entry *e, const char *place, const char *format, va_list ap) {
        char inline_text[TEXT_INLINE];
        _cleanup_free_ char *long_text = NULL;
        va_list again;

        va_copy(again, ap);
        errno = -e->error;
        int n = vsnprintf(inline_text, sizeof(inline_text), format, ap);
        errno = -e->error;
        if (n >= (int) sizeof(inline_text) && vasprintf(&long_text, format, again) < 0)
                long_text = NULL;       /* the shortened text has to do */
        va_end(again);

        e->text = n < 0 ? format : long_text ? long_text : inline_text;
        write_entry(e, place);
}

int log_full(int level, int error, const char *format, ...) {
        if (level > logger.level)
                return error;

        int saved = errno;
        va_list ap;
        va_start(ap, format);
        write_format(&(Entry) { .level = level, .error = error }, "", format, ap);
        va_end(ap);
        errno = saved;
        return error;
}

/* "site.mcl:3:1: file[/etc/motd]: ". The place in the program is for those who have to mend something there. */
int log_resource(int level, const char *kind, const char *name, Pos pos, const char *format, ...) {
        if (level > logger.level)
                return 0;

        int saved = errno;
        _cleanup_free_ char *place = NULL;
        int n = level <= LOG_WARNING && pos.line > 0 && pos.file
                        ? asprintf(&place, "%s:%u:%u: %s[%s]: ", pos.file, pos.line, pos.column, kind, name)
                        : asprintf(&place, "%s[%s]: ", kind, name);
        va_list ap;
        va_start(ap, format);
        write_format(&(Entry) { .level = level, .kind = kind, .name = name, .pos = pos },
                     n < 0 ? "" : place, format, ap);
        va_end(ap);
        errno = saved;
        return 0;
}

int log_diag(int level, const Diag *d) {
        if (level > logger.level)
                return d->error;

        int saved = errno;
        _cleanup_free_ char *text = diag_text(d);
        Entry e = { .level = level, .error = d->error, .pos = d->pos };
        e.text = text ? text : d->message ? d->message : "(out of memory)";
        write_entry(&e, "");
        for (size_t i = 0; i < d->n_notes; i++) {
                e.text = d->notes[i].text;
                e.pos = d->notes[i].pos;
                write_entry(&e, "");
        }
        errno = saved;
        return d->error;
}
