/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <dirent.h>
#include <fcntl.h>

#include "common/macro.h"
#include "daemons/engine/kinds/directory-names.h"
#include "daemons/engine/kinds/replacement.h"

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void directory_names_free(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

static int list(DIR *d, char ***names, size_t *n) {
        size_t capacity = 0;

        for (const struct dirent *e; (errno = 0, e = readdir(d));) {
                if (streq(e->d_name, ".") || streq(e->d_name, "..") || replacement_is_name(e->d_name))
                        continue;
                if (GROW(*names, *n, capacity) < 0 || !((*names)[*n] = strdup(e->d_name)))
                        return -ENOMEM;
                (*n)++;
        }
        return -errno;
}

int directory_names(int dir_fd, char ***ret, size_t *ret_n) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        char **names = NULL;
        size_t n = 0;

        if (!d) {
                r = -errno;
                closep(&fd);
                return r;
        }
        r = list(d, &names, &n);
        (void) closedir(d);
        if (r < 0) {
                directory_names_free(names, n);
                return r;
        }
        if (n > 0)
                qsort(names, n, sizeof(*names), compare_names);
        *ret = names;
        *ret_n = n;
        return 0;
}
