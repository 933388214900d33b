/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A layer over SQLite's own files. Of each file it knows what is on the platters: the content when it was flushed last. */

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "common/macro.h"
#include "tests/daemons/world/faulty-disk.h"
#include "tests/random.h"

enum { SECTOR = 512, FILES_MAX = 8, FILE_MAX = 16 * 1024 * 1024 };

typedef struct Platter {
        char *path;
        char *data;             /* as flushed last */
        size_t size;
} Platter;

typedef struct FaultyFile {
        sqlite3_file base;
        Platter *platter;
        sqlite3_file *real;     /* right behind this */
} FaultyFile;

static sqlite3_vfs *real_vfs;
static Platter platters[FILES_MAX];
static unsigned n_operations, fail_at;
static bool failed;

static sqlite3_file *real(sqlite3_file *f) {
        return ((FaultyFile *) f)->real;
}

/* One more operation: whether it fails. */
static bool fails(void) {
        n_operations++;
        failed = failed || (fail_at > 0 && n_operations >= fail_at);
        return failed;
}

static void read_whole(const char *path, char **ret, size_t *ret_size) {
        *ret = NULL;
        *ret_size = 0;
        (void) read_file_at(AT_FDCWD, path, FILE_MAX, ret, ret_size);
}

static void flush_platter(Platter *p) {
        free(p->data);
        read_whole(p->path, &p->data, &p->size);
}

static Platter *platter_of(const char *path) {
        for (unsigned i = 0; i < FILES_MAX; i++) {
                if (platters[i].path && strcmp(platters[i].path, path) == 0)
                        return &platters[i];
                if (platters[i].path)
                        continue;
                platters[i].path = strdup(path);
                flush_platter(&platters[i]);    /* what was there before is old */
                return &platters[i];
        }
        abort();
}

static int on_write(sqlite3_file *f, const void *data, int size, sqlite3_int64 offset) {
        if (fails()) {
                if (n_operations == fail_at)    /* half of it, perhaps */
                        (void) real(f)->pMethods->xWrite(real(f), data, size / 2, offset);
                return SQLITE_IOERR_WRITE;
        }
        return real(f)->pMethods->xWrite(real(f), data, size, offset);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size) {
        return fails() ? SQLITE_IOERR_TRUNCATE : real(f)->pMethods->xTruncate(real(f), size);
}

static int on_sync(sqlite3_file *f, int flags) {
        if (fails())
                return SQLITE_IOERR_FSYNC;
        flush_platter(((FaultyFile *) f)->platter);
        return real(f)->pMethods->xSync(real(f), flags);
}

static int on_close(sqlite3_file *f) {
        return real(f)->pMethods->xClose(real(f));
}

static int on_read(sqlite3_file *f, void *data, int size, sqlite3_int64 offset) {
        return real(f)->pMethods->xRead(real(f), data, size, offset);
}

static int on_size(sqlite3_file *f, sqlite3_int64 *ret) {
        return real(f)->pMethods->xFileSize(real(f), ret);
}

static int on_lock(sqlite3_file *f, int level) {
        return real(f)->pMethods->xLock(real(f), level);
}

static int on_unlock(sqlite3_file *f, int level) {
        return real(f)->pMethods->xUnlock(real(f), level);
}

static int on_check_lock(sqlite3_file *f, int *ret) {
        return real(f)->pMethods->xCheckReservedLock(real(f), ret);
}

static int on_control(sqlite3_file *f, int op, void *argument) {
        return real(f)->pMethods->xFileControl(real(f), op, argument);
}

static int on_sector_size(sqlite3_file *f) {
        return real(f)->pMethods->xSectorSize(real(f));
}

static int on_characteristics(sqlite3_file *f) {
        return 0;               /* promises nothing */
}

static int on_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret) {
        return real(f)->pMethods->xShmMap(real(f), page, size, extend, ret);
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
        return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *f) {
        real(f)->pMethods->xShmBarrier(real(f));
}

static int on_shm_unmap(sqlite3_file *f, int remove) {
        return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2, .xClose = on_close, .xRead = on_read, .xWrite = on_write, .xTruncate = on_truncate, .xSync = on_sync,
        .xFileSize = on_size, .xLock = on_lock, .xUnlock = on_unlock, .xCheckReservedLock = on_check_lock, .xFileControl = on_control,
        .xSectorSize = on_sector_size, .xDeviceCharacteristics = on_characteristics, .xShmMap = on_shm_map, .xShmLock = on_shm_lock,
        .xShmBarrier = on_shm_barrier, .xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *ret_flags) {
        FaultyFile *file = (FaultyFile *) f;
        int r;

        *file = (FaultyFile) { .real = (sqlite3_file *) (file + 1) };
        r = real_vfs->xOpen(real_vfs, path, file->real, flags, ret_flags);
        if (r != SQLITE_OK || !path)
                return r;
        file->platter = platter_of(path);
        file->base.pMethods = &methods;
        return SQLITE_OK;
}

/* A file that is gone is gone for good: only logs are removed, when nothing is in them any more. */
static int on_delete(sqlite3_vfs *vfs, const char *path, int sync) {
        if (fails())
                return SQLITE_IOERR_DELETE;
        return real_vfs->xDelete(real_vfs, path, sync);
}

void faulty_disk_install(void) {
        static sqlite3_vfs vfs;

        real_vfs = sqlite3_vfs_find(NULL);
        vfs = *real_vfs;
        vfs.zName = "faulty";
        vfs.szOsFile = (int) sizeof(FaultyFile) + real_vfs->szOsFile;
        vfs.xOpen = on_open;
        vfs.xDelete = on_delete;
        if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
                abort();
}

void faulty_disk_fail_at(unsigned operation) {
        fail_at = operation;
        n_operations = 0;
        failed = false;
}

unsigned faulty_disk_operations(void) {
        return n_operations;
}

bool faulty_disk_failed(void) {
        return failed;
}

/* What was not flushed: each sector is there, or not. */
static void cut(Platter *p, Random *r) {
        _cleanup_free_ char *now = NULL, *after = NULL;
        size_t size, most;

        if (access(p->path, F_OK) < 0)
                return;
        read_whole(p->path, &now, &size);
        most = random_pick(r, 2) ? size : p->size;      /* its length is an operation by itself */
        after = calloc(1, most + 1);
        for (size_t at = 0; at < most; at += SECTOR) {
                bool is_new = random_pick(r, 2);
                const char *from = is_new ? now : p->data;
                size_t n = is_new ? size : p->size, end = at + SECTOR < most ? at + SECTOR : most;

                if (from && at < n)
                        memcpy(after + at, from + at, (end < n ? end : n) - at);
        }
        int fd = open(p->path, O_WRONLY|O_TRUNC|O_CLOEXEC);
        if (fd < 0 || write_all(fd, after, most) < 0)
                abort();
        (void) close(fd);
}

void faulty_disk_crash(bool power_cut, uint64_t seed) {
        Random r = random_from(seed);

        for (unsigned i = 0; i < FILES_MAX && platters[i].path; i++) {
                if (power_cut)
                        cut(&platters[i], &r);
                free(platters[i].path);
                free(platters[i].data);
                platters[i] = (Platter) {};
        }
        faulty_disk_fail_at(0);
}
