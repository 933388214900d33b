/* SPDX-License-Identifier: GPL-3.0-or-later */

/* libarchive must neither see a write fail nor be freed within an entry: the one would leak, the other take its time. */

#include <archive.h>
#include <archive_entry.h>

#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/tar-archive.h"

enum {
        PADDING_MAX = 1 << 20,  /* pieces that an entry which was given up is filled up with; beyond that is where nobody waits for it */
};

static const struct {
        int64_t number;
        int (*set)(struct archive *a);
} formats[] = {
        { 0, archive_write_set_format_pax_restricted },
        { 2, archive_write_set_format_ustar },
        { 4, archive_write_set_format_pax },
        { 8, archive_write_set_format_gnutar },
};

bool tar_format_is_known(int64_t format) {
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (formats[i].number == format)
                        return true;
        return false;
}

/* Never fails: an archive that failed would not free all that it has. */
static ssize_t on_write(struct archive *a, void *userdata, const void *data, size_t size) {
        TarArchive *t = userdata;

        if (!t->given_up && t->error >= 0)
                t->error = packing_add(t->packing, data, size);
        return (ssize_t) size;
}

/* Its own numbers, for what has none, are negative. */
static int result(const TarArchive *t, bool good) {
        int error = archive_errno(t->archive);

        return t->error < 0 ? t->error : good ? 0 : error > 0 ? -error : -EIO;
}

const char *tar_archive_problem(const TarArchive *t) {
        const char *text = t->archive ? archive_error_string(t->archive) : NULL;

        return text ? text : "out of memory";
}

int tar_archive_begin(TarArchive *t, Packing *p, int64_t format) {
        *t = (TarArchive) {
                .packing = p,
                .locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL),    /* without it names of other letters are marked as mere bytes */
                .archive = archive_write_new(),
                .entry = archive_entry_new(),
        };
        if (!t->archive || !t->entry)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (formats[i].number == format)
                        (void) formats[i].set(t->archive);
        (void) archive_write_set_bytes_per_block(t->archive, 0);
        return result(t, archive_write_open(t->archive, t, NULL, on_write, NULL) >= ARCHIVE_OK);
}

int tar_archive_add(TarArchive *t, const char *name, const struct stat *st) {
        locale_t before = t->locale ? uselocale(t->locale) : (locale_t) 0;

        archive_entry_clear(t->entry);
        archive_entry_copy_pathname(t->entry, name);
        archive_entry_set_filetype(t->entry, st->st_mode & S_IFMT);
        archive_entry_set_perm(t->entry, st->st_mode & 07777);
        archive_entry_set_uid(t->entry, st->st_uid);
        archive_entry_set_gid(t->entry, st->st_gid);
        archive_entry_set_mtime(t->entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
        archive_entry_set_size(t->entry, S_ISREG(st->st_mode) ? st->st_size : 0);
        bool good = archive_write_header(t->archive, t->entry) >= ARCHIVE_WARN;
        t->left = good && S_ISREG(st->st_mode) ? (uint64_t) st->st_size : 0;
        if (before)
                (void) uselocale(before);
        return result(t, good);
}

int tar_archive_write(TarArchive *t, const void *data, size_t size) {
        ssize_t n = archive_write_data(t->archive, data, size);

        t->left -= n > 0 ? MIN((uint64_t) n, t->left) : 0;
        return result(t, n >= 0);
}

int tar_archive_end(TarArchive *t) {
        return result(t, archive_write_close(t->archive) >= ARCHIVE_WARN);
}

/* An entry that is not complete is filled up when the archive is freed, byte for byte, and that nowhere; so we do it in large pieces. */
static void give_up(TarArchive *t) {
        static char zeros[FILE_PIECE_SIZE];

        t->given_up = true;
        if (t->left / sizeof(zeros) > PADDING_MAX)
                (void) archive_write_fail(t->archive);
        else
                while (t->left > 0) {
                        ssize_t n = archive_write_data(t->archive, zeros, (size_t) MIN(t->left, (uint64_t) sizeof(zeros)));
                        if (n <= 0)
                                break;
                        t->left -= (uint64_t) n;
                }
        (void) archive_write_free(t->archive);
}

void tar_archive_done(TarArchive *t) {
        if (t->archive)
                give_up(t);
        archive_entry_free(t->entry);
        if (t->locale)
                freelocale(t->locale);
        *t = (TarArchive) {};
}
