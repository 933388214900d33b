/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Bundles go through sealed memory; anything else that somebody hands over is refused. */

#include <fcntl.h>
#include <sys/mman.h>

#include "common/bundle.h"
#include "common/io.h"
#include "common/message.h"
#include "tests/test.h"

static Value make_bundle(const char *path, const char *content, size_t size) {
        Value items[2], ret = {};

        if (value_strz(&items[0], path) < 0 || value_str(&items[1], content, size) < 0 || value_map(&ret, items, 1) < 0)
                abort();
        return ret;
}

/* What a bundle of this value would look like, without the checks and with these seals. */
static int make_memfd(MessageType type, Value v, int seals, size_t cut) {
        Message m = { .type = type };
        WireWriter w = {};

        if (type == MESSAGE_DEPLOY)
                m.deploy.bundle = v;
        else
                m.task_set = (__typeof__(m.task_set)) { .field = (char *) "x", .value = v };
        if (message_encode(&w, &m) < 0)
                abort();
        int fd = memfd_create("test", MFD_CLOEXEC|MFD_ALLOW_SEALING);
        if (fd < 0 || write_all(fd, w.data, w.size - cut) < 0 || (seals != 0 && fcntl(fd, F_ADD_SEALS, seals) < 0))
                abort();
        wire_writer_done(&w);
        return fd;
}

TEST(bundles_survive_the_way) {
        _cleanup_(value_done) Value bundle = make_bundle("/main.mcl", "print \"a\" {}\n\0\xff", 15), got = {};
        _cleanup_close_ int fd = -EBADF;

        REQUIRE(bundle_seal(bundle, &fd) == 0);
        REQUIRE(bundle_unseal(fd, &got, NULL) == 0);
        CHECK(value_equal(bundle, got));
        CHECK(write(fd, "x", 1) < 0);
        CHECK(ftruncate(fd, 0) < 0);
}

TEST(foreign_files_are_refused) {
        enum { ALL = F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE };
        _cleanup_(value_done) Value good = make_bundle("/main.mcl", "x", 1), relative = make_bundle("main.mcl", "x", 1);
        _cleanup_(value_done) Value list = {};
        int pipes[2];

        REQUIRE(value_list(&list, NULL, 0) >= 0);
        REQUIRE(pipe(pipes) == 0);
        const struct {
                const char *what;
                int fd, error;
        } cases[] = {
                { "sealed",             make_memfd(MESSAGE_DEPLOY, good, ALL, 0), 0 },
                { "not sealed",         make_memfd(MESSAGE_DEPLOY, good, 0, 0), -EINVAL },
                { "may shrink",         make_memfd(MESSAGE_DEPLOY, good, F_SEAL_GROW|F_SEAL_WRITE, 0), -EINVAL },
                { "may be written",     make_memfd(MESSAGE_DEPLOY, good, F_SEAL_GROW|F_SEAL_SHRINK, 0), -EINVAL },
                { "another message",    make_memfd(MESSAGE_TASK_SET, good, ALL, 0), -EBADMSG },
                { "cut",                make_memfd(MESSAGE_DEPLOY, good, ALL, 3), -EBADMSG },
                { "not a map",          make_memfd(MESSAGE_DEPLOY, list, ALL, 0), -EBADMSG },
                { "no files",           make_memfd(MESSAGE_DEPLOY, VALUE_NIL, ALL, 0), -EBADMSG },
                { "a relative path",    make_memfd(MESSAGE_DEPLOY, relative, ALL, 0), -EBADMSG },
                { "a pipe",             pipes[0], -EINVAL },
                { "nothing",            -1, -EINVAL },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value got = {};
                _cleanup_(diag_done) Diag d = {};
                int r = bundle_unseal(cases[i].fd, &got, &d);

                if (r != cases[i].error || (r < 0 && !d.message))
                        TEST_FAIL("%s: %d (%s)", cases[i].what, r, d.message ? d.message : "no message");
                if (cases[i].fd >= 0)
                        (void) close(cases[i].fd);
        }
        (void) close(pipes[1]);
}

TEST_MAIN()
