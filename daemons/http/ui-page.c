/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each input is a form of its own: it can be sent without a script, and a script can replace one and leave the others alone. The
 * attribute data-shape tells whether it has to. No element has a style of its own, which the page's policy would not allow. */

#include <inttypes.h>

#include "common/hash.h"
#include "common/macro.h"
#include "daemons/http/markup.h"
#include "daemons/http/ui-measure.h"
#include "daemons/http/ui-page.h"

static void put_attribute(StrBuf *b, const char *name, const char *value) {
        strbuf_printf(b, " %s=\"", name);
        markup_html(b, value);
        strbuf_putc(b, '"');
}

static void put_id(StrBuf *b, const char *attribute, const char *prefix, const UiField *f) {
        strbuf_printf(b, " %s=\"%s-", attribute, prefix);
        markup_word(b, f->id);
        strbuf_putc(b, '"');
}

static const char *label_of(const UiField *f) {
        return *f->label ? f->label : f->id;
}

/* What is in the control: what was typed and refused stays there. */
static const char *shown_value(const UiField *f) {
        return f->typed ?: f->value ?: ui_type_initial(&f->type);
}

/* ---- controls ---- */

static void put_param(StrBuf *b, const UiField *f, UiParam p) {
        _cleanup_free_ char *text = ui_type_param(&f->type, p);

        if (text)
                put_attribute(b, ui_param_name(p), text);
}

static void put_described(StrBuf *b, const UiField *f) {
        strbuf_puts(b, " aria-describedby=\"");
        if (*f->help) {
                strbuf_puts(b, "h-");
                markup_word(b, f->id);
                strbuf_putc(b, ' ');
        }
        strbuf_puts(b, "s-");
        markup_word(b, f->id);
        strbuf_printf(b, "\"%s", f->objection ? " aria-invalid=\"true\"" : "");
}

/* What all controls but radio buttons have. */
static void put_common(StrBuf *b, const UiField *f) {
        put_id(b, "id", "c", f);
        strbuf_puts(b, " name=\"value\" autocomplete=\"off\"");
        put_described(b, f);
        if (f->type.required)
                strbuf_puts(b, " required");
}

static void put_lengths(StrBuf *b, const UiField *f) {
        if (!f->type.max_length)
                return;
        strbuf_printf(b, " maxlength=\"%u\"", f->type.max_length);
        if (f->type.min_length > 0)
                strbuf_printf(b, " minlength=\"%u\"", f->type.min_length);
}

/* The marks stand where the middle of the thumb comes to. */
static void put_ticks(StrBuf *b, const UiField *f) {
        const UiType *t = &f->type;
        int64_t distance;
        unsigned n = ui_type_ticks(t, &distance);

        if (n < 2 || t->max == t->min)
                return;
        strbuf_puts(b, "<svg class=\"ticks\" aria-hidden=\"true\">");
        for (unsigned i = 0; i < n; i++) {
                double at = 100.0 * (double) (i * distance) / (double) (t->max - t->min);
                strbuf_printf(b, "<line x1=\"%.4g%%\" x2=\"%.4g%%\" y1=\"0\" y2=\"100%%\"/>", at, at);
        }
        strbuf_puts(b, "</svg>");
}

static void put_ends(StrBuf *b, const UiField *f) {
        char min[UI_DECIMAL_TEXT_MAX], max[UI_DECIMAL_TEXT_MAX];

        ui_decimal_text(f->type.min, min);
        ui_decimal_text(f->type.max, max);
        strbuf_printf(b, "<div class=\"ends\" aria-hidden=\"true\"><span>%s</span><span>%s</span></div>", min, max);
}

/* What is not there yet has a place too: without a value, the thumb is at the least one. */
static void put_range(StrBuf *b, const UiField *f) {
        char min[UI_DECIMAL_TEXT_MAX], max[UI_DECIMAL_TEXT_MAX];
        const char *value = shown_value(f);

        ui_decimal_text(f->type.min, min);
        ui_decimal_text(f->type.max, max);
        strbuf_puts(b, "<div class=\"range\"><input type=\"range\"");
        put_common(b, f);
        strbuf_printf(b, " min=\"%s\" max=\"%s\"", min, max);
        put_param(b, f, UI_STEP);
        put_attribute(b, "value", *value ? value : min);
        strbuf_putc(b, '>');
        put_ticks(b, f);
        put_ends(b, f);
        strbuf_puts(b, "</div>");
}

/* The hidden one before it is what a form sends while the box is not ticked. */
static void put_checkbox(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<input type=\"hidden\" name=\"value\" value=\"false\"><input type=\"checkbox\" role=\"switch\"");
        put_common(b, f);
        strbuf_printf(b, " value=\"true\"%s>", streq(shown_value(f), "true") ? " checked" : "");
}

/* What the program, or another one, has put there may be none. */
static bool has_option(const UiField *f, const char *value) {
        for (size_t i = 0; f->type.options[i]; i++)
                if (streq(f->type.options[i], value))
                        return true;
        return false;
}

static void put_select(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<select");
        put_common(b, f);
        strbuf_putc(b, '>');
        if (!f->value)
                strbuf_puts(b, "<option value=\"\" disabled selected hidden>choose…</option>");
        else if (!has_option(f, f->value)) {
                strbuf_puts(b, "<option value=\"\" disabled selected hidden>");
                markup_html(b, f->value);
                strbuf_puts(b, "</option>");
        }
        for (size_t i = 0; f->type.options[i]; i++) {
                strbuf_puts(b, "<option");
                put_attribute(b, "value", f->type.options[i]);
                strbuf_puts(b, f->value && streq(f->type.options[i], f->value) ? " selected>" : ">");
                markup_html(b, f->type.options[i]);
                strbuf_puts(b, "</option>");
        }
        strbuf_puts(b, "</select>");
}

static void put_radio(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<div class=\"choices\" role=\"radiogroup\"");
        put_id(b, "aria-labelledby", "l", f);
        put_described(b, f);
        strbuf_putc(b, '>');
        for (size_t i = 0; f->type.options[i]; i++) {
                strbuf_puts(b, "<label><input type=\"radio\" name=\"value\"");
                put_attribute(b, "value", f->type.options[i]);
                strbuf_printf(b, "%s><span>", f->value && streq(f->type.options[i], f->value) ? " checked" : "");
                markup_html(b, f->type.options[i]);
                strbuf_puts(b, "</span></label>");
        }
        strbuf_puts(b, "</div>");
}

/* The first line feed of a textarea is not part of it. */
static void put_textarea(StrBuf *b, const UiField *f) {
        strbuf_printf(b, "<textarea rows=\"%u\"", f->type.rows);
        put_common(b, f);
        put_lengths(b, f);
        put_param(b, f, UI_PLACEHOLDER);
        strbuf_puts(b, ">\n");
        markup_html(b, shown_value(f));
        strbuf_puts(b, "</textarea>");
}

static void put_proposals(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<datalist");
        put_id(b, "id", "o", f);
        strbuf_putc(b, '>');
        for (size_t i = 0; f->type.options[i]; i++) {
                strbuf_puts(b, "<option");
                put_attribute(b, "value", f->type.options[i]);
                strbuf_putc(b, '>');
        }
        strbuf_puts(b, "</datalist>");
}

static void put_input(StrBuf *b, const UiField *f) {
        bool proposes = f->type.options && f->type.options[0];
        const char *html = ui_type_html(&f->type);

        strbuf_printf(b, "<input type=\"%s\"", html);
        put_common(b, f);
        if (!streq(html, "color"))
                put_lengths(b, f);
        for (UiParam p = UI_MIN; p <= UI_STEP; p++)
                put_param(b, f, p);
        put_param(b, f, UI_PLACEHOLDER);
        if (streq(html, "number"))
                strbuf_puts(b, " inputmode=\"decimal\"");
        if (proposes)
                put_id(b, "list", "o", f);
        put_attribute(b, "value", shown_value(f));
        strbuf_putc(b, '>');
        if (proposes)
                put_proposals(b, f);
}

static void put_control(StrBuf *b, const UiField *f) {
        static const struct {
                const char *type;
                void (*put)(StrBuf *b, const UiField *f);
        } table[] = {
                { "checkbox", put_checkbox },
                { "radio", put_radio },
                { "range", put_range },
                { "select", put_select },
                { "textarea", put_textarea },
        };

        if (ui_type_is_output(&f->type))
                return;
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].type, ui_type_name(&f->type))) {
                        table[i].put(b, f);
                        return;
                }
        put_input(b, f);
}

/* ---- fields ---- */

static uint64_t hash_text(const StrBuf *b) {
        static const uint64_t key[2] = { 0x6d676d742d75692d, 0x70616765 };

        return b->data ? hash_bytes_keyed(key, b->data, b->size) : 0;
}

/* Of what the form looks like when it has no value. */
static uint64_t field_shape(const UiField *f) {
        UiField empty = *f;
        StrBuf b = {};
        uint64_t shape;

        empty.value = empty.typed = empty.objection = empty.error = NULL;
        put_control(&b, &empty);
        strbuf_printf(&b, "\n%s\n%s\n%s\n%s", f->id, f->label, f->unit, f->help);
        shape = hash_text(&b);
        strbuf_done(&b);
        return shape;
}

static const char *ui_stage_name(UiStage s) {
        static const char *const names[_UI_STAGE_MAX] = {
                [UI_ACCEPTED] = "accepted",
                [UI_APPLIED] = "applied",
                [UI_CONVERGED] = "converged",
                [UI_FAILED] = "failed",
        };

        return names[s];
}

/* The value that is in force, large, for those who do not touch the control. */
static void put_now(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<output class=\"now\"");
        if (ui_type_is_output(&f->type))
                put_id(b, "aria-labelledby", "l", f);
        else {
                put_id(b, "for", "c", f);
                strbuf_puts(b, " aria-live=\"off\"");         /* the control says it already */
        }
        strbuf_puts(b, "><b>");
        markup_html(b, f->value ?: "–");
        strbuf_puts(b, "</b>");
        if (*f->unit) {
                strbuf_puts(b, " <span class=\"unit\">");
                markup_html(b, f->unit);
                strbuf_puts(b, "</span>");
        }
        strbuf_puts(b, "</output>");
}

static void put_state(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<div class=\"foot\"><span class=\"steps\" aria-hidden=\"true\"><i></i><i></i><i></i><i></i></span>"
                       "<span class=\"state\"");
        put_id(b, "id", "s", f);
        strbuf_putc(b, '>');
        if (f->objection) {
                strbuf_puts(b, "not sent: ");
                markup_html(b, f->objection);
        } else if (f->stage == UI_FAILED && f->error)
                markup_html(b, f->error);
        else
                strbuf_puts(b, f->value ? ui_stage_name(f->stage) : "no value yet");
        strbuf_puts(b, "</span><button type=\"submit\">Set</button></div>");
}

static void put_label(StrBuf *b, const UiField *f) {
        bool one = !streq(ui_type_name(&f->type), "radio") && !ui_type_is_output(&f->type);      /* there is one control */

        strbuf_puts(b, one ? "<label class=\"label\"" : "<span class=\"label\"");
        put_id(b, "id", "l", f);
        if (one)
                put_id(b, "for", "c", f);
        strbuf_putc(b, '>');
        markup_html(b, label_of(f));
        strbuf_puts(b, one ? "</label>" : "</span>");
}

static void put_field(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "<form class=\"field\" method=\"post\" action=\"save/\"");
        put_id(b, "id", "f", f);
        put_attribute(b, "data-id", f->id);
        strbuf_printf(b, " data-type=\"%s\" data-shape=\"%016" PRIx64 "\" data-seq=\"%" PRIu64 "\" data-stage=\"%s\"",
                      ui_type_name(&f->type), field_shape(f), f->seq,
                      f->objection ? "refused" : f->value ? ui_stage_name(f->stage) : "none");
        strbuf_puts(b, "><input type=\"hidden\" name=\"id\"");
        put_attribute(b, "value", f->id);
        strbuf_puts(b, "><div class=\"top\">");
        put_label(b, f);
        put_now(b, f);
        strbuf_puts(b, "</div>");
        if (!ui_type_is_output(&f->type)) {
                strbuf_puts(b, "<div class=\"control\">");
                put_control(b, f);
                strbuf_puts(b, "</div>");
        }
        if (*f->help) {
                strbuf_puts(b, "<p class=\"help\"");
                put_id(b, "id", "h", f);
                strbuf_putc(b, '>');
                markup_html(b, f->help);
                strbuf_puts(b, "</p>");
        }
        if (!ui_type_is_output(&f->type))
                put_state(b, f);
        strbuf_puts(b, "</form>\n");
}

/* ---- the page ---- */

void ui_page_render(StrBuf *b, const UiPage *p) {
        strbuf_puts(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>");
        markup_html(b, p->title);
        strbuf_puts(b, "</title>\n<link rel=\"stylesheet\"");
        put_attribute(b, "href", p->style);
        strbuf_puts(b, ">\n<script defer");
        put_attribute(b, "src", p->script);
        strbuf_puts(b, "></script>\n");
        strbuf_puts(b, p->head);
        strbuf_puts(b, "</head>\n<body>\n<header><h1>");
        markup_html(b, p->title);
        strbuf_printf(b, "</h1><p class=\"link\" role=\"status\">"
                         "<noscript>values are those of when the page was loaded</noscript></p></header>\n"
                         "<main data-shape=\"%016" PRIx64 "\">", ui_page_shape(p));
        for (size_t i = 0; i < p->n_fields; i++)
                put_field(b, p->fields[i]);
        strbuf_puts(b, "</main>\n<p class=\"empty\"><strong>There is nothing to set here.</strong> "
                       "Inputs appear as soon as the program has them.</p>\n"
                       "<p class=\"hidden\" aria-live=\"polite\" id=\"said\"></p>\n<footer>mgmt ");
        markup_html(b, p->version);
        strbuf_puts(b, " on ");
        markup_html(b, p->hostname);
        strbuf_puts(b, "</footer>\n</body>\n</html>\n");
}

uint64_t ui_page_shape(const UiPage *p) {
        StrBuf b = {};
        uint64_t shape;

        strbuf_printf(&b, "%s\n%s\n", p->title, p->head);
        for (size_t i = 0; i < p->n_fields; i++)
                strbuf_printf(&b, "%016" PRIx64 "\n", field_shape(p->fields[i]));
        shape = hash_text(&b);
        strbuf_done(&b);
        return shape;
}

int ui_field_compare(const void *a, const void *b) {
        const UiField *x = *(const UiField *const *) a, *y = *(const UiField *const *) b;
        int order = strcmp(x->sort, y->sort);

        return order != 0 ? order : strcmp(x->id, y->id);
}

/* ---- for scripts ---- */

void ui_field_json(StrBuf *b, const UiField *f) {
        strbuf_puts(b, "{\"id\":");
        markup_json(b, f->id);
        strbuf_puts(b, ",\"value\":");
        markup_json(b, f->value);
        strbuf_printf(b, ",\"seq\":%" PRIu64 ",\"stage\":\"%s\",\"error\":", f->seq, ui_stage_name(f->stage));
        markup_json(b, f->error);
        strbuf_putc(b, '}');
}

void ui_list_json(StrBuf *b, const UiPage *p) {
        strbuf_puts(b, "{\"elements\":[");
        for (size_t i = 0; i < p->n_fields; i++) {
                const UiField *f = p->fields[i];

                strbuf_puts(b, i > 0 ? ",{\"kind\":\"http:server:ui:input\",\"id\":" : "{\"kind\":\"http:server:ui:input\",\"id\":");
                markup_json(b, f->id);
                strbuf_printf(b, ",\"type\":{\"type\":\"%s\"", ui_type_name(&f->type));
                for (UiParam param = 0; param < _UI_PARAM_MAX; param++) {
                        _cleanup_free_ char *text = ui_type_param(&f->type, param);

                        if (!text)
                                continue;
                        strbuf_printf(b, ",\"%s\":", ui_param_name(param));
                        markup_json(b, text);
                }
                strbuf_puts(b, "},\"sort\":");
                markup_json(b, f->sort);
                strbuf_putc(b, '}');
        }
        strbuf_puts(b, "]}");
}
