/* SPDX-License-Identifier: GPL-3.0-or-later */

/* net, the part about addresses and prefixes. There are two readers with texts of their own for what they refuse: the classic one,
 * for which an IPv4 address in IPv6 form is an IPv4 address, and the strict one of first and last addresses. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

enum { ADDRESS_TEXT_MAX = 64, BITS_DIGITS_MAX = 3 };

typedef struct Address {
        uint8_t bytes[16];
        unsigned n;             /* 4 or 16 */
} Address;

/* What is wrong with an address, and from where on. */
typedef struct Refusal {
        const char *problem;
        const char *at;         /* or NULL */
} Refusal;

static bool refuse(Refusal *ret, const char *problem, const char *at) {
        *ret = (Refusal) { problem, at };
        return false;
}

/* ---- reading ---- */

static bool read_v4(const char *s, uint8_t *ret, Refusal *reterr) {
        unsigned value = 0, digits = 0, n = 0;

        for (const char *c = s; *c; c++)
                if (*c >= '0' && *c <= '9') {
                        if (digits == 1 && value == 0)
                                return refuse(reterr, "IPv4 field has octet with leading zero", NULL);
                        value = value * 10 + (unsigned) (*c - '0');
                        digits++;
                        if (value > 255)
                                return refuse(reterr, "IPv4 field has value >255", NULL);
                } else if (*c != '.')
                        return refuse(reterr, "unexpected character", c);
                else if (digits == 0 || c[1] == '\0')
                        return refuse(reterr, "IPv4 field must have at least one digit", c);
                else if (n == 3)
                        return refuse(reterr, "IPv4 address too long", NULL);
                else {
                        ret[n++] = (uint8_t) value;
                        value = digits = 0;
                }
        if (n < 3)
                return refuse(reterr, "IPv4 address too short", NULL);
        ret[n] = (uint8_t) value;
        return true;
}

static bool read_v6(const char *s, uint8_t *ret, Refusal *reterr) {
        int gap = -1;           /* where the :: stands */
        unsigned n = 0;

        if (startswith(s, "::")) {
                gap = 0;
                s += 2;
        }
        while (n < 16 && *s) {
                unsigned value = 0, digits = 0;
                for (; hex_digit(s[digits]) >= 0; digits++) {
                        if (digits == 4)
                                return refuse(reterr, "each group must have 4 or less digits", s);
                        value = value << 4 | (unsigned) hex_digit(s[digits]);
                }
                if (digits == 0)
                        return refuse(reterr, "each colon-separated field must have at least one digit", s);
                if (s[digits] == '.') {
                        if (gap < 0 && n != 12)
                                return refuse(reterr, "embedded IPv4 address must replace the final 2 fields of the address", s);
                        if (n > 12)
                                return refuse(reterr, "too many hex fields to fit an embedded IPv4 at the end of the address", s);
                        if (!read_v4(s, ret + n, reterr))
                                return false;
                        n += 4;
                        s = "";
                        break;
                }
                ret[n++] = (uint8_t) (value >> 8);
                ret[n++] = (uint8_t) value;
                s += digits;
                if (*s == '\0')
                        break;
                if (*s != ':')
                        return refuse(reterr, "unexpected character, want colon", s);
                if (s[1] == '\0')
                        return refuse(reterr, "colon must be followed by more characters", s);
                s++;
                if (*s == ':') {
                        if (gap >= 0)
                                return refuse(reterr, "multiple :: in address", s);
                        gap = (int) n;
                        s++;
                }
        }
        if (*s)
                return refuse(reterr, "trailing garbage after address", s);
        if (n == 16)
                return gap < 0 || refuse(reterr, "the :: must expand to at least one field of zeros", NULL);
        if (gap < 0)
                return refuse(reterr, "address string too short", NULL);
        unsigned after = n - (unsigned) gap;
        memmove(ret + 16 - after, ret + gap, after);
        memset(ret + gap, 0, 16 - n);
        return true;
}

static bool read_address(const char *s, Address *ret, Refusal *reterr) {
        const char *sign = strpbrk(s, ".:%");

        *ret = (Address) {};
        if (!sign)
                return refuse(reterr, "unable to parse IP", NULL);
        if (*sign == '%')
                return refuse(reterr, "missing IPv6 address", NULL);
        ret->n = *sign == '.' ? 4 : 16;
        return *sign == '.' ? read_v4(s, ret->bytes, reterr) : read_v6(s, ret->bytes, reterr);
}

static bool is_mapped(const Address *a) {
        static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

        return a->n == 16 && memcmp(a->bytes, prefix, sizeof(prefix)) == 0;
}

/* The IPv4 address that an IPv6 address stands for. */
static Address unmapped(const Address *a) {
        Address v4 = { .n = 4 };

        if (!is_mapped(a))
                return *a;
        memcpy(v4.bytes, a->bytes + 12, 4);
        return v4;
}

/* ---- writing ---- */

static void address_text(const Address *a, char ret[static ADDRESS_TEXT_MAX]) {
        unsigned best = 0, best_size = 1;       /* of the longest run of zero groups */
        size_t at = 0;

        if (a->n == 4) {
                snprintf(ret, ADDRESS_TEXT_MAX, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]);
                return;
        }
        if (is_mapped(a)) {
                snprintf(ret, ADDRESS_TEXT_MAX, "::ffff:%u.%u.%u.%u", a->bytes[12], a->bytes[13], a->bytes[14], a->bytes[15]);
                return;
        }
        for (unsigned i = 0; i < 8; i++) {
                unsigned size = 0;
                while (i + size < 8 && a->bytes[2 * (i + size)] == 0 && a->bytes[2 * (i + size) + 1] == 0)
                        size++;
                if (size > best_size) {
                        best = i;
                        best_size = size;
                }
        }
        for (unsigned i = 0; i < 8; i++) {
                if (best_size > 1 && i == best) {
                        at += (size_t) snprintf(ret + at, ADDRESS_TEXT_MAX - at, "::");
                        i += best_size - 1;
                        continue;
                }
                bool colon = i > 0 && !(best_size > 1 && i == best + best_size);
                at += (size_t) snprintf(ret + at, ADDRESS_TEXT_MAX - at, "%s%x", colon ? ":" : "",
                                        (unsigned) a->bytes[2 * i] << 8 | a->bytes[2 * i + 1]);
        }
}

static int give_address(const Address *a, Value *ret) {
        char text[ADDRESS_TEXT_MAX];

        address_text(a, text);
        return value_strz(ret, text);
}

static Address mask_of(const Address *a, unsigned bits) {
        Address m = { .n = a->n };

        for (unsigned i = 0; i < bits; i++)
                m.bytes[i / 8] |= (uint8_t) (0x80 >> (i % 8));
        return m;
}

static bool same_network(const Address *a, const Address *b, unsigned bits) {
        Address m = mask_of(a, bits);

        for (unsigned i = 0; i < a->n; i++)
                if ((a->bytes[i] ^ b->bytes[i]) & m.bytes[i])
                        return false;
        return a->n == b->n;
}

/* ---- the classic reader ---- */

typedef struct Prefix {
        Address address;
        unsigned bits;
} Prefix;

static bool read_classic(const char *s, size_t size, Prefix *ret) {
        const char *slash = memchr(s, '/', size);
        char address[ADDRESS_TEXT_MAX];
        Refusal ignored;
        unsigned bits = 0;

        if (!slash || (size_t) (slash - s) >= sizeof(address) || slash + 1 == s + size || memchr(s, '\0', size))
                return false;
        snprintf(address, sizeof(address), "%.*s", (int) (slash - s), s);
        for (const char *c = slash + 1; c < s + size; c++) {
                if (*c < '0' || *c > '9' || bits > 128)
                        return false;
                bits = bits * 10 + (unsigned) (*c - '0');
        }
        if (!read_address(address, &ret->address, &ignored) || bits > ret->address.n * 8)
                return false;
        ret->bits = bits;
        return true;
}

/* The argument without white space around it. */
static int read_trimmed(Value arg, Prefix *ret, Diag *reterr) {
        _cleanup_(value_done) Value trimmed = {};
        int r = builtin_find("strings.trim_space")->eval(NULL, &arg, 1, &trimmed, reterr);

        if (r < 0 || read_classic(value_cstr(trimmed), trimmed.s->size, ret))
                return r;
        diag_set(reterr, (Pos) {}, -EINVAL, "invalid CIDR address: %s", value_cstr(trimmed));
        return BUILTIN_CATCHABLE;
}

static int cidr_to_ip(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Prefix p;
        int r = read_trimmed(args[0], &p, reterr);

        if (r != 0)
                return r;
        Address a = unmapped(&p.address);
        return give_address(&a, ret);
}

static int cidr_to_prefix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Prefix p;
        int r = read_trimmed(args[0], &p, reterr);

        return r != 0 ? r : value_strf(ret, "%u", p.bits);
}

static int cidr_to_mask(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Prefix p;
        int r = read_trimmed(args[0], &p, reterr);

        if (r != 0)
                return r;
        Address mask = mask_of(&p.address, p.bits);
        return give_address(&mask, ret);
}

static int cidr_to_network(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        char text[ADDRESS_TEXT_MAX];
        Prefix p;
        int r = read_trimmed(args[0], &p, reterr);

        if (r != 0)
                return r;
        Address mask = mask_of(&p.address, p.bits);
        for (unsigned i = 0; i < mask.n; i++)
                p.address.bytes[i] &= mask.bytes[i];
        Address a = unmapped(&p.address);
        address_text(&a, text);
        return value_strf(ret, "%s/%u", text, p.bits);
}

static int ip_in_cidr(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *text = value_cstr(args[0]);
        Address address;
        Refusal ignored;
        Prefix p;

        if (strlen(text) != args[0].s->size || !read_address(text, &address, &ignored)) {
                diag_set(reterr, (Pos) {}, -EINVAL, "invalid IP: %s", text);
                return BUILTIN_CATCHABLE;
        }
        if (!read_classic(value_cstr(args[1]), args[1].s->size, &p)) {
                diag_set(reterr, (Pos) {}, -EINVAL, "invalid CIDR address: %s", value_cstr(args[1]));
                return BUILTIN_CATCHABLE;
        }
        address = unmapped(&address);
        if (is_mapped(&p.address) && p.bits >= 96)
                p = (Prefix) { unmapped(&p.address), p.bits - 96 };
        *ret = VALUE_BOOL(same_network(&p.address, &address, p.bits));
        return 0;
}

/* ---- the strict reader ---- */

static char *quote(const char *text) {
        StrBuf b = {};

        strbuf_quote(&b, text, strlen(text));
        return strbuf_take(&b);
}

static int refuse_prefix(Value arg, const char *problem, Diag *reterr) {
        _cleanup_free_ char *whole = value_text(arg);

        diag_set(reterr, (Pos) {}, -EINVAL, "netip.ParsePrefix(%s): %s", whole ?: "?", problem);
        return BUILTIN_CATCHABLE;
}

static int refuse_part(Value arg, const char *before, const char *part, const char *problem, Diag *reterr) {
        _cleanup_free_ char *quoted = quote(part), *text = NULL;

        if (!quoted || asprintf(&text, "%s%s%s", before, quoted, problem) < 0)
                return -ENOMEM;
        return refuse_prefix(arg, text, reterr);
}

static int read_strict(Value arg, Prefix *ret, Diag *reterr) {
        const char *text = value_cstr(arg), *slash = strrchr(text, '/'), *bits = slash ? slash + 1 : NULL;
        Refusal why;

        if (!slash)
                return refuse_prefix(arg, "no '/'", reterr);
        _cleanup_free_ char *address = strndup(text, (size_t) (slash - text));
        if (!address)
                return -ENOMEM;
        if (strchr(address, ':') && strchr(address, '%'))
                return refuse_prefix(arg, "IPv6 zones cannot be present in a prefix", reterr);
        if (!read_address(address, &ret->address, &why)) {
                _cleanup_free_ char *at = quote(why.at ?: ""), *problem = NULL;
                if (!at || asprintf(&problem, "): %s%s%s%s", why.problem, why.at ? " (at " : "", why.at ? at : "", why.at ? ")" : "") < 0)
                        return -ENOMEM;
                return refuse_part(arg, "ParseAddr(", address, problem, reterr);
        }
        size_t digits = strspn(bits, "0123456789");
        if (digits == 0 || bits[digits] != '\0' || digits > BITS_DIGITS_MAX || (bits[0] == '0' && digits > 1) ||
            strlen(text) != arg.s->size)
                return refuse_part(arg, "bad bits after slash: ", bits, "", reterr);
        ret->bits = (unsigned) strtoul(bits, NULL, 10);
        return ret->bits <= ret->address.n * 8 ? 0 : refuse_prefix(arg, "prefix length out of range", reterr);
}

static int cidr_to_first(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Prefix p;
        int r = read_strict(args[0], &p, reterr);

        if (r != 0)
                return r;
        Address next = p.address;
        unsigned i = next.n;
        while (i > 0 && ++next.bytes[i - 1] == 0)
                i--;
        if (i > 0 && same_network(&p.address, &next, p.bits))
                return give_address(&next, ret);
        diag_set(reterr, (Pos) {}, -ERANGE, "no usable next address");
        return BUILTIN_CATCHABLE;
}

static int cidr_to_last(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Prefix p;
        int r = read_strict(args[0], &p, reterr);

        if (r != 0)
                return r;
        Address mask = mask_of(&p.address, p.bits);
        for (unsigned i = 0; i < mask.n; i++)
                p.address.bytes[i] |= (uint8_t) ~mask.bytes[i];
        return give_address(&p.address, ret);
}

const Builtin cidr_builtins[] = {
        { .name = "net.cidr_to_first", .signature = "func(a str) str", .eval = cidr_to_first, .flags = BUILTIN_PURE,
          .doc = "The address after the one in a, if it is still in the network.",
          .example = MCL(net.cidr_to_first("192.0.2.12/24")), .gives = MCL("192.0.2.13") },
        { .name = "net.cidr_to_ip", .signature = "func(a str) str", .eval = cidr_to_ip, .flags = BUILTIN_PURE,
          .doc = "The address in a.",
          .example = MCL(net.cidr_to_ip("192.0.2.12/24")), .gives = MCL("192.0.2.12") },
        { .name = "net.cidr_to_last", .signature = "func(a str) str", .eval = cidr_to_last, .flags = BUILTIN_PURE,
          .doc = "The last address of the network of a: for IPv4 that of broadcasts.",
          .example = MCL(net.cidr_to_last("192.0.2.12/24")), .gives = MCL("192.0.2.255") },
        { .name = "net.cidr_to_mask", .signature = "func(a str) str", .eval = cidr_to_mask, .flags = BUILTIN_PURE,
          .doc = "The mask of a as an address: 255.255.255.0.",
          .example = MCL(net.cidr_to_mask("192.0.2.12/24")), .gives = MCL("255.255.255.0") },
        { .name = "net.cidr_to_network", .signature = "func(a str) str", .eval = cidr_to_network, .flags = BUILTIN_PURE,
          .doc = "The network of a: 192.0.2.0/24.",
          .example = MCL(net.cidr_to_network("192.0.2.12/24")), .gives = MCL("192.0.2.0/24") },
        { .name = "net.cidr_to_prefix", .signature = "func(a str) str", .eval = cidr_to_prefix, .flags = BUILTIN_PURE,
          .doc = "The number of bits in a.",
          .example = MCL(net.cidr_to_prefix("192.0.2.12/24")), .gives = MCL("24") },
        { .name = "net.ip_in_cidr", .signature = "func(ip str, cidr str) bool", .eval = ip_in_cidr, .flags = BUILTIN_PURE,
          .doc = "Whether the address belongs to the network.",
          .example = MCL(net.ip_in_cidr("192.0.2.12", "192.0.2.0/24")), .gives = MCL(true) },
        {}
};
