/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-wants.h"

int file_path_wants_above(const char *path, unsigned batch, ResourceUids *ret) {
        size_t n = strlen(path);

        for (unsigned i = 0; i <= batch && n > 0; i++)
                n = path_dirname_length_n(path, n);
        return n > 0 ? resource_uids_add_n(ret, "file", path, n, false) : 0;
}

int file_path_wants(const char *path, unsigned batch, ResourceUids *ret) {
        if (batch > 0)
                return file_path_wants_above(path, batch - 1, ret);
        int r = resource_uids_add(ret, "file", path, false);
        return r < 0 ? r : resource_uids_add(ret, "package-file", path, false);
}
