/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "common/macro.h"
#include "daemons/engine/kinds/file-path.h"

size_t path_dirname_length(const char *path) {
        return path_dirname_length_n(path, strlen(path));
}

size_t path_dirname_length_n(const char *path, size_t size) {
        size_t n = size;

        if (size == 1 && path[0] == '/')
                return 0;
        while (n > 1 && path[n - 1] == '/')
                n--;
        const char *slash = memrchr(path, '/', n);
        return slash ? (size_t) (slash + 1 - path) : 0;
}

/* The next part that counts, going backwards from *end: parts that a ".." takes back are passed over. Its length, or 0. */
static size_t previous_part(const char *path, size_t *end, const char **ret) {
        size_t n_back = 0;

        for (;;) {
                while (*end > 0 && path[*end - 1] == '/')
                        --*end;
                size_t begin = *end;
                while (begin > 0 && path[begin - 1] != '/')
                        begin--;
                size_t size = *end - begin;
                *end = begin;
                *ret = path + begin;
                if (size == 0)
                        return 0;
                if (size == 1 && **ret == '.')
                        continue;
                if (size == 2 && memcmp(*ret, "..", 2) == 0)
                        n_back++;
                else if (n_back > 0)
                        n_back--;
                else
                        return size;
        }
}

static size_t count_parts(const char *path) {
        size_t end = strlen(path), n = 0;
        const char *part;

        while (previous_part(path, &end, &part) > 0)
                n++;
        return n;
}

/* Backwards, because that needs no memory: first away with what path has more. */
bool path_is_inside(const char *path, const char *top) {
        size_t n_path = count_parts(path), n_top = count_parts(top);
        size_t path_end = strlen(path), top_end = strlen(top);
        const char *a, *b;

        for (; n_path > n_top; n_path--)
                (void) previous_part(path, &path_end, &a);
        if (n_path < n_top)
                return false;
        for (; n_top > 0; n_top--) {
                size_t n = previous_part(path, &path_end, &a), m = previous_part(top, &top_end, &b);
                if (n != m || memcmp(a, b, n) != 0)
                        return false;
        }
        return true;
}

const char *path_below(const char *path, const char *top) {
        size_t n = strlen(top);

        if (strncmp(path, top, n) != 0 || (path[n] != '/' && path[n] != '\0'))
                return NULL;
        return path[n] == '/' ? path + n + 1 : path + n;
}

char *path_tidy(const char *path) {
        size_t end = strlen(path), n = 0, size;
        char *copy = malloc(end + 2);
        const char *part;

        if (!copy)
                return NULL;
        /* Put together from its end. */
        n = end + 1;
        copy[n] = '\0';
        while ((size = previous_part(path, &end, &part)) > 0) {
                n -= size;
                memcpy(copy + n, part, size);
                copy[--n] = '/';
        }
        memmove(copy, copy + n, strlen(copy + n) + 1);
        return copy;
}
