/* SPDX-License-Identifier: GPL-3.0-or-later */

/* net: texts of the network taken apart. Nothing here touches a network. What does not parse can be caught. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static int catchable(Diag *reterr, const char *format, ...) _printf_(2, 3);
static int catchable(Diag *reterr, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        diag_set(reterr, (Pos) {}, -EINVAL, "%s", text);
        return BUILTIN_CATCHABLE;
}

/* ---- hardware addresses ---- */

enum { MAC_SIZE = 17 };

/* The separator of a text such as 00:11:22:33:44:55, or 0. */
static char mac_separator(const ValueStr *s) {
        if (s->size != MAC_SIZE || (s->data[2] != ':' && s->data[2] != '-'))
                return 0;
        for (size_t i = 0; i < MAC_SIZE; i++)
                if (i % 3 == 2 ? s->data[i] != s->data[2] : hex_digit(s->data[i]) < 0)
                        return 0;
        return s->data[2];
}

static int is_mac(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s;
        bool canonical = mac_separator(s) == ':';

        for (size_t i = 0; i < s->size && canonical; i++)
                canonical = s->data[i] < 'A' || s->data[i] > 'F';
        *ret = VALUE_BOOL(canonical);
        return 0;
}

static int format_mac(const ValueStr *s, char separator, Value *ret, Diag *reterr) {
        char text[MAC_SIZE];

        if (s->size != MAC_SIZE)
                return catchable(reterr, "invalid MAC address length: %s", s->data);
        if (!mac_separator(s))
                return catchable(reterr, "address %s: invalid MAC address", s->data);
        for (size_t i = 0; i < MAC_SIZE; i++) {
                char c = s->data[i];
                text[i] = i % 3 == 2 ? separator : c >= 'A' && c <= 'F' ? (char) (c - 'A' + 'a') : c;
        }
        return value_str(ret, text, MAC_SIZE);
}

static int macfmt(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return format_mac(args[0].s, ':', ret, reterr);
}

static int oldmacfmt(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return format_mac(args[0].s, '-', ret, reterr);
}

/* ---- host:port ---- */

/* A struct of texts. */
static int make_struct(const char *const *names, const char *const *texts, const size_t *sizes, size_t n, Value *ret) {
        Value values[4] = {};

        for (size_t i = 0; i < n; i++) {
                int r = value_str(&values[i], texts[i], sizes[i]);
                if (r < 0) {
                        while (i-- > 0)
                                value_done(&values[i]);
                        return r;
                }
        }
        return value_struct(ret, names, values, n);
}

static int split_hostport(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *text = value_cstr(args[0]), *colon = strrchr(text, ':'), *host = text, *end = colon;
        const char *problem = NULL;

        if (!colon)
                problem = "missing port in address";
        else if (text[0] == '[') {
                const char *close = strchr(text, ']');
                if (!close)
                        problem = "missing ']' in address";
                else if (close[1] == '\0')
                        problem = "missing port in address";
                else if (close + 1 != colon)
                        problem = close[1] == ':' ? "too many colons in address" : "missing port in address";
                host = text + 1;
                end = close;
        } else if (memchr(text, ':', (size_t) (colon - text)))
                problem = "too many colons in address";
        if (!problem && strchr(host, '['))
                problem = "unexpected '[' in address";
        if (!problem && strchr(end + (text[0] == '['), ']'))
                problem = "unexpected ']' in address";
        if (!problem && text[0] != '[' && memchr(text, ']', (size_t) (colon - text)))
                problem = "unexpected ']' in address";
        if (problem && text[0] == '\0')
                return catchable(reterr, "error parsing the input: %s", problem);
        if (problem)
                return catchable(reterr, "error parsing the input: address %s: %s", text, problem);
        return make_struct((const char *const[]) { "host", "port" }, (const char *const[]) { host, colon + 1 },
                           (const size_t[]) { (size_t) (end - host), strlen(colon + 1) }, 2, ret);
}

/* ---- URLs ---- */

static const char control_character[] = "net/url: invalid control character in URL";

typedef struct Url {
        StrBuf scheme, host, path;
        const char *query;
        size_t query_size;
} Url;

static void url_done(Url *u) {
        strbuf_done(&u->scheme);
        strbuf_done(&u->host);
        strbuf_done(&u->path);
}

/* Replaces the escapes; NULL, or what is wrong with the text (static, or in small). */
static const char *unescape(const char *text, size_t size, bool host, StrBuf *ret, char small[64]) {
        for (size_t i = 0; i < size; i++) {
                char c = text[i];
                if (c == '%') {
                        if (size - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) {
                                (void) snprintf(small, 64, "invalid URL escape \"%.*s\"", (int) MIN(size - i, (size_t) 3), text + i);
                                return small;
                        }
                        c = (char) (hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
                        if (host && (unsigned char) c < 0x80) {
                                (void) snprintf(small, 64, "invalid URL escape \"%.3s\"", text + i);
                                return small;
                        }
                        i += 2;
                } else if (host && (c == ' ' || strchr("\"<>\\^`{|}", c))) {
                        (void) snprintf(small, 64, "invalid character \"%c\" in host name", c);
                        return small;
                }
                strbuf_putc(ret, c);
        }
        return NULL;
}

static const char *parse_authority(const char *text, size_t size, Url *u, char small[64]) {
        const char *at = memrchr(text, '@', size);

        if (at) {
                StrBuf ignored = {};
                const char *problem = unescape(text, (size_t) (at - text), false, &ignored, small);
                strbuf_done(&ignored);
                if (problem)
                        return "net/url: invalid userinfo";
                size -= (size_t) (at + 1 - text);
                text = at + 1;
        }
        const char *close = size > 0 && text[0] == '[' ? memchr(text, ']', size) : NULL;
        if (size > 0 && text[0] == '[' && !close)
                return "missing ']' in host";
        const char *from = close ? close + 1 : text, *end = text + size, *colon = memrchr(from, ':', (size_t) (end - from));
        if (close && from < end && !colon)
                colon = from;
        for (const char *c = colon; c && c < end; c++)
                if (c == colon ? *c != ':' : *c < '0' || *c > '9') {
                        (void) snprintf(small, 64, "invalid port \"%.*s\" after host", (int) MIN(end - colon, 30), colon);
                        return small;
                }
        return unescape(text, size, !close, &u->host, small);
}

static const char *parse_url(const char *text, Url *u, char small[64]) {
        size_t size = strcspn(text, "#"), i = 0;
        StrBuf ignored = {};
        const char *problem;

        for (const char *c = text; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        return control_character;
        if (text[size] == '#') {
                problem = unescape(text + size + 1, strlen(text + size + 1), false, &ignored, small);
                strbuf_done(&ignored);
                if (problem)
                        return problem;
        }
        if (size > 0 && text[0] == ':')
                return "missing protocol scheme";
        while (i < size && (((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') ||
                            (i > 0 && ((text[i] >= '0' && text[i] <= '9') || strchr("+-.", text[i])))))
                i++;
        bool scheme = i < size && text[i] == ':' && i > 0;
        for (size_t j = 0; scheme && j < i; j++)
                strbuf_putc(&u->scheme, text[j] >= 'A' && text[j] <= 'Z' ? (char) (text[j] - 'A' + 'a') : text[j]);
        if (scheme) {
                text += i + 1;
                size -= i + 1;
        }
        const char *query = memchr(text, '?', size);
        u->query = query ? query + 1 : text + size;
        u->query_size = query ? (size_t) (text + size - u->query) : 0;
        if (query)
                size = (size_t) (query - text);
        if (size == 0 || text[0] != '/') {
                if (scheme)
                        return NULL;    /* opaque: neither host nor path */
                const char *colon = memchr(text, ':', size), *slash = memchr(text, '/', size);
                if (colon && (!slash || colon < slash))
                        return "first path segment in URL cannot contain colon";
        }
        if (size >= 2 && text[0] == '/' && text[1] == '/') {
                const char *slash = memchr(text + 2, '/', size - 2);
                size_t n = slash ? (size_t) (slash - text - 2) : size - 2;
                problem = parse_authority(text + 2, n, u, small);
                if (problem)
                        return problem;
                text += 2 + n;
                size -= 2 + n;
        }
        return unescape(text, size, false, &u->path, small);
}

static int url_parser(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_(url_done) Url u = {};
        const char *text = value_cstr(args[0]);
        char small[64];

        const char *problem = strlen(text) < args[0].s->size ? control_character : parse_url(text, &u, small);
        if (problem) {
                _cleanup_free_ char *quoted = value_text(args[0]);
                return catchable(reterr, "error parsing the URL: parse %s: %s", quoted ?: "?", problem);
        }
        if (u.scheme.failed || u.host.failed || u.path.failed)
                return -ENOMEM;
        if (u.scheme.size == 0)
                return catchable(reterr, "empty schemes are invalid");
        return make_struct((const char *const[]) { "scheme", "host", "path", "raw_query" },
                           (const char *const[]) { u.scheme.data, u.host.data ?: "", u.path.data ?: "", u.query },
                           (const size_t[]) { u.scheme.size, u.host.size, u.path.size, u.query_size }, 4, ret);
}

const Builtin net_builtins[] = {
        { .name = "net.is_mac", .signature = "func(a str) bool", .eval = is_mac, .flags = BUILTIN_PURE,
          .doc = "Whether the text is a hardware address in lower case with colons.",
          .example = MCL(net.is_mac("00:11:22:aa:bb:cc")), .gives = MCL(true) },
        { .name = "net.macfmt", .signature = "func(a str) str", .eval = macfmt, .flags = BUILTIN_PURE,
          .doc = "A hardware address in lower case with colons.",
          .example = MCL(net.macfmt("00-11-22-AA-BB-CC")), .gives = MCL("00:11:22:aa:bb:cc") },
        { .name = "net.oldmacfmt", .signature = "func(a str) str", .eval = oldmacfmt, .flags = BUILTIN_PURE,
          .doc = "A hardware address in lower case with dashes.",
          .example = MCL(net.oldmacfmt("00:11:22:AA:BB:CC")), .gives = MCL("00-11-22-aa-bb-cc") },
        { .name = "net.split_hostport", .signature = "func(str) struct{host str; port str}", .eval = split_hostport,
          .flags = BUILTIN_PURE, .doc = "The host and the port, on both sides of the last colon; brackets around the host go.",
          .example = MCL(net.split_hostport("[::1]:80")), .gives = MCL(struct{host: "::1"; port: "80"}) },
        { .name = "net.url_parser", .signature = "func(str) struct{scheme str; host str; path str; raw_query str}",
          .eval = url_parser, .flags = BUILTIN_PURE, .doc = "The parts of a URL. The port stays with the host.",
          .example = MCL(net.url_parser("https://example.com:81/a?b=c")),
          .gives = MCL(struct{scheme: "https"; host: "example.com:81"; path: "/a"; raw_query: "b=c"}) },
        BUILTIN_WATCHED("net.interface_cidr", "func(interface str) str",
                        "The first global IPv4 address of a network interface, with its prefix length.",
                        MCL(net.interface_cidr("eth0"))),
        BUILTIN_WATCHED("net.macs", "func() []str",
                        "The hardware addresses of all network interfaces of this host but the loopback.",
                        MCL(net.macs())),
        BUILTIN_WATCHED("net.wired_interface", "func() str",
                        "The first network interface with a cable; one that is up is preferred.",
                        MCL(net.wired_interface())),
        BUILTIN_WATCHED("net/http.response", "func(uid str) struct{status int; output str}",
                        "What the http:client of that uid got: the status, which is 0 for nothing yet and -1 for a failure, and "
                        "the body.",
                        MCL(http.response("download"))),
        BUILTIN_ASKED("util.hostname_mapper", "func(map{str: str}) str",
                      "The name that the map has for one of the hardware addresses of this host; empty if it has none.",
                      MCL(util.hostname_mapper({"01:23:45:67:89:ab" => "h1"}))),
        {}
};
