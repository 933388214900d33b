/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A program of many files, made by a loop over a list that comes from outside: from its text to the first graph, and from one
 * other element to the change set with the one file that it concerns. The floor of the first copies the same resources, field by
 * field; that of the second does so for one. */

#include <string.h>

#include "bench/bench.h"
#include "bench/running.h"

enum { ROUNDS = 51 };

static const char text[] =
        "import \"fmt\"\nimport \"world\"\n"
        "for $i, $v in world.schedule(\"l\") {\n"
        "\t$path = fmt.printf(\"/srv/%d\", $i)\n"
        "\tfile \"${path}\" {\n"
        "\t\tcontent => \"this is \" + $v,\n"
        "\t\tmode => \"0644\",\n"
        "\t}\n"
        "}\n";

static Value numbered(size_t n) {
        Value *items = calloc(n, sizeof(Value)), v = VALUE_NIL;

        for (size_t i = 0; i < n; i++)
                (void) value_strf(&items[i], "element %zu", i);
        (void) value_list(&v, items, n);
        free(items);
        return v;
}

/* The same list, but for one element. */
static Value with_other(Value list, size_t at, int round) {
        Value item = VALUE_NIL, v = VALUE_NIL;

        (void) value_strf(&item, "other %d", round);
        (void) value_list_replace(&v, list, (uint32_t) at, item);
        return v;
}

static uint64_t copy_nsec(const ChangeSet *c, size_t n) {
        ResourceSpec *copies = calloc(n, sizeof(ResourceSpec));
        uint64_t begin = now_nsec();

        for (size_t i = 0; i < n; i++)
                if (resource_spec_copy(&copies[i], &c->put[i]) < 0)
                        exit(EXIT_FAILURE);
        uint64_t nsec = now_nsec() - begin;
        for (size_t i = 0; i < n; i++)
                resource_spec_done(&copies[i]);
        free(copies);
        return nsec;
}

static void bench(size_t n) {
        uint64_t samples[ROUNDS], begin;
        ChangeSet all = {};
        Value list = numbered(n), others[ROUNDS];
        char what[96];
        Running r;

        for (int i = 0; i < ROUNDS; i++)
                others[i] = with_other(list, n / 2, i);
        begin = now_nsec();
        running_start(&r, text, value_ref(list));
        uint64_t start = now_nsec() - begin;
        if (lang_snapshot(r.lang, &all) < 0 || all.n_put != n)
                exit(EXIT_FAILURE);
        (void) snprintf(what, sizeof(what), "%zu files, from the text to the first graph", n);
        report(what, start, copy_nsec(&all, n));

        for (int i = 0; i < ROUNDS; i++) {
                begin = now_nsec();
                running_say_list(&r, value_ref(others[i]));
                if (running_step(&r) != 1)
                        exit(EXIT_FAILURE);
                samples[i] = now_nsec() - begin;
        }
        (void) snprintf(what, sizeof(what), "%zu files, one element of the list is another", n);
        report(what, median(samples, ROUNDS), copy_nsec(&all, 1));

        change_set_done(&all);
        running_done(&r);
        for (int i = 0; i < ROUNDS; i++)
                value_done(&others[i]);
        value_done(&list);
}

int main(void) {
        for (size_t n = 1000; n <= 100000; n *= 10)
                bench(n);
        return 0;
}
