/* SPDX-License-Identifier: GPL-3.0-or-later */

/* UTF-8 in and out, and what may be shown as it is. The C library knows both, but only through the locale, and what a program
 * prints must not depend on that. */

#include "common/macro.h"
#include "common/utf8.h"

static const struct {
        uint32_t first, last;
} printable[] = {
#include "common/unicode-print.inc"
};

size_t utf8_decode(const char *s, size_t size, uint32_t *ret) {
        const unsigned char *p = (const unsigned char *) s;
        uint32_t c, least;
        size_t n;

        if (p[0] < 0x80) {
                *ret = p[0];
                return 1;
        }
        if (p[0] < 0xc2)
                return 0;
        if (p[0] < 0xe0) {
                n = 2;
                least = 0x80;
                c = p[0] & 0x1fU;
        } else if (p[0] < 0xf0) {
                n = 3;
                least = 0x800;
                c = p[0] & 0x0fU;
        } else if (p[0] < 0xf5) {
                n = 4;
                least = 0x10000;
                c = p[0] & 0x07U;
        } else
                return 0;

        if (size < n)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fU);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret = c;
        return n;
}

size_t utf8_encode(uint32_t c, char ret[static 4]) {
        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                c = 0xfffd;
        if (c < 0x80) {
                ret[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                ret[0] = (char) (0xc0 | c >> 6);
                ret[1] = (char) (0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                ret[0] = (char) (0xe0 | c >> 12);
                ret[1] = (char) (0x80 | (c >> 6 & 0x3f));
                ret[2] = (char) (0x80 | (c & 0x3f));
                return 3;
        }
        ret[0] = (char) (0xf0 | c >> 18);
        ret[1] = (char) (0x80 | (c >> 12 & 0x3f));
        ret[2] = (char) (0x80 | (c >> 6 & 0x3f));
        ret[3] = (char) (0x80 | (c & 0x3f));
        return 4;
}

unsigned utf8_control_size(const char *s) {
        unsigned char c = (unsigned char) s[0], next = (unsigned char) (c ? s[1] : 0);

        if ((c > 0 && c < 0x20) || c == 0x7f)
                return 1;
        return c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

bool utf8_valid(const char *s, size_t size) {
        uint32_t c;

        for (size_t i = 0; i < size;) {
                uint64_t word;
                if (size - i >= sizeof(word) && (memcpy(&word, s + i, sizeof(word)), (word & 0x8080808080808080) == 0)) {
                        i += sizeof(word);      /* ASCII */
                        continue;
                }
                size_t n = (unsigned char) s[i] < 0x80 ? 1 : utf8_decode(s + i, size - i, &c);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

bool unicode_is_print(uint32_t c) {
        if (c < 0xa0)
                return c >= ' ' && c < 0x7f;

        size_t low = 0, high = ELEMENTSOF(printable);
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (c > printable[middle].last)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < ELEMENTSOF(printable) && c >= printable[low].first;
}

/* ---- case ---- */

typedef struct CaseRange {
        uint32_t first, last, step;
        int32_t upper, lower, title;
} CaseRange;

static const CaseRange cases[] = {
#include "common/unicode-case.inc"
};

/* Ranges with step 2 come in pairs, of which the second begins inside the first. */
static const CaseRange *case_of(uint32_t c) {
        size_t low = 0, high = ELEMENTSOF(cases);

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (cases[middle].first <= c)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (size_t i = low; i > 0 && i + 2 > low; i--) {
                const CaseRange *r = &cases[i - 1];
                if (c <= r->last && (c - r->first) % r->step == 0)
                        return r;
        }
        return NULL;
}

uint32_t unicode_upper(uint32_t c) {
        if (c < 0x80)
                return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
        const CaseRange *r = case_of(c);
        return r ? c + (uint32_t) r->upper : c;
}

uint32_t unicode_lower(uint32_t c) {
        if (c < 0x80)
                return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
        const CaseRange *r = case_of(c);
        return r ? c + (uint32_t) r->lower : c;
}

uint32_t unicode_title(uint32_t c) {
        if (c < 0x80)
                return unicode_upper(c);
        const CaseRange *r = case_of(c);
        return r ? c + (uint32_t) r->title : c;
}

uint32_t unicode_fold(uint32_t c) {
        return c == 0x130 || c == 0x131 ? c : unicode_lower(unicode_upper(c));  /* the i of Turkish is no other i */
}
