/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An append-only file of records:
 *
 *      u8 op   u32 size (little endian)   size bytes: source kind NUL source name [NUL target kind NUL target name]
 *
 * What is open is also kept in memory, as a set of these byte strings, prefixed by whether it is an attempt or a notification.
 * The file is written anew, whole, when it has grown to several times what is open. Surviving a kill needs no fsync: what was
 * written is in the page cache; only the loss of power would need it, and then the boot checks everything anyway. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/map.h"
#include "daemons/engine/notify-journal.h"

enum {
        JOURNAL_MAX = 64 * 1024 * 1024,
        COMPACT_MIN = 64 * 1024,        /* bytes appended before it is worth the trouble */
};

typedef enum Op {
        OP_BEGIN = 'b',
        OP_END = 'e',
        OP_PEND = 'p',
        OP_CONSUME = 'c',
} Op;

struct NotifyJournal {
        char *path;
        int fd;
        Map *open;              /* key: 'b' or 'p', then the body; value: the size of the key */
        Map *recovered;         /* attempts that an earlier engine left open; same keys */
        size_t size, live;      /* bytes in the file, and what of it is still open */
        bool torn;              /* a write failed half-way: what is appended now would not be read */
};

static char open_kind(Op op) {
        return op == OP_BEGIN || op == OP_END ? OP_BEGIN : OP_PEND;
}

/* The record: five bytes of head, then the body. Its key in the set is the body with one byte before it, which is placed over
 * the last byte of the head by those who need it. */
static int make_record(Op op, JournalVertex source, const JournalVertex *target, uint8_t **ret, size_t *ret_size) {
        size_t a = strlen(source.kind) + 1, b = strlen(source.name);
        size_t c = target ? strlen(target->kind) + 2 : 0, d = target ? strlen(target->name) + 1 : 0;
        size_t body = a + b + (target ? c + d - 1 : 0);

        if (body > UINT32_MAX)
                return -E2BIG;
        uint8_t *p = malloc(5 + body + 1);
        if (!p)
                return -ENOMEM;
        p[0] = (uint8_t) op;
        for (int i = 0; i < 4; i++)
                p[1 + i] = (uint8_t) (body >> (8 * i));
        int n = target ? snprintf((char *) p + 5, body + 1, "%s%c%s%c%s%c%s", source.kind, 0, source.name, 0, target->kind, 0, target->name)
                       : snprintf((char *) p + 5, body + 1, "%s%c%s", source.kind, 0, source.name);
        if (n < 0 || (size_t) n != body) {
                free(p);
                return -EINVAL;
        }
        *ret = p;
        *ret_size = 5 + body;
        return 0;
}

static void *as_value(size_t n) {
        return (void *) (uintptr_t) n;
}

/* The key is written into the record's head, from byte 4 on. */
static int remember(NotifyJournal *j, Op op, uint8_t *record, size_t size) {
        uint8_t *key = record + 4;
        size_t key_size = size - 4;
        int r;

        key[0] = (uint8_t) open_kind(op);
        if (op == OP_BEGIN || op == OP_PEND) {
                r = map_put_n(j->open, key, key_size, as_value(key_size));
                if (r > 0)
                        j->live += size;
                return r;
        }
        if (map_remove_n(j->open, key, key_size))
                j->live -= size;
        return 0;
}

/* Reads records until something does not fit; what was appended last before a power loss may be cut off. */
static int replay(NotifyJournal *j, uint8_t *data, size_t size) {
        for (size_t at = 0; size - at >= 5;) {
                uint8_t *record = data + at;
                Op op = record[0];
                size_t body = record[1] | (size_t) record[2] << 8 | (size_t) record[3] << 16 | (size_t) record[4] << 24;
                int r;

                if ((op != OP_BEGIN && op != OP_END && op != OP_PEND && op != OP_CONSUME) || body > size - at - 5 || body == 0)
                        return 0;
                r = remember(j, op, record, 5 + body);
                if (r < 0)
                        return r;
                at += 5 + body;
        }
        return 0;
}

static int compact(NotifyJournal *j) {
        _cleanup_free_ uint8_t *data = malloc(j->live + 1);
        size_t i = 0, at = 0;
        const char *key;
        void *value;
        int r;

        if (!data)
                return -ENOMEM;
        while (map_next(j->open, &i, &key, &value)) {
                size_t body = (uintptr_t) value - 1;
                data[at] = (uint8_t) key[0];
                for (int k = 0; k < 4; k++)
                        data[at + 1 + (size_t) k] = (uint8_t) (body >> (8 * k));
                memcpy(data + at + 5, key + 1, body);
                at += 5 + body;
        }
        r = write_file_atomic_at(AT_FDCWD, j->path, data, at, 0600, false);
        if (r < 0)
                return r;

        _cleanup_close_ int fd = open(j->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        closep(&j->fd);
        j->fd = TAKE_FD(fd);
        j->size = at;
        j->torn = false;
        return 0;
}

int notify_journal_open(NotifyJournal **ret, const char *path) {
        _cleanup_(notify_journal_freep) NotifyJournal *j = calloc(1, sizeof(*j));
        _cleanup_free_ char *data = NULL;
        size_t size = 0, i = 0;
        const char *key;
        void *value;
        int r;

        if (!j)
                return -ENOMEM;
        j->fd = -EBADF;
        j->path = strdup(path);
        j->open = map_new();
        j->recovered = map_new();
        if (!j->path || !j->open || !j->recovered)
                return -ENOMEM;

        r = read_file_at(AT_FDCWD, path, JOURNAL_MAX, &data, &size);
        if (r < 0 && r != -ENOENT)
                return r;
        if (data) {
                r = replay(j, (uint8_t *) data, size);
                if (r < 0)
                        return r;
        }

        /* An attempt of the engine before us: we shall make our own. */
        while (map_next(j->open, &i, &key, &value))
                if (key[0] == OP_BEGIN) {
                        r = map_put_n(j->recovered, key, (uintptr_t) value, value);
                        if (r < 0)
                                return r;
                }
        r = compact(j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

NotifyJournal *notify_journal_free(NotifyJournal *j) {
        if (!j)
                return NULL;
        closep(&j->fd);
        map_free(j->open);
        map_free(j->recovered);
        free(j->path);
        free(j);
        return NULL;
}

static int append(NotifyJournal *j, Op op, JournalVertex source, const JournalVertex *target) {
        _cleanup_free_ uint8_t *record = NULL;
        size_t size;
        int r, k;

        r = make_record(op, source, target, &record, &size);
        if (r < 0)
                return r;
        k = j->torn ? 0 : write_all(j->fd, record, size);
        if (k < 0)
                j->torn = true;
        j->size += size;
        r = remember(j, op, record, size);
        if (r < 0)
                return r;
        if (k < 0)
                return k;
        return j->torn || (j->size > COMPACT_MIN && j->size > 4 * j->live) ? compact(j) : 0;
}

int notify_journal_begin(NotifyJournal *j, JournalVertex source) {
        return append(j, OP_BEGIN, source, NULL);
}

int notify_journal_pend(NotifyJournal *j, JournalVertex source, JournalVertex target) {
        return append(j, OP_PEND, source, &target);
}

int notify_journal_consume(NotifyJournal *j, JournalVertex source, JournalVertex target) {
        return append(j, OP_CONSUME, source, &target);
}

static bool contains(const Map *set, Op op, JournalVertex source, const JournalVertex *target) {
        _cleanup_free_ uint8_t *record = NULL;
        size_t size;

        if (map_size(set) == 0 || make_record(op, source, target, &record, &size) < 0)
                return false;
        record[4] = (uint8_t) op;
        return map_get_n(set, record + 4, size - 4);
}

int notify_journal_end(NotifyJournal *j, JournalVertex source) {
        _cleanup_free_ uint8_t *record = NULL;
        size_t size;
        int r;

        r = append(j, OP_END, source, NULL);
        if (r < 0 || map_size(j->recovered) == 0)
                return r;
        r = make_record(OP_BEGIN, source, NULL, &record, &size);
        if (r < 0)
                return r;
        record[4] = OP_BEGIN;
        (void) map_remove_n(j->recovered, record + 4, size - 4);
        return 0;
}

bool notify_journal_is_empty(const NotifyJournal *j) {
        return map_size(j->open) == 0 && map_size(j->recovered) == 0;
}

bool notify_journal_is_open(const NotifyJournal *j, JournalVertex source) {
        return contains(j->recovered, OP_BEGIN, source, NULL);
}

bool notify_journal_is_pending(const NotifyJournal *j, JournalVertex source, JournalVertex target) {
        return contains(j->open, OP_PEND, source, &target) || notify_journal_is_open(j, source);
}

int notify_journal_prune(NotifyJournal *j, bool (*keep)(JournalVertex source, JournalVertex target, void *userdata), void *userdata) {
        size_t i = 0, n = 0;
        const char *key;
        void *value;

        while (map_next(j->open, &i, &key, &value)) {
                size_t size = (uintptr_t) value;
                const char *end = key + size;
                JournalVertex source = { .kind = key + 1 }, target = {};

                /* Each part ends in a NUL but the last, after which the map keeps one. */
                source.name = source.kind + strlen(source.kind) + 1;
                if (key[0] == OP_PEND && source.name < end) {
                        target.kind = source.name + strlen(source.name) + 1;
                        target.name = target.kind < end ? target.kind + strlen(target.kind) + 1 : end;
                }
                if (source.name <= end && target.name <= end && keep(source, target, userdata))
                        continue;
                if (key[0] == OP_BEGIN)
                        (void) map_remove_n(j->recovered, key, size);
                (void) map_remove_n(j->open, key, size);
                j->live -= 4 + size;
                n++;
        }
        return n > 0 ? compact(j) : 0;
}
