/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "common/difference.h"
#include "common/strbuf.h"
#include "common/text-diff.h"

enum { SHORT_MAX = 200 };

static bool is_short(const char *s, size_t size) {
        if (size > SHORT_MAX)
                return false;
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f)
                        return false;
        return true;
}

static int copy_short(const char *s, size_t size, char **ret) {
        *ret = s ? strndup(s, size) : NULL;
        return s && !*ret ? -ENOMEM : 0;
}

static int copy_size(const char *s, size_t size, char **ret) {
        *ret = NULL;
        if (s && asprintf(ret, "%zu byte%s", size, size == 1 ? "" : "s") < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

int difference_new(Difference *ret, const char *field, const char *from, size_t from_size, const char *to, size_t to_size, bool brief) {
        _cleanup_(difference_done) Difference d = { .field = strdup(field) };
        int r;

        if (!d.field)
                return -ENOMEM;
        if ((!from || is_short(from, from_size)) && (!to || is_short(to, to_size))) {
                r = copy_short(from, from_size, &d.from);
                if (r >= 0)
                        r = copy_short(to, to_size, &d.to);
        } else {
                r = brief ? -EFBIG : text_diff(from, from ? from_size : 0, to, to ? to_size : 0, &d.diff);
                if (r == -EFBIG || r == -EINVAL) {
                        r = copy_size(from, from_size, &d.from);
                        if (r >= 0)
                                r = copy_size(to, to_size, &d.to);
                }
        }
        if (r < 0)
                return r;
        *ret = d;
        d = (Difference) {};
        return 0;
}

void difference_done(Difference *d) {
        free(d->field);
        free(d->from);
        free(d->to);
        free(d->diff);
        *d = (Difference) {};
}

static size_t text_size(const char *s) {
        return s ? strlen(s) : 0;
}

/* Of the empty text nothing would be seen. */
static const char *shown(const char *text) {
        return *text ? text : "\"\"";
}

char *difference_text(const Difference *d, bool with_diff) {
        StrBuf b = {};

        if (d->flags & DIFFERENCE_UNKNOWN)
                strbuf_printf(&b, "%s%scannot be known yet%s%s", d->field, *d->field ? " " : "", d->to ? ": " : "", d->to ? d->to : "");
        else if (d->flags & DIFFERENCE_SECRET)
                strbuf_printf(&b, "%s: (secret)", d->field);
        else if (d->diff && with_diff)
                strbuf_printf(&b, "%s:\n%.*s", d->field, (int) (strlen(d->diff) - endswith(d->diff, "\n")), d->diff);
        else if (d->from && d->to)
                strbuf_printf(&b, "%s: %s -> %s", d->field, shown(d->from), shown(d->to));
        else if (d->from)
                strbuf_printf(&b, "%s: %s -> nothing", d->field, shown(d->from));
        else if (d->to)
                strbuf_printf(&b, "%s: %s", d->field, shown(d->to));
        else
                strbuf_puts(&b, d->field);
        return strbuf_take(&b);
}

int differences_add(Differences *list, Difference *d) {
        _cleanup_(difference_done) Difference own = *d;
        size_t size = text_size(own.field) + text_size(own.from) + text_size(own.to) + text_size(own.diff);

        *d = (Difference) {};
        if (list->n >= DIFFERENCES_MAX)
                return 0;
        if (list->size + size > DIFFERENCES_SIZE_MAX) {
                free(TAKE_PTR(own.from));
                free(TAKE_PTR(own.to));
                free(TAKE_PTR(own.diff));
                size = text_size(own.field);
        }
        if (GROW(list->items, list->n, list->capacity) < 0)
                return -ENOMEM;
        list->items[list->n++] = own;
        list->size += size;
        own = (Difference) {};
        return 0;
}

void differences_done(Differences *list) {
        for (size_t i = 0; i < list->n; i++)
                difference_done(&list->items[i]);
        free(list->items);
        *list = (Differences) {};
}

bool difference_is_for_people(const Difference *d) {
        return !(d->flags & DIFFERENCE_UNKNOWN) || d->to;
}

char *differences_text(const Differences *list, bool with_diffs) {
        StrBuf b = {};

        for (size_t i = 0; i < list->n; i++) {
                if (!difference_is_for_people(&list->items[i]))
                        continue;
                _cleanup_free_ char *text = difference_text(&list->items[i], with_diffs);
                strbuf_puts(&b, b.size == 0 ? "" : with_diffs ? "\n" : ", ");
                strbuf_puts(&b, text ? text : "out of memory");
        }
        return strbuf_take(&b);
}
