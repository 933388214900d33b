/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How etcd's gateway writes bytes and numbers in JSON. */

#include <errno.h>
#include <json.h>
#include <stdlib.h>

#include "common/base64.h"
#include "daemons/world/etcd.h"

void etcd_put_text(StrBuf *b, const char *text) {
        json_object *j = json_object_new_string(text);
        const char *quoted = j ? json_object_to_json_string(j) : NULL;

        if (quoted)
                strbuf_puts(b, quoted);
        else
                b->failed = true;
        json_object_put(j);
}

void etcd_put_bytes(StrBuf *b, const void *data, size_t size) {
        strbuf_putc(b, '"');
        strbuf_base64(b, data, size);
        strbuf_putc(b, '"');
}

json_object *etcd_get(json_object *j, const char *member) {
        json_object *found = NULL;

        return json_object_is_type(j, json_type_object) && json_object_object_get_ex(j, member, &found) ? found : NULL;
}

int etcd_get_bytes(json_object *j, const char *member, StrBuf *ret) {
        json_object *text = etcd_get(j, member);
        size_t at;

        if (!text)
                return 0;
        if (!json_object_is_type(text, json_type_string))
                return -EBADMSG;
        int r = strbuf_unbase64(ret, json_object_get_string(text), (size_t) json_object_get_string_len(text), &at);
        return r == -EINVAL ? -EBADMSG : r;
}

/* Those of 64 bits are texts. */
int64_t etcd_get_number(json_object *j, const char *member) {
        json_object *n = etcd_get(j, member);

        return !n ? 0 : json_object_is_type(n, json_type_string) ? strtoll(json_object_get_string(n), NULL, 10) : json_object_get_int64(n);
}
