/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Request targets come from anybody. The path is decoded exactly once, here; a NUL in it is refused, since every later step
 * works on C strings and would see another path than the one that was checked. */

#include <strings.h>

#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/http/url.h"

static int unescape(const char *s, size_t size, char **ret) {
        _cleanup_free_ char *path = malloc(size + 1);
        size_t n = 0;

        if (!path)
                return -ENOMEM;

        for (size_t i = 0; i < size; i++) {
                if (s[i] != '%') {
                        path[n++] = s[i];
                        continue;
                }
                if (size - i < 3)
                        return -EBADMSG;

                int high = hex_digit(s[i + 1]), low = hex_digit(s[i + 2]);
                if (high < 0 || low < 0 || high + low == 0)
                        return -EBADMSG;
                path[n++] = (char) (high << 4 | low);
                i += 2;
        }

        path[n] = 0;
        *ret = TAKE_PTR(path);
        return 0;
}

int url_parse_target(const char *target, char **ret_path, const char **ret_query) {
        int r;

        if (strncasecmp(target, "http://", 7) == 0) {   /* as a proxy would be asked; allowed for everybody */
                target += 7;
                target += strcspn(target, "/?#");
        }

        size_t size = strcspn(target, "?#");
        if (size > 0 && target[0] != '/')
                return -EBADMSG;

        _cleanup_free_ char *path = NULL;
        r = size > 0 ? unescape(target, size, &path) : unescape("/", 1, &path);
        if (r < 0)
                return r;

        *ret_query = target[size] == '?' ? target + size : NULL;
        *ret_path = TAKE_PTR(path);
        return 0;
}

char *url_clean_path(const char *path) {
        bool directory = endswith(path, "/");
        char *clean = malloc(strlen(path) + 2);
        size_t n = 0;

        if (!clean)
                return NULL;

        while (*path) {
                path += strspn(path, "/");
                size_t size = strcspn(path, "/");

                if (size == 2 && path[0] == '.' && path[1] == '.') {
                        while (n > 0 && clean[--n] != '/')
                                ;
                } else if (size > 0 && !(size == 1 && path[0] == '.')) {
                        clean[n++] = '/';
                        memcpy(clean + n, path, size);
                        n += size;
                }
                path += size;
        }

        if (n == 0 || directory)
                clean[n++] = '/';
        clean[n] = 0;
        return clean;
}

char *url_escape_path(const char *path) {
        _cleanup_(strbuf_done) StrBuf b = {};

        strbuf_puts(&b, "");
        for (const char *p = path; *p; p++) {
                bool plain = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
                             strchr("/-._~!$&'()*+,;=:@", *p);
                if (plain)
                        strbuf_putc(&b, *p);
                else
                        strbuf_printf(&b, "%%%02X", (unsigned char) *p);
        }
        return strbuf_take(&b);
}
