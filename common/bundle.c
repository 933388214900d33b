/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bundle travels as one frame of the wire format, a DEPLOY message, so that its version, sizes and types are checked by the
 * code that checks everything else. */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/bundle.h"
#include "common/io.h"
#include "common/message.h"

static const int bundle_seals = F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE;

int bundle_seal(Value bundle, int *ret_fd) {
        Message m = { .type = MESSAGE_DEPLOY, .deploy = { .bundle = bundle } };        /* borrowed */
        _cleanup_(wire_writer_done) WireWriter w = {};
        int r;

        r = message_encode(&w, &m);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = memfd_create("mgmt-bundle", MFD_CLOEXEC|MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        r = write_all(fd, w.data, w.size);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, bundle_seals|F_SEAL_SEAL) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int check_files(Value bundle, Diag *reterr) {
        if (bundle.kind != TYPE_MAP)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "a bundle is a map of files, got %s", type_kind_name(bundle.kind));
        if (bundle.m->n > BUNDLE_FILES_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "the program has more than %d files", BUNDLE_FILES_MAX);
        for (uint32_t i = 0; i < bundle.m->n; i++) {
                Value key = bundle.m->items[i].key;

                if (key.kind != TYPE_STR || bundle.m->items[i].value.kind != TYPE_STR)
                        return diag_set(reterr, (Pos) {}, -EBADMSG, "paths and contents of a bundle are strings");
                if (value_cstr(key)[0] != '/' || strlen(value_cstr(key)) != key.s->size)
                        return diag_set(reterr, (Pos) {}, -EBADMSG, "paths in a bundle are absolute, got '%s'", value_cstr(key));
        }
        return 0;
}

static int decode(const uint8_t *data, size_t size, Value *ret, Diag *reterr) {
        WireReader message = { .data = data, .size = size }, body, rest;
        _cleanup_(message_done) Message m = {};
        WireHeader header, trailing;
        int r;

        r = wire_next(&message, &header, &body);
        if (r == 0)
                r = -EBADMSG;
        if (r > 0)
                r = header.type == MESSAGE_DEPLOY ? message_decode(&header, &body, &m) : -EBADMSG;
        if (r >= 0 && wire_next(&message, &trailing, &rest) != 0)
                r = -EBADMSG;
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "not a bundle of this version of mgmt: %m");

        r = check_files(m.deploy.bundle, reterr);
        if (r < 0)
                return r;
        *ret = value_take(&m.deploy.bundle);
        return 0;
}

int bundle_unseal(int fd, Value *ret, Diag *reterr) {
        struct stat st;
        int seals = fcntl(fd, F_GET_SEALS);

        if (seals < 0 || (seals & bundle_seals) != bundle_seals)
                return diag_set(reterr, (Pos) {}, -EINVAL, "a bundle must be a sealed memfd");
        if (fstat(fd, &st) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot read the bundle: %m");
        if (st.st_size <= 0 || st.st_size > WIRE_BODY_MAX + WIRE_HEADER_SIZE)
                return diag_set(reterr, (Pos) {}, -E2BIG, "a bundle may have up to %d bytes", WIRE_BODY_MAX);

        void *data = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return diag_set(reterr, (Pos) {}, -errno, "cannot read the bundle: %m");
        int r = decode(data, (size_t) st.st_size, ret, reterr);
        (void) munmap(data, (size_t) st.st_size);
        return r;
}
