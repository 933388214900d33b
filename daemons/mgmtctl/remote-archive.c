/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-archive.h. The format is ustar; a name that is too long for it stands in a member of its own, as GNU does. */

#include <stdio.h>

#include "daemons/mgmtctl/remote-archive.h"

enum {
        BLOCK = 512,
        RECORD = 20 * BLOCK,
        NAME_MAX_ = 100,
};

typedef struct Header {
        char name[NAME_MAX_], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
                user[32], group[32], device_major[8], device_minor[8], prefix[155], padding[12];
} Header;

static void pad(StrBuf *b, size_t size, size_t to) {
        static const char zeros[RECORD];

        strbuf_add(b, zeros, (to - size % to) % to);
}

static void add_member(StrBuf *b, char type, const char *name, mode_t mode, const void *data, size_t size) {
        Header h = { .type = type, .magic = "ustar", .version = { '0', '0' } };
        unsigned sum = 0;

        memcpy(h.name, name, MIN(strlen(name), sizeof(h.name)));
        (void) snprintf(h.mode, sizeof(h.mode), "%07o", (unsigned) mode & 07777);
        memcpy(h.uid, "0000000", sizeof(h.uid));
        memcpy(h.gid, "0000000", sizeof(h.gid));
        memcpy(h.mtime, "00000000000", sizeof(h.mtime));
        (void) snprintf(h.size, sizeof(h.size), "%011zo", size);
        memset(h.checksum, ' ', sizeof(h.checksum));
        for (size_t i = 0; i < sizeof(h); i++)
                sum += ((const unsigned char *) &h)[i];
        (void) snprintf(h.checksum, sizeof(h.checksum) - 1, "%06o", sum);
        _Static_assert(sizeof(h) == BLOCK, "a header of tar");
        strbuf_add(b, (const char *) &h, sizeof(h));
        strbuf_add(b, data, size);
        pad(b, size, BLOCK);
}

void archive_add(StrBuf *b, const char *name, mode_t mode, const void *data, size_t size) {
        if (strlen(name) > NAME_MAX_)
                add_member(b, 'L', "././@LongLink", 0, name, strlen(name) + 1);
        add_member(b, '0', name, mode, data, size);
}

void archive_end(StrBuf *b, size_t before) {
        static const char zeros[2 * BLOCK];

        strbuf_add(b, zeros, sizeof(zeros));
        pad(b, before + b->size, RECORD);
}
