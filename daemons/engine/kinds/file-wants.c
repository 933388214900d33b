/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-wants.h"

int file_path_wants_above(const char *path, unsigned batch, ResourceUids *ret) {
        size_t n = path_dirname_length(path);
        int r = 0;

        if (batch == 0)
                return n > 0 ? resource_uids_add_n(ret, "file", path, n, false) : 0;
        while (batch == 1 && r >= 0 && (n = path_dirname_length_n(path, n)) > 0) {
                r = resource_uids_add_n(ret, "file", path, n, false);
                if (r >= 0)
                        ret->items[ret->n - 1].fallback = ret->n > 1;
        }
        return r;
}

int file_path_wants(const char *path, unsigned batch, ResourceUids *ret) {
        if (batch > 0)
                return file_path_wants_above(path, batch - 1, ret);
        int r = resource_uids_add(ret, "file", path, false);
        return r < 0 ? r : resource_uids_add(ret, "package-file", path, false);
}
