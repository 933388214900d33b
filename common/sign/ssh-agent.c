/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io.h"
#include "common/sign/ssh-agent.h"
#include "common/sign/ssh-wire.h"

enum { SIGN_REQUEST = 13, SIGN_RESPONSE = 14, REPLY_MAX = 4096 };

static int connect_agent(Diag *reterr) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = secure_getenv("SSH_AUTH_SOCK");
        _cleanup_close_ int fd = -EBADF;

        if (!path || !*path)
                return diag_set(reterr, (Pos) {}, -ENOENT, "SSH_AUTH_SOCK is not set: is there an ssh-agent?");
        if (strlen(path) >= sizeof(address.sun_path))
                return diag_set(reterr, (Pos) {}, -ENAMETOOLONG, "SSH_AUTH_SOCK: %m");
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot connect to ssh-agent at '%s': %m", path);
        return TAKE_FD(fd);
}

static int read_exactly(int fd, uint8_t *ret, size_t size) {
        while (size > 0) {
                ssize_t n = read(fd, ret, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                ret += n;
                size -= (size_t) n;
        }
        return 0;
}

static int exchange(int fd, const StrBuf *request, uint8_t ret[static REPLY_MAX], size_t *ret_size) {
        uint8_t head[4];
        int r;

        r = write_all(fd, request->data, request->size);
        if (r >= 0)
                r = read_exactly(fd, head, sizeof(head));
        if (r < 0)
                return r;
        *ret_size = ssh_get_u32(&(SshReader) { .at = head, .size = sizeof(head) });
        return *ret_size == 0 || *ret_size > REPLY_MAX ? -EBADMSG : read_exactly(fd, ret, *ret_size);
}

int ssh_agent_sign(const SshPublicKey *k, const void *data, size_t size, uint8_t ret[static SSH_SIGNATURE_SIZE], Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {}, request = {};
        _cleanup_close_ int fd = connect_agent(reterr);
        uint8_t reply[REPLY_MAX];
        size_t n;
        int r;

        if (fd < 0)
                return fd;
        strbuf_putc(&body, SIGN_REQUEST);
        ssh_put_public_key(&body, k);
        ssh_put_string(&body, data, size);
        ssh_put_u32(&body, 0);
        if (!body.failed)
                ssh_put_string(&request, body.data, body.size);
        if (body.failed || request.failed)
                return -ENOMEM;
        r = exchange(fd, &request, reply, &n);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "ssh-agent does not answer: %m");
        if (reply[0] != SIGN_RESPONSE)
                return diag_set(reterr, (Pos) {}, -EACCES, "ssh-agent does not sign: it does not have this key, or was told not to");

        SshReader rest = { .at = reply + 1, .size = n - 1 }, signature = ssh_get_string(&rest);
        SshReader type = ssh_get_string(&signature), bytes = ssh_get_string(&signature);
        if (signature.failed || !ssh_string_is(type, SSH_KEY_TYPE) || bytes.size != SSH_SIGNATURE_SIZE)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "ssh-agent gave something that is not a signature");
        memcpy(ret, bytes.at, SSH_SIGNATURE_SIZE);
        return 0;
}
