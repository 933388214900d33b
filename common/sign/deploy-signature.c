/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>

#include "common/sign/deploy-signature.h"
#include "common/sign/digest.h"
#include "common/strbuf.h"

static int put_options(StrBuf *b, const DeployOptions *options) {
        DeployOptions initial = {};
        int r = fields_init(deploy_options_fields, &initial);

        for (const FieldSpec *f = deploy_options_fields; f->name && r >= 0; f++) {
                _cleanup_(value_done) Value v = {};
                _cleanup_free_ char *text = NULL;

                if (streq(f->name, "signature") || field_equal(f, options, &initial))
                        continue;
                r = field_get(f, options, &v);
                text = r >= 0 ? value_text(v) : NULL;
                if (r >= 0 && !text)
                        r = -ENOMEM;
                if (r >= 0)
                        strbuf_printf(b, "option %s %s\n", f->name, text);
        }
        deploy_options_done(&initial);
        return r;
}

static void put_file(StrBuf *b, const ValueStr *path, const ValueStr *content) {
        char hex[SHA256_TEXT_SIZE];

        sha256_text(content->data, content->size, hex);
        strbuf_printf(b, "file %s ", hex);
        strbuf_quote(b, path->data, path->size);
        strbuf_putc(b, '\n');
}

static int make_text(StrBuf *b, Value bundle, const DeployOptions *options) {
        int r;

        strbuf_puts(b, "mgmt deploy\n");
        r = put_options(b, options);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < bundle.m->n; i++)
                put_file(b, bundle.m->items[i].key.s, bundle.m->items[i].value.s);
        return b->failed ? -ENOMEM : 0;
}

int deploy_sign(const Signer *s, Value bundle, DeployOptions *options, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf text = {};
        char *signature;
        int r;

        r = make_text(&text, bundle, options);
        if (r >= 0)
                r = signer_sign(s, DEPLOY_NAMESPACE, text.data, text.size, &signature, reterr);
        if (r < 0)
                return r;
        field_take_text(&options->signature, signature);
        return 0;
}

int deploy_verify(const Trust *t, Value bundle, const DeployOptions *options, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf text = {};
        _cleanup_free_ char *fingerprint = NULL;
        SshPublicKey key;
        int r;

        if (!options->signature || !*options->signature)
                return diag_set(reterr, (Pos) {}, -ENOKEY, "it is not signed");
        r = make_text(&text, bundle, options);
        if (r >= 0)
                r = signature_verify(options->signature, DEPLOY_NAMESPACE, text.data, text.size, &key, reterr);
        if (r < 0 || trust_has(t, &key))
                return r;
        fingerprint = ssh_public_key_fingerprint(&key);
        return diag_set(reterr, (Pos) {}, -EKEYREJECTED, "it is signed by %s, who is not trusted", fingerprint ? fingerprint : "somebody");
}
