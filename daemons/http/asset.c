/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "daemons/http/asset.h"
#include "daemons/http/content-type.h"
#include "daemons/http/static-file.h"

static const Asset *find(const char *name) {
        for (const Asset *a = assets; a->name; a++)
                if (streq(a->name, name))
                        return a;
        return NULL;
}

static int make_reply(const Asset *a, bool keep, HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *p = http_reply_new(200);
        int r;

        if (!p)
                return -ENOMEM;
        r = value_str(&p->data, (const char *) a->data, a->size);
        if (r >= 0)
                r = http_reply_header(p, "Content-Type", "%s", content_type_by_name(a->name) ?: "text/plain; charset=utf-8");
        if (r >= 0)
                r = http_reply_header(p, "Cache-Control", keep ? "max-age=31536000, immutable" : "no-cache");
        if (r >= 0)
                r = http_reply_header(p, "X-Content-Type-Options", "nosniff");
        if (r >= 0)
                r = http_reply_piece(p, NULL, 0, a->size);
        if (r >= 0)
                *ret = TAKE_PTR(p);
        return r;
}

bool asset_serve(const char *name, HttpRequest *q) {
        const Asset *a = find(name);
        const char *query = http_request_query(q);
        HttpReply *reply;

        if (!a)
                return false;
        if (static_accept_method(q) && make_reply(a, query && streq(query, a->mark), &reply) >= 0)
                http_request_reply(q, reply);
        return true;
}

char *asset_reference(const char *name) {
        const Asset *a = find(name);
        char *text;

        return a && asprintf(&text, "%s?%s", a->name, a->mark) >= 0 ? text : NULL;
}
