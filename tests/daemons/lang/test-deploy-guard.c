/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who may say what a host is to be. */

#include <fcntl.h>
#include <unistd.h>

#include "common/io.h"
#include "common/sign/deploy-signature.h"
#include "daemons/lang/deploy-guard.h"
#include "tests/common/sign/test-keys.h"
#include "tests/test.h"

static char directory[] = "/tmp/mgmt-test-guard-XXXXXX";
static char trust_path[64], key_path[64], memory_path[64];

static void put(const char *path, const char *content) {
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, content, strlen(content), 0600, false), 0);
}

typedef struct Case {
        Value bundle;
        DeployOptions options;
        DeployGuard guard;
        Diag diag;
} Case;

static Value text(const char *s) {
        Value v = {};

        CHECK_INT(value_strz(&v, s), 0);
        return v;
}

static void set_bundle(Case *c, const char *program) {
        Value pairs[] = { text("/main.mcl"), text(program), text("/metadata.yaml"), text("main: main.mcl\n") };

        value_done(&c->bundle);
        CHECK_INT(value_map(&c->bundle, pairs, 2), 0);
}

static void case_begin(Case *c) {
        (void) snprintf(trust_path, sizeof(trust_path), "%s/trusted-keys", directory);
        (void) snprintf(key_path, sizeof(key_path), "%s/key", directory);
        (void) snprintf(memory_path, sizeof(memory_path), "%s/accepted-sequence", directory);
        (void) unlink(memory_path);
        put(trust_path, public_line);
        put(key_path, secret_key);
        set_bundle(c, "print \"hello\" {}\n");
        CHECK_INT(deploy_options_from_value(&c->options, VALUE_NIL, NULL), 0);
        CHECK_INT(deploy_guard_init(&c->guard, trust_path, directory), 0);
}

static void case_done(Case *c) {
        value_done(&c->bundle);
        deploy_options_done(&c->options);
        deploy_guard_done(&c->guard);
        diag_done(&c->diag);
}

static void sign(Case *c, uint64_t sequence) {
        Signer *s = NULL;

        c->options.sequence = sequence;
        CHECK_INT(signer_new(&s, key_path, NULL), 0);
        CHECK_INT(deploy_sign(s, c->bundle, &c->options, NULL), 0);
        signer_free(s);
}

static int try(Case *c) {
        diag_done(&c->diag);
        return deploy_guard_check(&c->guard, c->bundle, &c->options, &c->diag);
}

TEST(without_keys_everybody_may) {
        _cleanup_(case_done) Case c = {};

        case_begin(&c);
        CHECK_INT(unlink(trust_path), 0);
        CHECK_INT(try(&c), 0);
        c.options.sequence = INT64_MAX;
        CHECK_INT(deploy_guard_accepted(&c.guard, &c.options, &c.diag), 0);
        CHECK_INT(c.guard.accepted, 0);         /* who had to sign nothing shuts nobody out */
        deploy_guard_done(&c.guard);
        CHECK_INT(deploy_guard_init(&c.guard, NULL, directory), 0);
        put(trust_path, public_line);
        CHECK_INT(try(&c), 0);
}

TEST(only_what_is_signed) {
        _cleanup_(case_done) Case c = {};

        case_begin(&c);
        CHECK_INT(try(&c), -ENOKEY);
        CHECK(c.diag.message && strstr(c.diag.message, "it is not signed"));
        sign(&c, 5);
        CHECK_INT(try(&c), 0);
        put(trust_path, "# nobody\n");
        CHECK_INT(try(&c), -EKEYREJECTED);
        CHECK(c.diag.message && strstr(c.diag.message, "it is signed by SHA256:/ZobzuwdmYtXjysa7xH8BjtI5nYFDqENhfTq5TH5E4U, who is not trusted"));
        put(trust_path, "what is this\n");
        CHECK_INT(try(&c), -EINVAL);
        CHECK_INT(c.diag.pos.line, 1);
}

TEST(nothing_may_be_changed) {
        _cleanup_(case_done) Case c = {};

        case_begin(&c);
        sign(&c, 5);
        c.options.noop = true;
        CHECK_INT(try(&c), -EBADMSG);
        c.options.noop = false;
        c.options.autoedge = false;
        CHECK_INT(try(&c), -EBADMSG);
        c.options.autoedge = true;
        c.options.sequence = 6;
        CHECK_INT(try(&c), -EBADMSG);
        c.options.sequence = 5;
        CHECK_INT(try(&c), 0);
        set_bundle(&c, "print \"hullo\" {}\n");
        CHECK_INT(try(&c), -EBADMSG);
}

/* Nor brought back, even after a restart. */
TEST(what_is_older_is_refused) {
        _cleanup_(case_done) Case c = {};

        case_begin(&c);
        sign(&c, 5);
        CHECK_INT(try(&c), 0);
        CHECK_INT(deploy_guard_accepted(&c.guard, &c.options, &c.diag), 0);
        CHECK_INT(try(&c), 0);          /* the same again: that is how it starts after a reboot */
        sign(&c, 4);
        CHECK_INT(try(&c), -ESTALE);
        deploy_guard_done(&c.guard);
        CHECK_INT(deploy_guard_init(&c.guard, trust_path, directory), 0);
        CHECK_INT(try(&c), -ESTALE);
        CHECK(c.diag.message && strstr(c.diag.message, "it is older (sequence 4) than one that was accepted before (5)"));
        sign(&c, 6);
        CHECK_INT(try(&c), 0);

        deploy_guard_done(&c.guard);
        put(memory_path, "what\n");
        CHECK_INT(deploy_guard_init(&c.guard, trust_path, directory), 0);
        CHECK_INT(try(&c), -EBADMSG);
}

int main(int argc, char *argv[]) {
        if (!mkdtemp(directory))
                return EXIT_FAILURE;
        int r = test_run(argc, argv);
        (void) remove_tree(directory);
        return r;
}
