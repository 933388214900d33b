/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Everything is done to an open object, never to a path: whoever may write the directory could exchange the file. Where the kernel
 * has no call for an O_PATH descriptor, the name of the descriptor in /proc leads to the object itself. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "common/sd/names.h"
#include "daemons/engine/kinds/file-access.h"
#include "daemons/engine/local-host.h"

enum { CONTEXT_MAX = 4096 };

#define CONTEXT "security.selinux"

const char *file_type_text(const struct stat *st) {
        return S_ISDIR(st->st_mode) ? "directory" : S_ISLNK(st->st_mode) ? "symbolic link" : S_ISREG(st->st_mode) ? "file" : "special file";
}

typedef char FdPath[32];

static const char *fd_path(FdPath buffer, int fd) {
        (void) snprintf(buffer, sizeof(FdPath), "/proc/self/fd/%d", fd);
        return buffer;
}

/* Some tools store the NUL of the string as well. */
static void trim(char *text, size_t size) {
        while (size > 0 && text[size - 1] == '\0')
                size--;
        text[size] = '\0';
        size_t begin = 0;
        while (begin < size && text[begin] == '\0')
                begin++;
        memmove(text, text + begin, size - begin + 1);
}

int file_context_get(int fd, char *ret, size_t size) {
        FdPath path;

        ssize_t n = getxattr(fd_path(path, fd), CONTEXT, ret, size - 1);
        if (n < 0 && errno != ENODATA && errno != EOPNOTSUPP)
                return -errno;
        trim(ret, n < 0 ? 0 : (size_t) n);
        return 0;
}

static int set_context(int fd, const char *context) {
        FdPath path;
        int r;

        if (*context)
                r = setxattr(fd_path(path, fd), CONTEXT, context, strlen(context), 0);
        else
                r = removexattr(fd_path(path, fd), CONTEXT);
        return r < 0 && !(errno == ENODATA && !*context) ? -errno : 0;
}

int file_access_check(const FileAccess *a, int fd, const struct stat *st, const Resource *r, const char *path, Diag *reterr) {
        char context[CONTEXT_MAX];

        if ((a->uid != (uid_t) -1 && a->uid != st->st_uid) || (a->gid != (gid_t) -1 && a->gid != st->st_gid) ||
            (a->has_mode && a->mode != (st->st_mode & 07777)))
                return 0;
        if (!a->context)
                return 1;
        int k = file_context_get(fd, context, sizeof(context));
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read the security context of '%s': %m", path);
        return streq(context, a->context);
}

/* Owner before mode: a change of owner takes the set-user-id bit away. */
int file_access_set(const FileAccess *a, int fd, const Resource *r, const char *path, Diag *reterr) {
        FdPath proc;

        if ((a->uid != (uid_t) -1 || a->gid != (gid_t) -1) && fchownat(fd, "", a->uid, a->gid, AT_EMPTY_PATH) < 0)
                return resource_error(r, reterr, -errno, "cannot change the owner of '%s': %m", path);
        if (a->has_mode && fchmod(fd, a->mode) < 0 && (errno != EBADF || chmod(fd_path(proc, fd), a->mode) < 0)) /* EBADF: O_PATH */
                return resource_error(r, reterr, -errno, "cannot change the mode of '%s': %m", path);
        int k = a->context ? set_context(fd, a->context) : 0;
        return k < 0 ? resource_error(r, reterr, k, "cannot set the security context of '%s': %m", path) : 0;
}

/* Who it is now, as the program speaks of it: by number or by name. Names that only a directory service knows are not waited for. */
static void tell_id(Resource *r, const char *field, NameKind kind, const uint32_t *id, const char *wanted) {
        _cleanup_(name_entry_done) NameEntry entry = {};
        char number[16];

        if (!id) {
                resource_differs(r, field, NULL, wanted);
                return;
        }
        (void) snprintf(number, sizeof(number), "%u", *id);
        bool by_number = strspn(wanted, "0123456789") == strlen(wanted);
        bool named = !by_number && names_find_local(local_host_names(r), kind, number, &entry) > 0;
        resource_differs(r, field, named ? entry.name : number, wanted);
}

void file_access_differs(const FileAccess *a, int fd, const struct stat *st, Resource *r, const char *owner, const char *group) {
        char from[CONTEXT_MAX], to[16];

        if (a->uid != (uid_t) -1 && (!st || a->uid != st->st_uid))
                tell_id(r, "owner", NAME_USER, st ? &st->st_uid : NULL, owner);
        if (a->gid != (gid_t) -1 && (!st || a->gid != st->st_gid))
                tell_id(r, "group", NAME_GROUP, st ? &st->st_gid : NULL, group);
        if (a->has_mode && (!st || a->mode != (st->st_mode & 07777))) {
                (void) snprintf(from, sizeof(from), "%04o", st ? st->st_mode & 07777 : 0);
                (void) snprintf(to, sizeof(to), "%04o", a->mode & 07777);
                resource_differs(r, "mode", st ? from : NULL, to);
        }
        if (!a->context || (st && file_context_get(fd, from, sizeof(from)) < 0))
                return;
        if (!st || !streq(from, a->context))
                resource_differs(r, "selinux", st ? from : NULL, a->context);
}

/* ---- new files ---- */

static mode_t current_umask(void) {
        mode_t mask = umask(0);

        (void) umask(mask);
        return mask;
}

FileAccess file_access_after(const struct stat *before) {
        FileAccess a = FILE_ACCESS_INIT;

        if (before && before->st_uid != geteuid())
                a.uid = before->st_uid;
        if (before && before->st_gid != getegid())
                a.gid = before->st_gid;
        a.mode = before ? before->st_mode & 07777 : 0666 & ~current_umask();
        a.has_mode = true;
        return a;
}
