/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a resource costs on its way between daemons. The floor of writing copies the finished bytes; that of reading copies each
 * string of the message into memory of its own. */

#include <string.h>

#include "bench/bench.h"
#include "common/message.h"

enum { N = 10000, ROUNDS = 15 };

static int make(Message *ret) {
        static const struct {
                const char *name, *value;
        } fields[] = {
                { "path", "\"/tmp/mgmt/some/path/to/a/file\"" }, { "content", "\"some content of a file, one line long\\n\"" },
                { "mode", "\"u=rw,go=r\"" }, { "force", "true" }, { "fragments", "[\"/a\", \"/b\"]" },
        };
        ResourceSpec s = { .kind = strdup("file"), .name = strdup("/tmp/mgmt/some/path/to/a/file"),
                           .pos = { strdup("/main.mcl"), 3, 1, 7, 2 }, .fields = calloc(ELEMENTSOF(fields), sizeof(FieldValue)) };

        meta_init(&s.meta);
        s.meta.retry = 3;
        for (; s.n_fields < ELEMENTSOF(fields); s.n_fields++) {
                s.fields[s.n_fields].name = strdup(fields[s.n_fields].name);
                if (value_parse(fields[s.n_fields].value, NULL, &s.fields[s.n_fields].value, NULL) < 0)
                        return -1;
        }
        *ret = (Message) { .type = MESSAGE_GRAPH_PUT, .graph_put.resource = s };
        return 0;
}

static uint64_t floor_write(const WireWriter *w) {
        uint64_t start = now_nsec();
        uint8_t *copy = malloc(w->size);

        for (size_t i = 0; copy && i < N; i++)
                memcpy(copy + i * (w->size / N), w->data + i * (w->size / N), w->size / N);
        uint64_t took = now_nsec() - start;
        free(copy);
        return took;
}

static uint64_t floor_read(const ResourceSpec *s) {
        enum { STRINGS = 12 };
        const char *strings[STRINGS] = { s->kind, s->name, s->pos.file, s->name, s->name, "mode", "path", "content", "force",
                                         "fragments", "/a", "/b" };
        static char *copies[N][STRINGS];
        uint64_t start = now_nsec();

        for (size_t i = 0; i < N; i++)
                for (size_t k = 0; k < STRINGS; k++)
                        copies[i][k] = strdup(strings[k]);
        uint64_t took = now_nsec() - start;
        for (size_t i = 0; i < N; i++)
                for (size_t k = 0; k < STRINGS; k++)
                        free(copies[i][k]);
        return took;
}

int main(void) {
        uint64_t write[ROUNDS], read[ROUNDS], bare_write[ROUNDS], bare_read[ROUNDS];
        static Message back[N];
        Message m;

        if (make(&m) < 0)
                return EXIT_FAILURE;
        for (unsigned round = 0; round < ROUNDS; round++) {
                _cleanup_(wire_writer_done) WireWriter w = {};
                WireHeader header;
                WireReader body;
                uint64_t start = now_nsec();

                for (size_t i = 0; i < N; i++)
                        if (message_encode(&w, &m) < 0)
                                return EXIT_FAILURE;
                write[round] = now_nsec() - start;
                bare_write[round] = floor_write(&w);

                WireReader r = { .data = w.data, .size = w.size };
                start = now_nsec();
                for (size_t i = 0; i < N; i++)
                        if (wire_next(&r, &header, &body) != 1 || message_decode(&header, &body, &back[i]) < 0)
                                return EXIT_FAILURE;
                read[round] = now_nsec() - start;
                for (size_t i = 0; i < N; i++)
                        message_done(&back[i]);
                bare_read[round] = floor_read(&m.graph_put.resource);
        }
        report_each("wire: a resource of five fields, written", median(write, ROUNDS), median(bare_write, ROUNDS), N);
        report_each("wire: the same, read", median(read, ROUNDS), median(bare_read, ROUNDS), N);
        message_done(&m);
        return EXIT_SUCCESS;
}
