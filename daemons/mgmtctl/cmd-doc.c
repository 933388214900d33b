/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl doc`: the reference manual, out of the tables that the compiler and the daemons use. */

#include <json-c/json.h>
#include <stdio.h>

#include "common/suggest.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/doc-manual.h"
#include "daemons/mgmtctl/output.h"

static bool arg_markdown = false;
static const char *arg_output = NULL;

static const Option doc_options[] = {
        { "markdown", OPTION_FLAG, &arg_markdown, .doc = "print Markdown" },
        { "output", OPTION_STR, &arg_output, "DIR", .doc = "write the whole manual in Markdown, as files in this directory" },
        {}
};

static DocPage page_new(void) {
        return (DocPage) { .markdown = arg_markdown, .color = output_has_color() && !arg_markdown };
}

static int print_page(DocPage *p) {
        _cleanup_free_ char *text = strbuf_take(&p->text);

        if (!text) {
                output_error("out of memory");
                return -ENOMEM;
        }
        fputs(text, stdout);
        if (fflush(stdout) != 0) {
                output_error("cannot write: %m");
                return -EIO;
        }
        return 0;
}

static int print_json(const Manual *m, const Topic *t) {
        struct json_object *j = manual_json(m, t);

        if (!j)
                return -ENOMEM;
        output_json(j);
        return 0;
}

/* Modules are what is in them, for a program. */
static int print_topic_json(const Manual *m, const Topic *t) {
        int r = 0;

        if (t->kind != TOPIC_MODULE)
                return print_json(m, t);
        for (size_t i = 0; i < m->n && r >= 0; i++)
                if (topic_is_of_module(&m->topics[i], t->name))
                        r = print_json(m, &m->topics[i]);
        return r;
}

static int print_everything(const Manual *m) {
        DocPage p = page_new();
        int r = 0;

        if (arg_json) {
                for (size_t i = 0; i < m->n && r >= 0; i++)
                        if (m->topics[i].kind != TOPIC_MODULE && m->topics[i].kind != TOPIC_FIELD)
                                r = print_json(m, &m->topics[i]);
                return r;
        }
        manual_write_overview(m, &p);
        return print_page(&p);
}

static size_t find(const Manual *m, const char *wanted, TopicRank rank, const Topic **ret) {
        size_t n = 0;

        for (size_t i = 0; i < m->n; i++)
                if (topic_rank(&m->topics[i], wanted) == rank)
                        ret[n++] = &m->topics[i];
        return n;
}

/* All of them, one page after the other; constants together. */
static int print_topics(const Manual *m, const Topic *const *topics, size_t n) {
        DocPage p = page_new();
        size_t n_consts = 0;
        int r = 0;

        if (arg_json) {
                for (size_t i = 0; i < n && r >= 0; i++)
                        r = print_topic_json(m, topics[i]);
                return r;
        }
        while (n_consts < n && topics[n - 1 - n_consts]->kind == TOPIC_CONST)   /* they are the last */
                n_consts++;
        for (size_t i = 0; i < n - n_consts; i++)
                manual_write(m, &p, topics[i]);
        if (n_consts > 0)
                manual_write_consts(m, &p, topics + n - n_consts, n_consts);
        return print_page(&p);
}

static int print_candidates(const Manual *m, const Topic *const *topics, size_t n) {
        DocPage p = page_new();

        if (n == 1 || arg_json)
                return print_topics(m, topics, n);
        manual_write_list(m, &p, topics, n);
        return print_page(&p);
}

static int say_unknown(const Manual *m, const char *wanted) {
        Suggestion near = suggestion_for(wanted);

        for (size_t i = 0; i < m->n; i++) {
                suggestion_add(&near, m->topics[i].name);
                suggestion_add(&near, module_alias(m->topics[i].name));
                suggestion_add(&near, topic_short_name(&m->topics[i]));
        }
        if (near.best)
                output_error("nothing is called '%s', did you mean '%s'?", wanted, near.best);
        else
                output_error("nothing is called '%s', 'mgmtctl doc' lists what there is", wanted);
        return -ENOENT;
}

static int print_name(const Manual *m, const char *wanted) {
        _cleanup_free_ const Topic **found = calloc(m->n + 1, sizeof(Topic *));

        if (!found)
                return -ENOMEM;
        size_t n = find(m, wanted, TOPIC_EXACT, found);
        if (n > 0)
                return print_topics(m, found, n);
        n = find(m, wanted, TOPIC_LIKELY, found);
        return n > 0 ? print_candidates(m, found, n) : say_unknown(m, wanted);
}

static int run_doc(char *arguments[], int n) {
        _cleanup_(manual_done) Manual m = {};
        _cleanup_(diag_done) Diag d = {};
        int r;

        if (arg_output && n > 0) {
                output_error("--output writes all pages, it takes no NAME");
                return EXIT_ERROR;
        }
        r = manual_open(&m, &d);
        if (r < 0) {
                output_error("%s", d.message ?: strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        if (arg_output)
                r = manual_write_files(&m, arg_output);
        else
                r = n > 0 ? print_name(&m, arguments[0]) : print_everything(&m);
        return r < 0 ? EXIT_ERROR : EXIT_SUCCESS;
}

const Command command_doc = {
        .name = "doc",
        .arguments = "[NAME]",
        .doc = "Show the manual of functions, resources and metaparameters",
        .help = "NAME is a function (strings.split, or just split), a module (strings), a kind (file), a field (file.content), Meta,\n"
                "a metaparameter (retry), a property (Depend), a constant or the beginning of its name (const.res.file). Without it,\n"
                "everything there is, in short; with --json, everything.\n\n"
                "Exit codes: 0 it was there, 1 nothing has that name.\n",
        .options = doc_options,
        .max_arguments = 1,
        .run = run_doc,
};
