/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keys and signatures beside those of OpenSSH. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/sign/signature.h"
#include "common/sign/trust.h"
#include "tests/common/sign/test-keys.h"
#include "tests/test.h"

static const char text[] = "hello\n";

/* Of ssh-keygen -Y sign -n mgmt-deploy, over that text. */
static const char signature[] =
        "-----BEGIN SSH SIGNATURE-----\n"
        "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgrideTbnIZlyVpf/6RjvcMr3kQv\n"
        "8ze8L2hOj+9BVq3QYAAAALbWdtdC1kZXBsb3kAAAAAAAAABnNoYTUxMgAAAFMAAAALc3No\n"
        "LWVkMjU1MTkAAABAEZ0AbB45kUPnM3V4F+4E5nYz0RX8XCwCp47k9ICjaXAXDU02hTMXFl\n"
        "7JJ0qvKHxfyQJo/7+t3Y4awcvmbKQwCA==\n"
        "-----END SSH SIGNATURE-----\n";

#define SPACE "mgmt-deploy"

static char directory[] = "/tmp/mgmt-test-sign-XXXXXX";

static const char *in_dir(const char *name) {
        static char paths[4][128];
        static unsigned n;
        char *path = paths[n++ % 4];

        (void) snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
        return path;
}

static const char *put(const char *name, const char *content) {
        const char *path = in_dir(name);

        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, content, strlen(content), 0600, false), 0);
        return path;
}

static char *base64_end(char *s) {
        return strstr(s, "\n-----END");
}

TEST(keys_are_read) {
        _cleanup_free_ char *fingerprint = NULL;
        SshPublicKey public, other;
        const char *comment;
        SshSecretKey secret;

        CHECK_INT(ssh_public_key_parse(public_line, &public, &comment, NULL), 0);
        CHECK_STR(comment, "test of mgmt");
        fingerprint = ssh_public_key_fingerprint(&public);
        CHECK_STR(fingerprint, "SHA256:/ZobzuwdmYtXjysa7xH8BjtI5nYFDqENhfTq5TH5E4U");
        CHECK_INT(ssh_secret_key_parse(secret_key, &secret, NULL), 0);
        other = ssh_secret_key_public(&secret);
        CHECK(memcmp(&other, &public, sizeof(public)) == 0);
}

TEST(keys_that_are_none) {
        static const struct {
                const char *text;
                int error;
        } secrets[] = {
                { "", -EINVAL },
                { locked_key, -EKEYREJECTED },
                { "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n", -EINVAL },
                { "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n", -EINVAL },
                { "-----BEGIN OPENSSH PRIVATE KEY-----\n!\n-----END OPENSSH PRIVATE KEY-----\n", -EINVAL },
                { "-----BEGIN RSA PRIVATE KEY-----\n", -EINVAL },
        };
        static const char *const publics[] = {
                "", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ",
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4nXk25yGZclaX/", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA////",
        };
        SshPublicKey public;
        SshSecretKey secret;

        for (size_t i = 0; i < ELEMENTSOF(secrets); i++)
                CHECK_INT(ssh_secret_key_parse(secrets[i].text, &secret, NULL), secrets[i].error);
        for (size_t i = 0; i < ELEMENTSOF(publics); i++)
                CHECK_INT(ssh_public_key_parse(publics[i], &public, NULL, NULL), -EINVAL);
}

/* A secret key whose public half is another one. */
TEST(halves_that_do_not_belong_together) {
        _cleanup_free_ char *bad = strdup(secret_key);
        SshSecretKey secret;

        REQUIRE(bad);
        char *seed = strstr(bad, "AAAEAJffHhXC");       /* the seed begins here */
        REQUIRE(seed);
        seed[8] ^= 1;
        CHECK_INT(ssh_secret_key_parse(bad, &secret, NULL), -EINVAL);
}

TEST(signatures_of_openssh_are_verified) {
        SshPublicKey expected, key;
        _cleanup_(diag_done) Diag diag = {};

        CHECK_INT(ssh_public_key_parse(public_line, &expected, NULL, NULL), 0);
        CHECK_INT(signature_verify(signature, SPACE, text, strlen(text), &key, &diag), 0);
        CHECK(memcmp(&key, &expected, sizeof(key)) == 0);
}

/* Ed25519 is deterministic: the same key makes the same signature of a text. */
TEST(we_sign_as_openssh_does) {
        _cleanup_(signer_freep) Signer *s = NULL;
        _cleanup_free_ char *made = NULL;
        _cleanup_(diag_done) Diag diag = {};

        CHECK_INT(signer_new(&s, put("key", secret_key), &diag), 0);
        REQUIRE(s);
        CHECK_INT(signer_sign(s, SPACE, text, strlen(text), &made, &diag), 0);
        CHECK_STR(made, signature);
}

TEST(what_was_changed_is_not_verified) {
        static const char *const broken[] = {
                "", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----",
                "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQAAADM=\n-----END SSH SIGNATURE-----",
                "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH////////////\n-----END SSH SIGNATURE-----",
        };
        _cleanup_free_ char *changed = strdup(signature);
        _cleanup_(diag_done) Diag diag = {};
        SshPublicKey key;

        REQUIRE(changed);
        for (size_t i = 0; i < ELEMENTSOF(broken); i++)
                CHECK_INT(signature_verify(broken[i], SPACE, text, strlen(text), &key, NULL), -EBADMSG);
        CHECK_INT(signature_verify(signature, SPACE, "hello", 5, &key, &diag), -EBADMSG);
        CHECK_STR(diag.message, "the signature is not one of this text: something was changed");
        diag_done(&diag);
        CHECK_INT(signature_verify(signature, "file", text, strlen(text), &key, &diag), -EBADMSG);
        CHECK_STR(diag.message, "the signature was made for 'mgmt-deploy', not for 'file'");
        /* Each character of it matters. */
        for (char *p = strchr(changed, '\n') + 1; p < base64_end(changed); p++) {
                char before = *p;

                if (before == '\n' || before == '=')
                        continue;
                *p = before == 'A' ? 'B' : 'A';
                if (signature_verify(changed, SPACE, text, strlen(text), &key, NULL) != -EBADMSG)
                        TEST_FAIL("'%c' at %zu is not noticed", before, (size_t) (p - changed));
                *p = before;
        }
}

TEST(trust) {
        _cleanup_(trust_done) Trust t = {};
        _cleanup_(diag_done) Diag diag = {};
        char content[512];
        SshPublicKey key;

        CHECK_INT(trust_read(&t, in_dir("nothing"), &diag), -ENOENT);
        (void) snprintf(content, sizeof(content), "# admins\n\n  %s\n", public_line);
        CHECK_INT(trust_read(&t, put("trust", content), &diag), 0);
        CHECK_INT(t.n, 1);
        CHECK_INT(ssh_public_key_parse(public_line, &key, NULL, NULL), 0);
        CHECK(trust_has(&t, &key));
        key.bytes[0] ^= 1;
        CHECK(!trust_has(&t, &key));
        trust_done(&t);
        CHECK_INT(trust_read(&t, put("bad", "# x\nssh-rsa AAAA\n"), &diag), -EINVAL);
        CHECK_INT(diag.pos.line, 2);
        CHECK_INT(t.n, 0);
}

/* With the real agent, if it is there: it has the key, we know the public half only. */
TEST(the_agent_signs) {
        _cleanup_(signer_freep) Signer *s = NULL;
        _cleanup_free_ char *made = NULL;
        _cleanup_(diag_done) Diag diag = {};
        char socket[128];
        int gone[2];

        if (access("/usr/bin/ssh-agent", X_OK) < 0 || access("/usr/bin/ssh-add", X_OK) < 0)
                TEST_SKIP("no ssh-agent");
        (void) snprintf(socket, sizeof(socket), "%s", in_dir("agent"));
        CHECK_INT(setenv("SSH_AUTH_SOCK", socket, 1), 0);
        CHECK_INT(signer_new(&s, put("key.pub", public_line), &diag), 0);
        REQUIRE(s);
        CHECK_INT(signer_sign(s, SPACE, text, strlen(text), &made, &diag), -ENOENT);
        diag_done(&diag);

        REQUIRE(pipe2(gone, 0) >= 0);
        pid_t agent = fork();
        if (agent == 0) {
                (void) dup2(gone[1], STDOUT_FILENO);
                (void) execl("/usr/bin/ssh-agent", "ssh-agent", "-D", "-a", socket, NULL);
                _exit(1);
        }
        (void) close(gone[1]);
        char c;
        CHECK(read(gone[0], &c, 1) == 1);       /* it says where it listens */
        CHECK_INT(signer_sign(s, SPACE, text, strlen(text), &made, &diag), -EACCES);
        diag_done(&diag);
        pid_t add = fork();
        if (add == 0) {
                (void) freopen("/dev/null", "w", stderr);
                (void) execl("/usr/bin/ssh-add", "ssh-add", "-q", put("key", secret_key), NULL);
                _exit(1);
        }
        int status;
        CHECK(waitpid(add, &status, 0) == add && status == 0);
        CHECK_INT(signer_sign(s, SPACE, text, strlen(text), &made, &diag), 0);
        CHECK_STR(made, signature);
        (void) kill(agent, SIGTERM);
        (void) waitpid(agent, NULL, 0);
        (void) close(gone[0]);
}

int main(int argc, char *argv[]) {
        if (!mkdtemp(directory))
                return EXIT_FAILURE;
        int r = test_run(argc, argv);
        (void) remove_tree(directory);
        return r;
}
