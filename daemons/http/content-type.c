/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a file is called on the web. Names first; where they say nothing, the first bytes, by the well-known signatures that
 * browsers agree on. A text that could be taken for HTML but is not called so is sent as HTML only when it begins like it. */

#include <stdbool.h>
#include <strings.h>

#include "common/macro.h"
#include "daemons/http/content-type.h"

const char *content_type_by_name(const char *name) {
        static const struct {
                const char *extension, *type;
        } table[] = {
                { ".avif", "image/avif" },
                { ".bz2", "application/x-bzip2" },
                { ".cfg", "text/plain; charset=utf-8" },
                { ".conf", "text/plain; charset=utf-8" },
                { ".css", "text/css; charset=utf-8" },
                { ".csv", "text/csv; charset=utf-8" },
                { ".deb", "application/vnd.debian.binary-package" },
                { ".gif", "image/gif" },
                { ".gz", "application/gzip" },
                { ".htm", "text/html; charset=utf-8" },
                { ".html", "text/html; charset=utf-8" },
                { ".ico", "image/vnd.microsoft.icon" },
                { ".img", "application/octet-stream" },
                { ".ipxe", "text/plain; charset=utf-8" },
                { ".iso", "application/x-iso9660-image" },
                { ".jpeg", "image/jpeg" },
                { ".jpg", "image/jpeg" },
                { ".js", "text/javascript; charset=utf-8" },
                { ".json", "application/json" },
                { ".ks", "text/plain; charset=utf-8" },
                { ".mjs", "text/javascript; charset=utf-8" },
                { ".mp4", "video/mp4" },
                { ".pdf", "application/pdf" },
                { ".png", "image/png" },
                { ".rpm", "application/x-rpm" },
                { ".svg", "image/svg+xml" },
                { ".tar", "application/x-tar" },
                { ".txt", "text/plain; charset=utf-8" },
                { ".wasm", "application/wasm" },
                { ".webp", "image/webp" },
                { ".woff2", "font/woff2" },
                { ".xml", "text/xml; charset=utf-8" },
                { ".xz", "application/x-xz" },
                { ".yaml", "application/yaml" },
                { ".yml", "application/yaml" },
                { ".zip", "application/zip" },
                { ".zst", "application/zstd" },
        };

        const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
        if (!dot)
                return NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (strcasecmp(dot, table[i].extension) == 0)
                        return table[i].type;
        return NULL;
}

static bool is_html(const char *data, size_t size) {
        static const char *const tags[] = {
                "<!DOCTYPE HTML", "<HTML", "<HEAD", "<SCRIPT", "<IFRAME", "<H1", "<DIV", "<FONT", "<TABLE", "<A",
                "<STYLE", "<TITLE", "<B", "<BODY", "<BR", "<P", "<!--",
        };

        while (size > 0 && memchr("\t\n\f\r ", *data, 5)) {
                data++;
                size--;
        }
        for (size_t i = 0; i < ELEMENTSOF(tags); i++) {
                size_t n = strlen(tags[i]);
                if (size > n && strncasecmp(data, tags[i], n) == 0 && (data[n] == ' ' || data[n] == '>'))
                        return true;
        }
        return false;
}

static bool is_text(const char *data, size_t size) {
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) data[i];
                if (c < 0x20 && !memchr("\t\n\f\r\033", c, 5))
                        return false;
        }
        return true;
}

const char *content_type_by_content(const char *data, size_t size) {
        static const struct {
                const char *type;
                size_t offset, size;
                const char *signature;
        } table[] = {
#define SIGNATURE(type_, offset_, text_) { (type_), (offset_), sizeof(text_) - 1, (text_) }
                SIGNATURE("text/xml; charset=utf-8", 0, "<?xml"),
                SIGNATURE("application/pdf", 0, "%PDF-"),
                SIGNATURE("application/postscript", 0, "%!PS-Adobe-"),
                SIGNATURE("text/plain; charset=utf-16be", 0, "\xFE\xFF"),
                SIGNATURE("text/plain; charset=utf-16le", 0, "\xFF\xFE"),
                SIGNATURE("text/plain; charset=utf-8", 0, "\xEF\xBB\xBF"),
                SIGNATURE("image/x-icon", 0, "\x00\x00\x01\x00"),
                SIGNATURE("image/bmp", 0, "BM"),
                SIGNATURE("image/gif", 0, "GIF87a"),
                SIGNATURE("image/gif", 0, "GIF89a"),
                SIGNATURE("image/webp", 8, "WEBPVP"),
                SIGNATURE("image/png", 0, "\x89PNG\r\n\x1A\n"),
                SIGNATURE("image/jpeg", 0, "\xFF\xD8\xFF"),
                SIGNATURE("audio/wave", 8, "WAVE"),
                SIGNATURE("application/ogg", 0, "OggS\0"),
                SIGNATURE("video/webm", 0, "\x1A\x45\xDF\xA3"),
                SIGNATURE("font/woff2", 0, "wOF2"),
                SIGNATURE("application/zip", 0, "PK\x03\x04"),
                SIGNATURE("application/x-gzip", 0, "\x1F\x8B\x08"),
                SIGNATURE("application/wasm", 0, "\0asm"),
#undef SIGNATURE
        };

        size = MIN(size, (size_t) CONTENT_TYPE_SNIFF_SIZE);
        if (is_html(data, size))
                return "text/html; charset=utf-8";
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (size >= table[i].offset + table[i].size &&
                    memcmp(data + table[i].offset, table[i].signature, table[i].size) == 0)
                        return table[i].type;
        return is_text(data, size) ? "text/plain; charset=utf-8" : "application/octet-stream";
}
