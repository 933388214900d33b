/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A small file that is edited as a whole: read into memory, and put back with the owner and mode it had. */

#include "common/strbuf.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/safe-path.h"

typedef struct FileText {
        SafePath where;                 /* its directory, once it was found */
        FileContent have;               /* no descriptor if the file is not there */
        StrBuf text;
        mode_t mode;                    /* of a new one, as are uid and gid; (uid_t) -1: ours */
        uid_t uid;
        gid_t gid;
        bool sync;                      /* as of FileCopy */
} FileText;

#define FILE_TEXT_INIT { .where = SAFE_PATH_INIT, .have = FILE_CONTENT_INIT, .mode = 0600, .uid = (uid_t) -1, .gid = (gid_t) -1 }

/* A file that is not there is an empty one, and so is one without a directory. follow: a trusted symbolic link at the end stands for
 * what it points to; else it is refused. Errors are at r's place; after -EFBIG it can still be
 * written. */
int file_text_read(FileText *t, const Resource *r, const char *path, size_t max, bool follow, Diag *reterr);

/* Whether there is a NUL in it: then it is no text, and who edits it by lines would lose what comes after that. 0, or -EBADMSG. */
int file_text_check(const FileText *t, const Resource *r, const char *path, Diag *reterr);

/* Takes the place of what was read. A new file is for its owner only, unless mode says otherwise. */
int file_text_write(FileText *t, const Resource *r, const char *path, const char *data, size_t size, Diag *reterr);
void file_text_done(FileText *t);
