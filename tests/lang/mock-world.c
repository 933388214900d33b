/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See mock-world.h. */

#include <stdio.h>

#include "tests/lang/mock-world.h"

struct MockSource {
        Source source;
        MockCell *cell;
        MockSource *prev, *next;        /* of the cell */
};

/* ---- answers ---- */

static void answer_done(MockAnswer *a) {
        value_done(&a->value);
        free(a->problem);
        *a = (MockAnswer) {};
}

static Value random_value(Random *r, const Type *t) {
        static const char *const texts[] = { "", "a", "b", "b", "c", "1", "2", "-1", "true", "/a", "x y", "\xc3\xa9" };
        static const double numbers[] = { 0, -0.0, 1, 0.5, -2.5, 3 };
        _cleanup_free_ Value *items = NULL;
        _cleanup_free_ const char **names = NULL;
        Value v = VALUE_NIL;
        unsigned n;

        switch (t->kind) {
        case TYPE_BOOL:
                return VALUE_BOOL(random_pick(r, 2) > 0);
        case TYPE_INT:
                return VALUE_INT((int64_t) random_pick(r, 8) - 2);
        case TYPE_FLOAT:
                return VALUE_FLOAT(numbers[random_pick(r, ELEMENTSOF(numbers))]);
        case TYPE_LIST:
                n = random_pick(r, 5);
                items = calloc(n + 1, sizeof(Value));
                for (unsigned i = 0; items && i < n; i++)
                        items[i] = random_value(r, t->element);
                (void) (items && value_list(&v, items, n));
                return v;
        case TYPE_MAP:
                n = random_pick(r, 4);
                items = calloc(n * 2 + 1, sizeof(Value));
                for (unsigned i = 0; items && i < n; i++) {
                        items[i * 2] = random_value(r, t->key);
                        items[i * 2 + 1] = random_value(r, t->element);
                }
                (void) (items && value_map(&v, items, n));
                return v;
        case TYPE_STRUCT:
                items = calloc(t->n_fields + 1, sizeof(Value));
                names = calloc(t->n_fields + 1, sizeof(char *));
                for (unsigned i = 0; items && names && i < t->n_fields; i++) {
                        items[i] = random_value(r, t->fields[i].type);
                        names[i] = t->fields[i].name;
                }
                (void) (items && names && value_struct(&v, names, items, t->n_fields));
                return v;
        default:
                (void) value_strz(&v, texts[random_pick(r, ELEMENTSOF(texts))]);
                return v;
        }
}

static MockAnswer random_answer(Random *r, const MockCell *c) {
        MockAnswer a = {};
        unsigned x = random_pick(r, 100);

        if (x >= 8) {
                a.value = random_value(r, c->type);
                return a;
        }
        a.catchable = x > 0;
        if (asprintf(&a.problem, "%s: no %u", c->key, random_pick(r, 3)) < 0)
                a.problem = NULL;
        return a;
}

/* ---- cells ---- */

MockCell *mock_world_cell(MockWorld *w, const char *function, const Value *args, size_t n_args, const Type *type) {
        StrBuf b = {};

        strbuf_printf(&b, "%s(", function);
        for (size_t i = 0; i < n_args; i++) {
                strbuf_puts(&b, i > 0 ? ", " : "");
                strbuf_value(&b, args[i]);
        }
        strbuf_putc(&b, ')');
        _cleanup_free_ char *key = strbuf_take(&b);
        if (!key)
                return NULL;

        MockCell *c = map_get(w->by_key, key);
        if (c)
                return c;
        c = calloc(1, sizeof(MockCell));
        if (!c || GROW(w->cells, w->n, w->capacity) < 0 || map_put(w->by_key, key, c) < 0) {
                free(c);
                return NULL;
        }
        uint64_t hash = w->seed;
        for (const char *s = key; *s; s++)
                hash = (hash ^ (unsigned char) *s) * UINT64_C(0x100000001b3);
        Random r = random_from(hash);
        (void) random_pick(&r, 2);
        c->key = TAKE_PTR(key);
        c->type = type;
        c->refuses = n_args > 0 && random_pick(&r, 300) == 0;
        c->answer = random_answer(&r, c);
        w->cells[w->n++] = c;
        return c;
}

const MockAnswer *mock_cell_answer(const MockWorld *w, const MockCell *c) {
        return c->late ? NULL : c->moved == w->step ? &c->before : &c->answer;
}

static void say(MockSource *s, const MockAnswer *a) {
        if (a->problem)
                source_failf(&s->source, a->catchable, -EIO, "%s", a->problem);
        else
                source_set(&s->source, value_ref(a->value));
}

static void cell_speak(MockWorld *w, MockCell *c) {
        if (w->trace) {
                _cleanup_free_ char *text = value_text(c->answer.value);
                printf("# %s is %s\n", c->key, c->answer.problem ? c->answer.problem : text);
        }
        c->late = false;
        for (MockSource *s = c->first; s; s = s->next)
                say(s, &c->answer);
}

/* ---- the functions ---- */

static MockCell *leave(MockSource *s) {
        MockCell *c = s->cell;

        if (!c)
                return NULL;
        *(s->prev ? &s->prev->next : &c->first) = s->next;
        if (s->next)
                s->next->prev = s->prev;
        c->n_open--;
        s->cell = NULL;
        return c;
}

static int enter(Source *source, Diag *reterr) {
        MockSource *s = (MockSource *) source;
        MockWorld *w = source->host->manager;
        MockCell *c = mock_world_cell(w, source->function, source->args, source->n_args, source->result);

        if (!c)
                return -ENOMEM;
        if (c->refuses)
                return diag_set(reterr, (Pos) {}, -EACCES, "%s is closed", c->key);
        if (w->aside) {
                const MockAnswer *a = mock_cell_answer(w, c);
                if (a)
                        say(s, a);
                return 0;
        }
        if (c->n_open == 0)
                c->late = !w->patient && random_percent(&w->random, 10);
        if (w->trace)
                printf("# asks for %s%s\n", c->key, c->late ? ", which waits" : "");
        s->cell = c;
        s->prev = NULL;
        s->next = c->first;
        if (c->first)
                c->first->prev = s;
        c->first = s;
        c->n_open++;
        if (!c->late)
                say(s, &c->answer);
        return 0;
}

static int ask_another(Source *source, Diag *reterr) {
        (void) leave((MockSource *) source);
        return enter(source, reterr);
}

static void end(Source *source) {
        (void) leave((MockSource *) source);
}

/* What it said was taken: the next of a row of answers. */
static void taken(Source *source) {
        MockWorld *w = source->host->manager;
        MockCell *c = ((MockSource *) source)->cell;

        if (!c || c->n_more == 0 || c->moved == w->step)
                return;
        c->n_more--;
        answer_done(&c->before);
        c->before = c->answer;
        c->moved = w->step;
        c->answer = random_answer(&w->random, c);
        cell_speak(w, c);
}

static const SourceType plain_type = { .size = sizeof(MockSource), .open = enter, .close = end };
static const SourceType changing_type = { .size = sizeof(MockSource), .open = enter, .change = ask_another, .close = end };
static const SourceType queueing_type = { .size = sizeof(MockSource), .open = enter, .close = end, .taken = taken };

const SourceType *mock_world_source(void *userdata, const char *function) {
        static const char *const changing[] = { "local.pool", "os.file_exists", "world.kvlookup", "random1" };
        static const char *const queueing[] = { "sys.cpu_count", "world.getval", "value.get_int", "test.fastcount" };

        for (size_t i = 0; i < ELEMENTSOF(changing); i++)
                if (streq(function, changing[i]))
                        return &changing_type;
        for (size_t i = 0; i < ELEMENTSOF(queueing); i++)
                if (streq(function, queueing[i]))
                        return &queueing_type;
        return &plain_type;
}

/* ---- changes ---- */

bool mock_world_change(MockWorld *w) {
        size_t n = 0;

        for (size_t i = 0; i < w->n; i++)
                n += w->cells[i]->n_open > 0;
        if (n == 0)
                return false;
        n = random_pick(&w->random, (unsigned) n);
        for (size_t i = 0; i < w->n; i++) {
                MockCell *c = w->cells[i];
                if (c->n_open == 0 || n-- > 0)
                        continue;
                if (!c->late || random_pick(&w->random, 2) == 0) {
                        answer_done(&c->answer);
                        c->answer = random_answer(&w->random, c);
                }
                if (c->first->source.type == &queueing_type)
                        c->n_more = random_pick(&w->random, 3);
                cell_speak(w, c);
                return true;
        }
        return false;
}

void mock_world_init(MockWorld *w, uint64_t seed) {
        *w = (MockWorld) { .random = random_from(seed), .seed = seed, .by_key = map_new(), .step = 1 };
        w->host = (SourceHost) { .manager = w, .hostname = "tester" };
}

void mock_world_done(MockWorld *w) {
        for (size_t i = 0; i < w->n; i++) {
                answer_done(&w->cells[i]->answer);
                answer_done(&w->cells[i]->before);
                free(w->cells[i]->key);
                free(w->cells[i]);
        }
        free(w->cells);
        map_free(w->by_key);
        *w = (MockWorld) {};
}
