/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Text for people and JSON for programs. Control characters that come from outside (names of resources, output of commands)
 * never reach the terminal as such. */

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <syslog.h>
#include <time.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"

static bool color_out = false, color_err = false;
static char *progress = NULL;
static const char *host = NULL;

void output_set_host(const char *name) {
        host = name;
}

int output_set_color(const char *when) {
        const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
        bool possible = !(no_color && *no_color) && !(term && streq(term, "dumb"));

        if (streq(when, "always"))
                color_out = color_err = true;
        else if (streq(when, "never"))
                color_out = color_err = false;
        else if (streq(when, "auto")) {
                color_out = possible && isatty(STDOUT_FILENO);
                color_err = possible && isatty(STDERR_FILENO);
        } else {
                output_error("--color must be auto, always or never, got '%s'", when);
                return -EINVAL;
        }
        return 0;
}

static bool output_is_terminal(void) {
        return !arg_json && isatty(STDOUT_FILENO);
}

bool output_has_color(void) {
        return color_out;
}

bool output_is_broken(void) {
        return ferror(stdout);
}

/* ---- lines ---- */

static void progress_hide(void) {
        if (progress)
                fputs("\r\033[K", stdout);
}

static void progress_show(void) {
        if (progress)
                fprintf(stdout, "%s\r", progress);
        fflush(stdout);
}

void output_progress_clear(void) {
        progress_hide();
        free(TAKE_PTR(progress));
        fflush(stdout);
}

void output_progress(const char *format, ...) {
        va_list ap;

        output_progress_clear();
        if (!output_is_terminal())
                return;
        va_start(ap, format);
        if (vasprintf(&progress, format, ap) < 0)
                progress = NULL;
        va_end(ap);
        progress_show();
}

/* Appends text with control characters made visible; newlines become what separates lines of one event. */
static void add_clean(StrBuf *b, const char *text, const char *newline) {
        size_t n = strlen(text);

        while (n > 0 && text[n - 1] == '\n')
                n--;
        for (size_t i = 0; i < n;) {
                unsigned size = utf8_control_size(text + i);

                if (text[i] == '\n') {
                        strbuf_puts(b, newline);
                        i++;
                } else if (text[i] == '\t' || size == 0)
                        strbuf_putc(b, text[i++]);
                else
                        for (; size > 0; size--, i++)
                                strbuf_printf(b, "\\x%02x", (unsigned char) text[i]);
        }
}

static void add_colored(StrBuf *b, bool on, const char *color, const char *text) {
        if (on && color)
                strbuf_printf(b, "\033[%sm", color);
        add_clean(b, text, "\n    ");
        if (on && color)
                strbuf_puts(b, "\033[0m");
}

static void print_line(FILE *f, StrBuf *b) {
        _cleanup_free_ char *line = strbuf_take(b);

        progress_hide();
        fflush(stdout);
        if (host)
                fprintf(f, "%s: ", host);
        fprintf(f, "%s\n", line ?: "out of memory");
        fflush(f);
        progress_show();
}

void output_json(struct json_object *j) {
        const char *line;

        output_json_str(j, "host", host);
        line = j ? json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN|JSON_C_TO_STRING_NOSLASHESCAPE) : NULL;
        fprintf(stdout, "%s\n", line ?: "{\"type\":\"error\",\"text\":\"out of memory\"}");
        fflush(stdout);
        json_object_put(j);
}

void output_json_str(struct json_object *j, const char *key, const char *text) {
        _cleanup_(value_done) Value v = {};
        struct json_object *s = NULL;

        if (text && value_strz(&v, text) >= 0 && value_to_json(v, &s) >= 0)
                json_object_object_add(j, key, s);
}

static void json_add_pos(struct json_object *j, Pos pos) {
        if (pos.line == 0)
                return;
        output_json_str(j, "file", pos.file);
        json_object_object_add(j, "line", json_object_new_int64(pos.line));
        json_object_object_add(j, "column", json_object_new_int64(pos.column));
        json_object_object_add(j, "end_line", json_object_new_int64(pos.end_line));
        json_object_object_add(j, "end_column", json_object_new_int64(pos.end_column));
}

static struct json_object *json_new(const char *type) {
        struct json_object *j = json_object_new_object();

        output_json_str(j, "type", type);
        return j;
}

void output_note(const char *type, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (!text)
                return;
        if (arg_json) {
                struct json_object *j = json_new(type);

                output_json_str(j, "text", text);
                output_json(j);
        } else {
                _cleanup_(strbuf_done) StrBuf b = {};

                add_colored(&b, color_out, OUTPUT_DIM, text);
                print_line(stdout, &b);
        }
}

void output_error(const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (arg_json) {
                struct json_object *j = json_new("error");

                output_json_str(j, "message", text ?: "out of memory");
                output_json(j);
        } else {
                _cleanup_(strbuf_done) StrBuf b = {};

                add_colored(&b, color_err, OUTPUT_RED, "mgmtctl: ");
                add_clean(&b, text ?: "out of memory", "\n");
                print_line(stderr, &b);
        }
}

void output_parts(const OutputPart *parts, size_t n) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (size_t i = 0; i < n; i++)
                add_colored(&b, color_out, parts[i].color, parts[i].text);
        print_line(stdout, &b);
}

static void print_diag(const char *severity, const Diag *d, const char *source, size_t source_size) {
        if (!arg_json) {
                _cleanup_free_ char *text = diag_render(d, source, source_size, color_err);
                _cleanup_(strbuf_done) StrBuf b = {};

                if (!d->pos.file)
                        add_colored(&b, color_err, OUTPUT_RED, "mgmtctl: ");
                size_t n = text ? strlen(text) : 0;
                while (n > 0 && text[n - 1] == '\n')
                        n--;
                strbuf_add(&b, text ?: "out of memory", text ? n : strlen("out of memory"));
                print_line(stderr, &b);
                return;
        }

        struct json_object *j = json_new("error"), *notes = json_object_new_array();
        json_add_pos(j, d->pos);
        output_json_str(j, "severity", severity);
        output_json_str(j, "message", d->message);
        for (size_t i = 0; i < d->n_notes; i++) {
                struct json_object *note = json_object_new_object();

                json_add_pos(note, d->notes[i].pos);
                output_json_str(note, "text", d->notes[i].text);
                json_object_array_add(notes, note);
        }
        json_object_object_add(j, "notes", notes);
        output_json(j);
}

void output_diag(const Diag *d, const char *source, size_t source_size) {
        print_diag("error", d, source, source_size);
}

void output_diag_warning(const Diag *d, const char *source, size_t source_size) {
        print_diag("warning", d, source, source_size);
}

/* ---- events ---- */

static const struct {
        const char *state, *color;
} state_colors[] = {
        { "changed", OUTPUT_GREEN },
        { "ok", OUTPUT_GREEN },
        { "failed", OUTPUT_RED },
        { "retrying", OUTPUT_YELLOW },
        { "waiting", OUTPUT_YELLOW },
        { "drifted", OUTPUT_YELLOW },
        { "true", OUTPUT_GREEN },
};

const char *output_state_color(const char *state) {
        for (size_t i = 0; i < ELEMENTSOF(state_colors); i++)
                if (streq_ptr(state_colors[i].state, state))
                        return state_colors[i].color;
        return NULL;
}

static void event_json(const Message *m) {
        struct json_object *j = json_new(m->event.type);

        json_object_object_add(j, "time_usec", json_object_new_int64((int64_t) m->event.time_usec));
        output_json_str(j, "kind", m->event.kind);
        output_json_str(j, "name", m->event.name);
        json_object_object_add(j, "priority", json_object_new_int(m->event.priority));
        output_json_str(j, "state", m->event.state);
        output_json_str(j, "text", m->event.text);
        output_json(j);
}

static void add_time(StrBuf *b, uint64_t time_usec) {
        time_t seconds = (time_t) (time_usec / 1000000);
        struct tm tm;
        char text[32];

        if (!localtime_r(&seconds, &tm))
                return;
        (void) snprintf(text, sizeof(text), "%02d:%02d:%02d.%03d ", tm.tm_hour, tm.tm_min, tm.tm_sec,
                        (int) (time_usec / 1000 % 1000));
        add_colored(b, color_out, OUTPUT_DIM, text);
}

void output_event(const Message *m) {
        const char *type = m->event.type ?: "", *state = m->event.state, *word = type, *color = output_state_color(type);
        _cleanup_(strbuf_done) StrBuf b = {};

        if (arg_json) {
                event_json(m);
                return;
        }
        add_time(&b, m->event.time_usec);
        if (m->event.kind) {
                _cleanup_free_ char *id = NULL;

                if (asprintf(&id, "%s[%s]: ", m->event.kind, m->event.name ?: "") < 0)
                        id = NULL;
                add_colored(&b, color_out, OUTPUT_BOLD, id ?: "");
        }

        /* A line that a resource wrote speaks for itself, and so does a state. */
        if (streq(type, "state") && state) {
                word = state;
                color = output_state_color(state);
        } else if (streq(type, "converged")) {
                word = streq_ptr(state, "true") ? "converged" : "converging";
                color = output_state_color(state);
        } else if (streq(type, "log"))
                word = NULL;
        if (m->event.priority <= LOG_ERR)
                color = OUTPUT_RED;

        bool has_text = m->event.text && *m->event.text;
        if (word)
                add_colored(&b, color_out, color, word);
        if (word && has_text)
                strbuf_puts(&b, ": ");
        if (has_text)
                add_colored(&b, color_out && !word, color, m->event.text);
        print_line(stdout, &b);
}

/* ---- tables ---- */

/* Columns on the screen: UTF-8 continuation bytes take none. */
static size_t text_width(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char) *s & 0xc0) != 0x80;
        return n;
}

static size_t terminal_width(void) {
        struct winsize size;

        return output_is_terminal() && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0 ? size.ws_col : SIZE_MAX;
}

/* Cuts s after so many columns. */
static void cut_text(char *s, size_t width) {
        for (; *s; s++)
                if (((unsigned char) *s & 0xc0) != 0x80 && width-- == 0) {
                        *s = '\0';
                        return;
                }
}

void output_table(const OutputCell *cells, size_t n_columns, size_t n_rows) {
        _cleanup_free_ size_t *widths = calloc(n_columns, sizeof(size_t));
        if (!widths)
                return;
        for (size_t i = 0; i < n_rows * n_columns; i++)
                widths[i % n_columns] = MAX(widths[i % n_columns], text_width(cells[i].text ?: ""));

        for (size_t row = 0; row < n_rows; row++) {
                _cleanup_(strbuf_done) StrBuf line = {};
                size_t left = terminal_width();

                for (size_t k = 0; k < n_columns && left > 0; k++) {
                        const OutputCell *cell = &cells[row * n_columns + k];
                        _cleanup_(strbuf_done) StrBuf clean = {};

                        add_clean(&clean, cell->text ?: "", " ");
                        _cleanup_free_ char *text = strbuf_take(&clean);
                        if (!text)
                                return;
                        cut_text(text, left);
                        add_colored(&line, color_out, row == 0 ? OUTPUT_BOLD : cell->color, text);

                        size_t used = text_width(text), wanted = k + 1 < n_columns ? widths[k] + 2 : used;
                        for (; used < wanted && used < left; used++)
                                strbuf_putc(&line, ' ');
                        left -= used;
                }
                print_line(stdout, &line);
        }
}
