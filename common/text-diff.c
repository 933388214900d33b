/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Myers' greedy algorithm ("An O(ND) difference algorithm and its variations", 1986) over what is left between the lines that both
 * have at the beginning and at the end. It walks from (0, 0) to (n, m): a step right removes a line, a step down adds one, a diagonal
 * keeps one. For each number of steps the furthest points are kept, so that the way can be found from its end. */

#include <stdbool.h>
#include <stdint.h>

#include "common/hash.h"
#include "common/strbuf.h"
#include "common/text-diff.h"

enum {
        CONTEXT = 3,
        STEPS_MAX = 800,                        /* memory grows with the square */
        WORK_MAX = 4 * 1024 * 1024,             /* comparisons of lines */
        LINE_MAX_SHOWN = 1000,
};

typedef struct Line {
        const char *text;
        size_t size;            /* with its newline */
        uint64_t hash;
} Line;

typedef struct Lines {
        Line *items;
        size_t n, capacity;
} Lines;

/* From line a of one text, and line b of the other, so many are replaced by so many. */
typedef struct Change {
        size_t a, n_a, b, n_b;
} Change;

typedef struct Changes {
        Change *items;
        size_t n, capacity;
} Changes;

static int split(const char *text, size_t size, Lines *ret) {
        while (size > 0) {
                const char *end = memchr(text, '\n', size);
                size_t n = end ? (size_t) (end - text) + 1 : size;

                if (GROW(ret->items, ret->n, ret->capacity) < 0)
                        return -ENOMEM;
                ret->items[ret->n++] = (Line) { .text = text, .size = n, .hash = hash_bytes(text, n) };
                text += n;
                size -= n;
        }
        return 0;
}

/* Nobody can foresee the hash, and this is for eyes only. */
static bool is_same(const Line *a, const Line *b) {
        return a->hash == b->hash && a->size == b->size;
}

static int add_change(Changes *c, size_t a, size_t n_a, size_t b, size_t n_b) {
        if (GROW(c->items, c->n, c->capacity) < 0)
                return -ENOMEM;
        c->items[c->n++] = (Change) { a, n_a, b, n_b };
        return 0;
}

/* Back from (n, m): each step is a change of its own, the last one first. */
static int walk_back(int32_t *const *furthest, int d, int n, int m, size_t offset, Changes *ret) {
        int x = n, y = m;

        for (; d > 0; d--) {
                const int32_t *v = furthest[d - 1] + d;         /* v[k]: of one step less, -d < k < d */
                int k = x - y;
                bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
                int before = down ? k + 1 : k - 1;
                int from_x = v[before], from_y = from_x - before;

                if (add_change(ret, offset + (size_t) from_x, !down, offset + (size_t) from_y, down) < 0)
                        return -ENOMEM;
                x = from_x;
                y = from_y;
        }
        return 0;
}

static void reverse_and_join(Changes *c) {
        size_t n = 0;

        for (size_t i = 0; i < c->n / 2; i++) {
                Change swap = c->items[i];
                c->items[i] = c->items[c->n - 1 - i];
                c->items[c->n - 1 - i] = swap;
        }
        for (size_t i = 0; i < c->n; i++) {
                Change *last = n > 0 ? &c->items[n - 1] : NULL;
                const Change *next = &c->items[i];

                if (last && last->a + last->n_a == next->a && last->b + last->n_b == next->b) {
                        last->n_a += next->n_a;
                        last->n_b += next->n_b;
                } else
                        c->items[n++] = *next;
        }
        c->n = n;
}

/* 1 if it was found, 0 if that would take too long. */
static int search(const Line *a, int n, const Line *b, int m, int32_t **furthest, int *ret_steps) {
        size_t work = 0;

        for (int d = 0; d <= STEPS_MAX; d++) {
                /* Of d steps: diagonals -d … d, with room for a neighbour at either side. */
                int32_t *v = furthest[d] = calloc((size_t) d * 2 + 3, sizeof(*v)), *now = v ? v + d + 1 : NULL;
                const int32_t *before = d > 0 ? furthest[d - 1] + d : NULL;

                if (!v)
                        return -ENOMEM;
                for (int k = -d; k <= d; k += 2) {
                        int x = d == 0 ? 0 : k == -d || (k != d && before[k - 1] < before[k + 1]) ? before[k + 1] : before[k - 1] + 1;
                        int y = x - k;

                        while (x < n && y < m && is_same(&a[x], &b[y])) {
                                x++;
                                y++;
                                work++;
                        }
                        now[k] = x;
                        work++;
                        if (x == n && y == m) {
                                *ret_steps = d;
                                return 1;
                        }
                }
                if (work > WORK_MAX)
                        return 0;
        }
        return 0;
}

static int find_changes(const Lines *from, const Lines *to, Changes *ret) {
        size_t begin = 0, n = from->n, m = to->n;
        int steps = 0, r;

        while (begin < n && begin < m && is_same(&from->items[begin], &to->items[begin]))
                begin++;
        while (n > begin && m > begin && is_same(&from->items[n - 1], &to->items[m - 1])) {
                n--;
                m--;
        }
        n -= begin;
        m -= begin;
        if (n == 0 && m == 0)
                return 0;
        if (n == 0 || m == 0)
                return add_change(ret, begin, n, begin, m);

        int32_t **furthest = calloc(STEPS_MAX + 1, sizeof(*furthest));
        if (!furthest)
                return -ENOMEM;
        r = search(from->items + begin, (int) n, to->items + begin, (int) m, furthest, &steps);
        if (r > 0) {
                r = walk_back(furthest, steps, (int) n, (int) m, begin, ret);
                reverse_and_join(ret);
        } else if (r == 0)
                r = add_change(ret, begin, n, begin, m);
        for (int d = 0; d <= STEPS_MAX && furthest[d]; d++)
                free(furthest[d]);
        free(furthest);
        return r;
}

/* ---- as text ---- */

static void put_line(StrBuf *b, char sign, const Line *line) {
        bool whole = line->size > 0 && line->text[line->size - 1] == '\n';
        size_t size = line->size - whole;

        strbuf_putc(b, sign);
        strbuf_add(b, line->text, MIN(size, (size_t) LINE_MAX_SHOWN));
        strbuf_puts(b, size > LINE_MAX_SHOWN ? "…\n" : "\n");
        if (!whole)
                strbuf_puts(b, "\\ No newline at end of file\n");
}

static void put_lines(StrBuf *b, char sign, const Lines *lines, size_t begin, size_t n) {
        for (size_t i = 0; i < n && b->size <= TEXT_DIFF_MAX; i++)
                put_line(b, sign, &lines->items[begin + i]);
}

/* An empty range is said to be after the line before it. */
static void put_range(StrBuf *b, char sign, size_t begin, size_t n) {
        strbuf_printf(b, " %c%zu", sign, n == 0 ? begin : begin + 1);
        if (n != 1)
                strbuf_printf(b, ",%zu", n);
}

/* Changes with little between them, and their surroundings. */
static void put_hunk(StrBuf *b, const Lines *from, const Lines *to, const Change *c, size_t n) {
        size_t before = MIN((size_t) CONTEXT, c[0].a), a = c[0].a - before, to_b = c[0].b - before;
        size_t end_a = c[n - 1].a + c[n - 1].n_a, end_b = c[n - 1].b + c[n - 1].n_b;
        size_t after = MIN((size_t) CONTEXT, from->n - end_a);

        strbuf_puts(b, "@@");
        put_range(b, '-', a, end_a + after - a);
        put_range(b, '+', to_b, end_b + after - to_b);
        strbuf_puts(b, " @@\n");
        for (size_t i = 0; i < n; i++) {
                put_lines(b, ' ', from, a, c[i].a - a);
                put_lines(b, '-', from, c[i].a, c[i].n_a);
                put_lines(b, '+', to, c[i].b, c[i].n_b);
                a = c[i].a + c[i].n_a;
        }
        put_lines(b, ' ', from, a, after);
}

/* Cuts what is too long at the end of a line. */
static void cut(StrBuf *b) {
        size_t end = TEXT_DIFF_MAX - 64;

        if (b->failed || b->size <= TEXT_DIFF_MAX)
                return;
        while (end > 0 && b->data[end - 1] != '\n')
                end--;
        b->size = end;
        b->data[end] = '\0';
        strbuf_puts(b, "\\ What follows is left out\n");
}

static char *write_changes(const Lines *from, const Lines *to, const Changes *c) {
        StrBuf b = {};

        for (size_t i = 0, n; i < c->n && b.size <= TEXT_DIFF_MAX; i += n) {
                for (n = 1; i + n < c->n; n++)
                        if (c->items[i + n].a - (c->items[i + n - 1].a + c->items[i + n - 1].n_a) > 2 * (size_t) CONTEXT)
                                break;
                put_hunk(&b, from, to, c->items + i, n);
        }
        cut(&b);
        return strbuf_take(&b);
}

int text_diff(const char *from, size_t from_size, const char *to, size_t to_size, char **ret) {
        Lines a = {}, b = {};
        Changes c = {};
        int r;

        if (from_size > TEXT_DIFF_INPUT_MAX || to_size > TEXT_DIFF_INPUT_MAX)
                return -EFBIG;
        if ((from_size > 0 && memchr(from, '\0', from_size)) || (to_size > 0 && memchr(to, '\0', to_size)))
                return -EINVAL;

        r = split(from, from_size, &a);
        if (r >= 0)
                r = split(to, to_size, &b);
        if (r >= 0)
                r = find_changes(&a, &b, &c);
        if (r >= 0) {
                *ret = write_changes(&a, &b, &c);
                r = *ret ? 0 : -ENOMEM;
        }
        free(a.items);
        free(b.items);
        free(c.items);
        return r;
}
