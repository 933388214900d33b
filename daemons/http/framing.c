/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where a request ends must be beyond doubt: if a server in front of this one sees it elsewhere, one client says what another has
 * asked for. The library is generous there, so what RFC 9112 (sections 3.2, 5.1 and 6.3) and RFC 9110 (5.5) tell a server to refuse
 * is refused here. */

#include <ctype.h>
#include <strings.h>

#include "daemons/http/mhd-private.h"

typedef struct Framing {
        unsigned n_lengths, n_encodings, n_hosts;
        bool chunked;
        bool malformed;
} Framing;

static bool is_token(const char *s, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (!isalnum((unsigned char) s[i]) && (s[i] == 0 || !strchr("!#$%&'*+-.^_`|~", s[i])))
                        return false;
        return size > 0;
}

static bool is_text(const char *s, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) s[i] < ' ' && s[i] != '\t')
                        return false;
        return true;
}

static enum MHD_Result look_at(void *userdata, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
                               size_t size) {
        Framing *f = userdata;

        if (!is_token(name, name_size) || !is_text(value ?: "", value ? size : 0)) {
                f->malformed = true;
                return MHD_NO;
        }
        if (strcasecmp(name, "Content-Length") == 0)
                f->n_lengths++;
        else if (strcasecmp(name, "Host") == 0)
                f->n_hosts++;
        else if (strcasecmp(name, "Transfer-Encoding") == 0) {
                f->n_encodings++;
                f->chunked = value && strcasecmp(value, "chunked") == 0;
        }
        return MHD_YES;
}

unsigned framing_check(struct MHD_Connection *mhd) {
        Framing f = {};

        (void) MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at, &f);
        if (f.malformed || f.n_hosts > 1 || f.n_lengths + f.n_encodings > 1)
                return 400;
        return f.n_encodings > 0 && !f.chunked ? 501 : 0;
}
