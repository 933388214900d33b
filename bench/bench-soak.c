/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A million waves through a program that uses all that builds and drops parts of the graph: branches, loops over lists and maps,
 * functions that are values, fallbacks, templates. Memory must stand still, and after each round of changes there are as many
 * nodes as before it. */

#include <string.h>

#include "bench/bench.h"
#include "bench/running.h"

enum { WAVES = 1000 * 1000, REPORTS = 10, LISTS = 8 };

static const char text[] =
        "import \"fmt\"\nimport \"golang\"\nimport \"iter\"\nimport \"local\"\nimport \"math\"\nimport \"world\"\n"
        "$n = local.pool(\"n\", \"0\")\n"
        "$m = local.pool(\"n\", \"1\")\n"
        "$l = world.schedule(\"l\")\n"
        "$f = if math.mod($n, 2) == 0 { func($x) { $x + \"!\" } } else { func($x) { $x + fmt.printf(\"%d\", $m) } }\n"
        "$loud = iter.map($l, $f)\n"
        "$long = iter.filter($loud, func($x) { len($x) > math.mod($n, 7) })\n"
        "$sum = iter.reduce(0, iter.range(math.mod($m, 5)), func($a, $b) { $a + $b })\n"
        "$safe = $l[math.mod($n, 6)] <|> \"none\"\n"
        "func greet($who) {\n\t\"hello ${who}\"\n}\n"
        "for $i, $v in $long {\n"
        "\t$name = fmt.printf(\"%d\", $i)\n"
        "\tcount \"loop ${name}\" {\n\t\tvalue => $i + $n,\n\t\ttext => greet($v),\n\t}\n"
        "}\n"
        "forkv $k, $v in {\"a\" => $n, \"b\" => $m} {\n"
        "\tcount \"map ${k}\" {\n\t\tvalue => $v,\n\t}\n"
        "}\n"
        "if math.mod($n, 3) == 0 {\n"
        "\tcount \"third\" {\n\t\tvalue => $sum,\n\t\ttext => golang.template(\"{{ .A }} {{ .B }}\", struct{a => $n, b => $safe}),\n\t}\n"
        "} else {\n"
        "\tif math.mod($m, 3) == 0 {\n\t\tcount \"other\" {\n\t\t\ttext => $safe,\n\t\t}\n\t}\n"
        "}\n";

static long resident_kib(void) {
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");

        if (!f || fscanf(f, "%*s %ld", &pages) != 1)
                pages = 0;
        if (f)
                (void) fclose(f);
        return pages * 4;
}

static Value list_of(size_t n) {
        Value items[LISTS] = {}, v = VALUE_NIL;

        for (size_t i = 0; i < n; i++)
                (void) value_strf(&items[i], "element %zu", i);
        (void) value_list(&v, items, n);
        return v;
}

/* The same state at the beginning of each round. */
static void rewind_to_start(Running *r) {
        running_say(r, 0, 0);
        running_say(r, 1, 0);
        running_say_list(r, list_of(3));
        (void) running_step(r);
}

int main(void) {
        uint64_t random = 1, n_puts = 0;
        size_t n_nodes = 0;
        long first = 0;
        Running r;

        running_start(&r, text, list_of(3));
        for (int report = 0; report < REPORTS; report++) {
                for (int i = 0; i < WAVES / REPORTS; i++) {
                        random = random * 6364136223846793005u + 1442695040888963407u;
                        int64_t value = (int64_t) (random >> 40) % 1000;
                        switch ((random >> 33) % 3) {
                        case 0:
                                running_say(&r, 0, value);
                                break;
                        case 1:
                                running_say(&r, 1, value);
                                break;
                        default:
                                running_say_list(&r, list_of((size_t) value % LISTS));
                        }
                        n_puts += running_step(&r);
                }
                rewind_to_start(&r);
                long now = resident_kib();
                if (report == 0) {
                        first = now;
                        n_nodes = r.lang->graph->n_nodes;
                }
                printf("%8d waves  %6ld KiB resident  %4zu nodes  %10llu resources put\n", (report + 1) * (WAVES / REPORTS), now,
                       r.lang->graph->n_nodes, (unsigned long long) n_puts);
                if (r.lang->graph->n_nodes != n_nodes || now > first + 256) {
                        fprintf(stderr, "something is left over\n");
                        return EXIT_FAILURE;
                }
        }
        running_done(&r);
        return 0;
}
