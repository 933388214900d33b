/* SPDX-License-Identifier: GPL-3.0-or-later */

/* random1 and golang/math/rand. All of it is the kernel's randomness: nobody can tell the next number from those before. */

#include <math.h>
#include <sys/random.h>

#include "daemons/lang/sources.h"

enum { RANDOM1_MAX = 65535 };

static int fill(void *data, size_t size, Diag *reterr) {
        for (char *p = data; size > 0;) {
                ssize_t n = getrandom(p, size, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return diag_set(reterr, (Pos) {}, -errno, "cannot get random numbers: %m");
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

/* ---- letters ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

enum { N_LETTERS = sizeof(letters) - 1, BYTES_USED = 256 / N_LETTERS * N_LETTERS };

/* Bytes that would make some letters more frequent than others are not used. */
static int fill_letters(char *ret, size_t size, Diag *reterr) {
        for (size_t n = 0; n < size;) {
                unsigned char bytes[256];
                int r = fill(bytes, sizeof(bytes), reterr);

                if (r < 0)
                        return r;
                for (size_t i = 0; i < sizeof(bytes) && n < size; i++)
                        if (bytes[i] < BYTES_USED)
                                ret[n++] = letters[bytes[i] % N_LETTERS];
        }
        return 0;
}

static int random1_open(Source *s, Diag *reterr) {
        char text[RANDOM1_MAX];
        int64_t length = s->args[0].i;
        Value v = VALUE_NIL;

        if (length < 0 || length > RANDOM1_MAX)
                return diag_set(reterr, (Pos) {}, -EINVAL, "can't generate an invalid length");
        int r = fill_letters(text, (size_t) length, reterr);
        if (r < 0)
                return r;
        r = value_str(&v, text, (size_t) length);
        source_result(s, r, v);
        return 0;
}

/* ---- numbers ---- */

static int random_63(int64_t *ret, Diag *reterr) {
        uint64_t bits;
        int r = fill(&bits, sizeof(bits), reterr);

        if (r >= 0)
                *ret = (int64_t) (bits >> 1);
        return r;
}

/* In [0, 1), with as many bits as a double has. */
static int random_unit(double *ret, Diag *reterr) {
        uint64_t bits;
        int r = fill(&bits, sizeof(bits), reterr);

        if (r >= 0)
                *ret = (double) (bits >> 11) * 0x1p-53;
        return r;
}

static int int_open(Source *s, Diag *reterr) {
        int64_t n;
        int r = random_63(&n, reterr);

        if (r >= 0)
                source_set(s, VALUE_INT(n));
        return r;
}

/* Numbers above the last whole multiple of the limit are drawn again, so that all are equally likely. */
static int int_below_open(Source *s, Diag *reterr) {
        int64_t limit = s->args[0].i, n;

        if (limit <= 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid argument to %s, it must be positive", s->function);
        do {
                int r = random_63(&n, reterr);
                if (r < 0)
                        return r;
        } while (n > INT64_MAX - INT64_MAX % limit - 1);
        source_set(s, VALUE_INT(n % limit));
        return 0;
}

static int float_open(Source *s, Diag *reterr) {
        double u;
        int r = random_unit(&u, reterr);

        if (r >= 0)
                source_set(s, VALUE_FLOAT(u));
        return r;
}

static int exponential_open(Source *s, Diag *reterr) {
        double u;
        int r = random_unit(&u, reterr);

        if (r >= 0)
                source_set(s, VALUE_FLOAT(-log1p(-u)));
        return r;
}

/* By the method of Box and Muller. */
static int normal_open(Source *s, Diag *reterr) {
        double u, angle;
        int r = random_unit(&u, reterr);

        if (r >= 0)
                r = random_unit(&angle, reterr);
        if (r >= 0)
                source_set(s, VALUE_FLOAT(sqrt(-2 * log1p(-u)) * cos(2 * M_PI * angle)));
        return r;
}

static int read_open(Source *s, Diag *reterr) {
        source_set(s, VALUE_INT(s->args[0].s->size));
        return 0;
}

const SourceType rand_sources[] = {
        { .name = "golang/math/rand.exp_float_64", .size = sizeof(Source), .open = exponential_open },
        { .name = "golang/math/rand.float_64", .size = sizeof(Source), .open = float_open },
        { .name = "golang/math/rand.int", .size = sizeof(Source), .open = int_open },
        { .name = "golang/math/rand.int_63", .size = sizeof(Source), .open = int_open },
        { .name = "golang/math/rand.int_63_n", .size = sizeof(Source), .open = int_below_open },
        { .name = "golang/math/rand.intn", .size = sizeof(Source), .open = int_below_open },
        { .name = "golang/math/rand.norm_float_64", .size = sizeof(Source), .open = normal_open },
        { .name = "golang/math/rand.read", .size = sizeof(Source), .open = read_open },
        { .name = "random1", .size = sizeof(Source), .open = random1_open },
        {}
};
