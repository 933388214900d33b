/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where a request ends must be beyond doubt: if a server in front of this one sees it elsewhere, one client says what another has
 * asked for. The library is generous there, so what RFC 9112 (sections 3.2, 5.1, 5.2 and 6.3) and RFC 9110 (5.5) tell a server to
 * refuse is refused here.
 *
 * Some of that does not show in what the library gives: it ends each part of the head by a NUL, and takes one of the client's for such
 * an end, passing over what follows; and a line that begins with a blank it appends to the name of the header before. But the parts lie
 * where they came, so then there is more between two of them than there should be. */

#include <ctype.h>
#include <strings.h>

#include "common/macro.h"
#include "daemons/http/mhd-private.h"

typedef struct Framing {
        const char *head;               /* from the method to the end of the empty line */
        size_t size, at;                /* at: where the part that was looked at last ends */
        bool laid_out;                  /* the parts lie as is said above */
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

/* Whether there is nothing between the part before and that at start but the end of the one, and perhaps blanks. */
static bool comes_next(Framing *f, size_t start, size_t ends_max, const char *blanks) {
        size_t n = 0;

        if (start > f->size)
                return false;
        for (; n < ends_max && f->at < start && f->head[f->at] == '\0'; n++)
                f->at++;
        while (f->at < start && f->head[f->at] != '\0' && strchr(blanks, f->head[f->at]))
                f->at++;
        return n > 0 && f->at == start;
}

static bool take_part(Framing *f, const char *part, size_t size, size_t ends_max, const char *blanks) {
        size_t start = (size_t) ((uintptr_t) part - (uintptr_t) f->head);

        if (!f->laid_out)
                return true;
        if (!comes_next(f, start, ends_max, blanks) || size > f->size - start)
                return false;
        f->at += size;
        return true;
}

static bool take_line(Framing *f, struct MHD_Connection *mhd, const char *method, const char *target, const char *version) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

        f->head = method;
        f->size = info ? info->header_size : 0;
        f->laid_out = f->size > 0 && startswith(MHD_get_version(), "0.");       /* later ones refuse it themselves */
        f->at = strlen(method) + strlen(" ") + strlen(target);
        return take_part(f, version, strlen(version), 1, "");
}

static enum MHD_Result look_at(void *userdata, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
                               size_t size) {
        Framing *f = userdata;

        if (!is_token(name, name_size) || !is_text(value ?: "", value ? size : 0) || !take_part(f, name, name_size, 2, "") ||
            !take_part(f, value, size, 1, " \t")) {
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

static bool take_end(Framing *f) {
        return !f->laid_out || comes_next(f, f->size, 4, "");
}

unsigned framing_check(struct MHD_Connection *mhd, const char *method, const char *target, const char *version) {
        Framing f = {};

        if (!take_line(&f, mhd, method, target, version))
                return 400;
        (void) MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at, &f);
        if (f.malformed || !take_end(&f) || f.n_hosts > 1 || f.n_lengths + f.n_encodings > 1)
                return 400;
        return f.n_encodings > 0 && !f.chunked ? 501 : 0;
}
