/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the manual says of each topic, as a page. */

#include "daemons/mgmtctl/doc-manual.h"

/* ---- functions ---- */

/* Without the numbers that stand for names where arguments of functions have none. In the arena. */
static const char *plain_type(const Manual *m, const char *type) {
        char *text = arena_strdup(m->arena, type), *end = text;

        for (const char *s = type; text && *s; s++) {
                bool argument = s > type && (s[-1] == '(' || (s > type + 1 && s[-1] == ' ' && s[-2] == ','));
                size_t digits = argument ? strspn(s, "0123456789") : 0;
                if (digits > 0 && s[digits] == ' ')
                        s += digits + 1;
                *end++ = *s;
        }
        if (text)
                *end = '\0';
        return text;
}

/* "strings.split(a str, b str) []str": the signature under the function's name. */
static const char *signature(const Manual *m, const Topic *t) {
        const char *type = plain_type(m, t->function->signature);

        return type ? arena_printf(m->arena, "%s%s", module_alias(t->name), type + strlen("func")) : NULL;
}

/* The call, and as a comment what it gives. */
static const char *example(const Manual *m, const Builtin *b) {
        enum { COMMENT_COLUMN = 40 };
        int width = COMMENT_COLUMN;

        for (const char *s = b->example; *s; s++)
                width += ((unsigned char) *s & 0xc0) == 0x80;   /* takes no column */
        return b->gives ? arena_printf(m->arena, "%-*s  # %s\n", width, b->example, b->gives) : b->example;
}

static void write_function(const Manual *m, DocPage *p, const Topic *t, unsigned level, bool import) {
        const Builtin *b = t->function;
        const char *dot = strrchr(t->name, '.');

        doc_heading(p, level, t->name);
        doc_code(p, signature(m, t));
        if (*t->doc)
                doc_paragraph(p, t->doc);
        if ((b->flags & BUILTIN_SOURCE) && !(b->flags & BUILTIN_AT_ONCE))
                doc_paragraph(p, "It comes from outside: the program goes on with each new value.");
        else if (b->flags & BUILTIN_SOURCE)
                doc_paragraph(p, "It is asked for once, when the program comes to it.");
        if (b->example && dot && import)
                doc_code(p, arena_printf(m->arena, "import \"%.*s\"\n\n%s", (int) (dot - t->name), t->name, example(m, b) ?: ""));
        else if (b->example)
                doc_code(p, example(m, b));
}

/* ---- lists ---- */

static const char *const no_titles[2] = { NULL, NULL };

void manual_write_list(const Manual *m, DocPage *p, const Topic *const *topics, size_t n) {
        DocRow *rows = arena_array(m->arena, DocRow, n + 1);

        for (size_t i = 0; rows && i < n; i++)
                rows[i] = (DocRow) { .name = topics[i]->name, .link = "", .cells = { "", "" }, .text = topics[i]->doc };
        if (rows)
                doc_table(p, "name", no_titles, rows, n);
        else
                p->text.failed = true;
}

void manual_write_consts(const Manual *m, DocPage *p, const Topic *const *topics, size_t n) {
        doc_heading(p, 1, "Constants");
        manual_write_list(m, p, topics, n);
}

typedef bool TopicFilter(const Topic *t, const char *of);

/* Nothing if there are none. In the arena. */
static const Topic **find_topics(const Manual *m, TopicKind kind, TopicFilter *is_wanted, const char *of, size_t *ret_n) {
        const Topic **found = arena_array(m->arena, const Topic *, m->n + 1);

        *ret_n = 0;
        for (size_t i = 0; found && i < m->n; i++)
                if (m->topics[i].kind == kind && is_wanted(&m->topics[i], of))
                        found[(*ret_n)++] = &m->topics[i];
        return found;
}

static void write_consts_of(const Manual *m, DocPage *p, TopicFilter *is_wanted, const char *of) {
        size_t n;
        const Topic **found = find_topics(m, TOPIC_CONST, is_wanted, of, &n);

        if (n == 0)
                return;
        doc_heading(p, 2, "Constants");
        manual_write_list(m, p, found, n);
}

/* In short, for a terminal: each function can be asked for by itself. */
static void write_signatures(const Manual *m, DocPage *p, const Topic *const *functions, size_t n) {
        static const char *const titles[2] = { "type", NULL };
        DocRow *rows = arena_array(m->arena, DocRow, n + 1);

        if (!rows) {
                p->text.failed = true;
                return;
        }
        for (size_t i = 0; i < n; i++)
                rows[i] = (DocRow) { .name = signature(m, functions[i]), .link = "", .cells = { "", "" }, .text = functions[i]->doc };
        doc_table(p, "function", titles, rows, n);
}

static void write_module(const Manual *m, DocPage *p, const Topic *module) {
        size_t n;
        const Topic **functions = find_topics(m, TOPIC_FUNCTION, topic_is_of_module, module->name, &n);

        doc_heading(p, 1, *module->name ? module->name : MODULE_CORE);
        if (*module->name)
                doc_code(p, arena_printf(m->arena, "import \"%s\"\n", module->name));
        else
                doc_paragraph(p, "What needs no import.");
        if (p->markdown)
                for (size_t i = 0; i < n; i++)
                        write_function(m, p, functions[i], 2, false);
        else
                write_signatures(m, p, functions, n);
        write_consts_of(m, p, topic_is_of_module, module->name);
}

/* ---- fields ---- */

static const char *default_value(const Manual *m, const SchemaField *f) {
        switch (f->flags & FIELD_REQUIRED || f->initial || f->flags & FIELD_OPTIONAL ? TYPE_NIL : f->mcl_type->kind) {
        case TYPE_BOOL:
                return "false";
        case TYPE_STR:
                return f->flags & FIELD_IS_NAME ? "" : "\"\"";
        case TYPE_INT:
        case TYPE_FLOAT:
                return "0";
        case TYPE_LIST:
                return "[]";
        case TYPE_MAP:
                return "{}";
        default:
                return f->initial ?: "";
        }
}

static const char *range(FieldType type) {
        static const char *const texts[] = {
                [FIELD_INT8] = " From -128 to 127.",
                [FIELD_INT16] = " From -32768 to 32767.",
                [FIELD_INT32] = " From -2147483648 to 2147483647.",
                [FIELD_UINT8] = " From 0 to 255.",
                [FIELD_UINT16] = " From 0 to 65535.",
                [FIELD_UINT32] = " From 0 to 4294967295.",
                [FIELD_UINT64] = " Not negative.",
        };

        return type < ELEMENTSOF(texts) && texts[type] ? texts[type] : "";
}

static const char *mcl_type(const Manual *m, const Type *t) {
        _cleanup_free_ char *text = type_text(t);

        return text ? plain_type(m, text) : NULL;
}

static DocRow field_row(const Manual *m, const char *name, const SchemaField *f) {
        return (DocRow) {
                .name = name,
                .link = "",
                .cells = { mcl_type(m, f->mcl_type), default_value(m, f) },
                .text = arena_printf(m->arena, "%s%s%s%s%s%s", f->doc, range(f->type),
                                     f->flags & FIELD_REQUIRED ? " It must be given." : "",
                                     f->flags & FIELD_IS_NAME ? " The default is the name of the resource." : "",
                                     f->flags & FIELD_OPTIONAL ? " Not set unless it is given." : "",
                                     f->flags & FIELD_SECRET ? " It is a secret, which is never shown." : ""),
        };
}

static const char *const field_titles[2] = { "type", "default" };
static const char *const sent_titles[2] = { "type", NULL };

static void write_fields(const Manual *m, DocPage *p, const SchemaField *fields, size_t n, bool sent) {
        DocRow *rows = arena_array(m->arena, DocRow, n + 1);

        if (!rows) {
                p->text.failed = true;
                return;
        }
        for (size_t i = 0; i < n; i++) {
                rows[i] = field_row(m, fields[i].name, &fields[i]);
                if (sent) {
                        rows[i].cells[1] = "";
                        rows[i].text = fields[i].doc;
                }
        }
        doc_table(p, sent ? "value" : "field", sent ? sent_titles : field_titles, rows, n);
}

/* ---- kinds ---- */

static bool is_of_kind(const Topic *t, const char *kind) {
        const char *rest = startswith(t->name, "$const.res.");

        return rest && (rest = startswith(rest, kind)) && *rest == '.';
}

/* How the engine treats resources of the kind: what its flags say. */
static void write_traits(const Manual *m, DocPage *p, const SchemaKind *k) {
        const char *colon = strrchr(k->kind, ':'), *parent = k->parent_kind ? k->parent_kind : k->kind;
        int n = (int) (k->parent_kind ? strlen(parent) : colon ? (size_t) (colon - parent) : 0);

        if (k->parent_field && n > 0)
                doc_item(p, arena_printf(m->arena, "It belongs to one of kind `%.*s`: the one that `%s` names, or else the only one.",
                                         n, parent, k->parent_field));
        else if (k->groups)
                doc_item(p, "Several that go together are dealt with at once (`Meta:autogroup`).");
        if (k->edgeable)
                doc_item(p, "Its place among other resources is found by what they are about (`Meta:autoedge`).");
        if (k->flags & RESOURCE_REFRESHABLE)
                doc_item(p, "It is looked at when it is notified, and most kinds do more then (`Notify`, `Listen`).");
        if (k->flags & RESOURCE_RECEIVES)
                doc_item(p, "Its fields can be received from other resources.");
        if (k->reversible)
                doc_item(p, "It can be undone when it disappears from the program (`Meta:reverse`).");
        if (k->flags & RESOURCE_NEEDS_POLL)
                doc_item(p, "It cannot watch: `Meta:poll` must be given.");
        if (k->flags & RESOURCE_REFUSES_POLL)
                doc_item(p, "It cannot do with `Meta:poll`.");
        doc_item(p, arena_printf(m->arena, "All other metaparameters apply (`mgmtctl doc Meta`). It lives in mgmt-%s.", k->daemon));
}

static void write_kind(const Manual *m, DocPage *p, const SchemaKind *k) {
        doc_heading(p, 1, k->kind);
        doc_paragraph(p, k->doc);
        if (k->example)
                doc_code(p, k->example);
        if (k->n_fields > 0) {
                doc_heading(p, 2, "Fields");
                write_fields(m, p, k->fields, k->n_fields, false);
        }
        if (k->n_sends > 0) {
                doc_heading(p, 2, "Sends");
                write_fields(m, p, k->sends, k->n_sends, true);
        }
        doc_heading(p, 2, "In the graph");
        write_traits(m, p, k);
        write_consts_of(m, p, is_of_kind, k->kind);
}

/* ---- what all resources have ---- */

static bool is_any(const Topic *t, const char *of) {
        return true;
}

static DocRow meta_row(const Manual *m, const char *name, const FieldSpec *f) {
        const SchemaField field = {
                .doc = (char *) f->doc, .initial = (char *) f->initial, .type = f->type, .mcl_type = field_mcl_type(f), .flags = f->flags,
        };

        return field_row(m, name, &field);
}

static void write_metas(const Manual *m, DocPage *p) {
        DocRow *rows = arena_array(m->arena, DocRow, fields_count(meta_fields));
        size_t n = 0;

        if (!rows) {
                p->text.failed = true;
                return;
        }
        doc_heading(p, 1, "Meta");
        doc_paragraph(p, "Metaparameters say how the engine treats a resource, whatever its kind.");
        doc_code(p, "file \"/etc/motd\" {\n\tcontent => \"welcome\\n\",\n\n\tMeta:retry => 3,\n\tMeta:delay => 1000,\n}\n");
        for (const FieldSpec *f = meta_fields; f->name; f++)
                rows[n++] = meta_row(m, f->name, f);
        doc_table(p, "metaparameter", field_titles, rows, n);

        doc_heading(p, 2, "Edges");
        doc_paragraph(p, "Which resource comes first is said inside one of the two, or beside them.");
        doc_code(p, "print \"done\" {\n\tDepend => File[\"/etc/motd\"],\n}\n\nFile[\"/etc/motd\"] -> Print[\"done\"]\n");
        const Topic **properties = find_topics(m, TOPIC_PROPERTY, is_any, NULL, &n);
        manual_write_list(m, p, properties, n);
}

/* ---- everything ---- */

static const char *names_of_module(const Manual *m, const char *module) {
        StrBuf b = {};

        for (size_t i = 0; i < m->n; i++) {
                const Topic *t = &m->topics[i];
                if (topic_is_of_module(t, module))
                        strbuf_printf(&b, "%s%s%s", b.size > 0 ? ", " : "", t->kind == TOPIC_CONST ? "$" : "",
                                      t->kind == TOPIC_CONST ? strrchr(t->name, '.') + 1 : topic_short_name(t));
        }
        _cleanup_free_ char *text = strbuf_take(&b);
        return text ? arena_strdup(m->arena, text) : NULL;
}

/* Up to the first full stop that ends a sentence. */
static const char *first_sentence(const Manual *m, const char *doc) {
        const char *end = strstr(doc, ". ");

        return end ? arena_strndup(m->arena, doc, (size_t) (end + 1 - doc)) : doc;
}

static void write_all_of(const Manual *m, DocPage *p, TopicKind kind, const char *title, const char *heading) {
        size_t n;
        const Topic **topics = find_topics(m, kind, is_any, NULL, &n);
        DocRow *rows = arena_array(m->arena, DocRow, n + 1);

        for (size_t i = 0; rows && i < n; i++) {
                const Topic *t = topics[i];
                rows[i] = (DocRow) { .name = *t->name ? t->name : MODULE_CORE, .link = manual_path(m, t), .cells = { "", "" },
                                     .text = kind == TOPIC_MODULE ? names_of_module(m, t->name) : first_sentence(m, t->doc) };
        }
        if (!rows) {
                p->text.failed = true;
                return;
        }
        doc_heading(p, 2, heading);
        doc_table(p, title, no_titles, rows, n);
}

static const char *meta_names(const Manual *m) {
        StrBuf b = {};

        for (const FieldSpec *f = meta_fields; f->name; f++)
                strbuf_printf(&b, "%s%s", b.size > 0 ? ", " : "", f->name);
        _cleanup_free_ char *text = strbuf_take(&b);
        return text ? arena_strdup(m->arena, text) : NULL;
}

void manual_write_overview(const Manual *m, DocPage *p) {
        if (p->markdown) {
                doc_heading(p, 1, "Reference");
                doc_paragraph(p, "What programs can use, from the tables that the compiler and the daemons read. `mgmtctl doc NAME` prints "
                                 "the same. In the types of functions `?1`, `?2`, … stand for any type, a number always for the same one, "
                                 "and … for any number of further arguments.");
        }
        write_all_of(m, p, TOPIC_KIND, "kind", "Resources");
        write_all_of(m, p, TOPIC_MODULE, "module", "Functions");
        doc_heading(p, 2, "For all resources");
        const DocRow rest[] = {
                { .name = "Meta", .link = "metaparameters.md", .cells = { "", "" }, .text = meta_names(m) },
                { .name = "const", .link = "constants.md", .cells = { "", "" }, .text = "Values that fields take, by name." },
        };
        doc_table(p, "name", no_titles, rest, ELEMENTSOF(rest));
        if (!p->markdown)
                doc_paragraph(p, "mgmtctl doc NAME tells more: of a module, of a function (strings.split, or just split), of a kind, of a "
                                 "field (file.content), of a metaparameter, of constants.");
}

void manual_write(const Manual *m, DocPage *p, const Topic *t) {
        DocRow row;

        switch (t->kind) {
        case TOPIC_MODULE:
                write_module(m, p, t);
                return;
        case TOPIC_FUNCTION:
                write_function(m, p, t, 1, true);
                return;
        case TOPIC_KIND:
                write_kind(m, p, t->resource);
                return;
        case TOPIC_FIELD:
                row = field_row(m, t->name, t->field);
                doc_table(p, "field", field_titles, &row, 1);
                return;
        case TOPIC_META:
                row = meta_row(m, t->name, t->meta);
                doc_table(p, "metaparameter", field_titles, &row, 1);
                return;
        case TOPIC_METAS:
                write_metas(m, p);
                return;
        case TOPIC_PROPERTY:
                manual_write_list(m, p, &t, 1);
                return;
        case TOPIC_CONST:
                manual_write_consts(m, p, &t, 1);
                return;
        }
}
