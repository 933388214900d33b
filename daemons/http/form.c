/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A field of a multipart form that names a file is a field like any other: its content is the value. */

#include <strings.h>

#include "common/strbuf.h"
#include "daemons/http/form.h"

void http_form_done(HttpForm *f) {
        for (size_t i = 0; i < f->n; i++) {
                free(f->fields[i].name);
                free(f->fields[i].value);
        }
        free(f->fields);
        *f = (HttpForm) {};
}

const HttpFormField *http_form_get(const HttpForm *f, const char *name) {
        size_t size = strlen(name);

        for (size_t i = 0; i < f->n; i++)
                if (f->fields[i].name_size == size && memcmp(f->fields[i].name, name, size) == 0)
                        return f->fields + i;
        return NULL;
}

/* Takes name and value over, also on failure. */
static int form_add(HttpForm *f, StrBuf *name, StrBuf *value) {
        HttpFormField field = { .name_size = name->size, .value_size = value->size };
        int r = 0;

        field.name = strbuf_take(name);
        field.value = strbuf_take(value);
        if (!field.name || !field.value)
                r = -ENOMEM;
        else if (f->n >= HTTP_FORM_FIELDS_MAX)
                r = -E2BIG;
        else
                r = GROW(f->fields, f->n, f->capacity);
        if (r < 0) {
                free(field.name);
                free(field.value);
                return r;
        }
        f->fields[f->n++] = field;
        return 0;
}

/* ---- application/x-www-form-urlencoded ---- */

static int unescape(const char *text, size_t size, StrBuf *ret) {
        for (size_t i = 0; i < size; i++) {
                if (text[i] != '%') {
                        strbuf_putc(ret, text[i] == '+' ? ' ' : text[i]);
                        continue;
                }
                int high = size - i > 2 ? hex_digit(text[i + 1]) : -1, low = size - i > 2 ? hex_digit(text[i + 2]) : -1;
                if (high < 0 || low < 0)
                        return -EBADMSG;
                strbuf_putc(ret, (char) (high << 4 | low));
                i += 2;
        }
        return 0;
}

static int add_urlencoded(HttpForm *f, const char *text, size_t size) {
        _cleanup_(strbuf_done) StrBuf name = {}, value = {};
        const char *equals = memchr(text, '=', size);
        size_t name_size = equals ? (size_t) (equals - text) : size;
        int r;

        r = unescape(text, name_size, &name);
        if (r >= 0 && equals)
                r = unescape(equals + 1, size - name_size - 1, &value);
        return r < 0 ? r : form_add(f, &name, &value);
}

int http_form_parse_urlencoded(HttpForm *ret, const char *text, size_t size) {
        _cleanup_(http_form_done) HttpForm f = {};

        while (size > 0) {
                const char *end = memchr(text, '&', size);
                size_t n = end ? (size_t) (end - text) : size;
                int r = n > 0 ? add_urlencoded(&f, text, n) : 0;

                if (r < 0)
                        return r;
                n += end != NULL;
                text += n;
                size -= n;
        }
        *ret = f;
        f = (HttpForm) {};
        return 0;
}

/* ---- multipart/form-data ---- */

/* The next ';' that is not within quotes, or end. */
static const char *next_parameter(const char *p, const char *end) {
        bool quoted = false;

        for (; p < end && (quoted || *p != ';'); p++)
                if (*p == '"')
                        quoted = !quoted;
                else if (*p == '\\' && quoted && p + 1 < end)
                        p++;
        return p;
}

/* The text of a parameter, in quotes or not, that begins at p. */
static int parameter_value(const char *p, const char *end, StrBuf *ret) {
        if (p == end || *p != '"') {
                while (p < end && *p && !strchr("; \t", *p))
                        strbuf_putc(ret, *p++);
                return 0;
        }
        for (p++; p < end && *p != '"'; p++) {
                if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
                        p++;
                strbuf_putc(ret, *p);
        }
        return p < end ? 0 : -EBADMSG;
}

/* The value of a parameter as in 'form-data; name="a"'. */
static int header_parameter(const char *text, size_t size, const char *name, StrBuf *ret) {
        const char *end = text + size, *p = text;
        size_t name_size = strlen(name);

        while ((p = next_parameter(p, end)) < end) {
                p++;
                while (p < end && (*p == ' ' || *p == '\t'))
                        p++;
                if ((size_t) (end - p) > name_size && strncasecmp(p, name, name_size) == 0 && p[name_size] == '=')
                        return parameter_value(p + name_size + 1, end, ret);
        }
        return -EBADMSG;
}

/* The lines up to the empty one: is a name among them? Sets *text behind them. */
static int part_name(const char **text, const char *end, StrBuf *ret) {
        static const char wanted[] = "Content-Disposition:";
        bool found = false;

        for (;;) {
                const char *line = *text, *line_end = memmem(line, (size_t) (end - line), "\r\n", 2);

                if (!line_end)
                        return -EBADMSG;
                *text = line_end + 2;
                if (line_end == line)
                        return found ? 0 : -EBADMSG;
                if (found || strncasecmp(line, wanted, sizeof(wanted) - 1) != 0)
                        continue;
                int r = header_parameter(line, (size_t) (line_end - line), "name", ret);
                if (r < 0)
                        return r;
                found = true;
        }
}

/* Text begins behind a boundary: 1 if another part follows (then *text begins behind the boundary at its end), 0 at the end. */
static int add_part(HttpForm *f, const char **text, const char *end, const StrBuf *boundary) {
        _cleanup_(strbuf_done) StrBuf name = {}, value = {};
        const char *part = *text;
        int r;

        if (end - part >= 2 && memcmp(part, "--", 2) == 0)
                return 0;
        while (part < end && (*part == ' ' || *part == '\t'))
                part++;
        if (end - part < 2 || memcmp(part, "\r\n", 2) != 0)
                return -EBADMSG;
        part += 2;
        r = part_name(&part, end, &name);
        if (r < 0)
                return r;

        /* boundary begins with the line end before it; an empty value shares that with the end of the headers */
        const char *value_end = memmem(part - 2, (size_t) (end - part) + 2, boundary->data, boundary->size);
        if (!value_end)
                return -EBADMSG;
        *text = value_end + boundary->size;
        if (value_end > part)
                strbuf_add(&value, part, (size_t) (value_end - part));
        r = form_add(f, &name, &value);
        return r < 0 ? r : 1;
}

int http_form_parse_multipart(HttpForm *ret, const char *content_type, const char *text, size_t size) {
        _cleanup_(strbuf_done) StrBuf boundary = {}, token = {};
        _cleanup_(http_form_done) HttpForm f = {};
        const char *end = text + size;
        int r;

        r = header_parameter(content_type, strlen(content_type), "boundary", &token);
        if (r < 0)
                return r;
        if (token.size == 0)
                return -EBADMSG;
        strbuf_puts(&boundary, "\r\n--");
        strbuf_add(&boundary, token.data, token.size);
        if (token.failed || boundary.failed)
                return -ENOMEM;

        /* the first one may stand at the very start */
        if (size >= boundary.size - 2 && memcmp(text, boundary.data + 2, boundary.size - 2) == 0)
                text += boundary.size - 2;
        else {
                text = memmem(text, size, boundary.data, boundary.size);
                if (!text)
                        return -EBADMSG;
                text += boundary.size;
        }

        do
                r = add_part(&f, &text, end, &boundary);
        while (r > 0);
        if (r < 0)
                return r;
        *ret = f;
        f = (HttpForm) {};
        return 0;
}

static bool is_type(const char *header, const char *type) {
        size_t n = strlen(type);

        return strncasecmp(header, type, n) == 0 && (header[n] == 0 || strchr("; \t", header[n]));
}

int http_form_parse(HttpForm *ret, const HttpRequest *q) {
        const char *type = http_request_header(q, "Content-Type");
        const StrBuf *body = http_request_body(q);

        *ret = (HttpForm) {};
        if (body->size == 0)
                return 0;
        if (!type)
                return -ENOTSUP;
        if (is_type(type, "application/x-www-form-urlencoded"))
                return http_form_parse_urlencoded(ret, body->data, body->size);
        if (is_type(type, "multipart/form-data"))
                return http_form_parse_multipart(ret, type, body->data, body->size);
        return -ENOTSUP;
}

unsigned http_form_error_status(int error) {
        return error == -EBADMSG ? 400 : error == -E2BIG ? 413 : error == -ENOTSUP ? 415 : 500;
}
