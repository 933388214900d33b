/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The list of those of some elements that a function says yes to. What changes is noted down by a node per element: then an element
 * that becomes another is replaced, and one that comes or goes moves only those behind it. Where an element that stays stands among
 * those that stay says a tree of sums. */

#include <errno.h>
#include <string.h>

#include "lang/build.h"

typedef enum Verdict { VERDICT_NO, VERDICT_YES, VERDICT_FAILED, VERDICT_WAITING, _VERDICT_MAX } Verdict;

/* Inputs: a judge for each element. */
typedef struct FilterNode {
        Node node;
        uint8_t *verdicts;      /* owned; of each element, as now has it */
        uint32_t *sums;         /* owned; likewise: of a run of elements that ends there (Fenwick's tree), how many stay */
        uint32_t *changed;      /* owned; what was noted down, in no order, at most one place for each judge that there was */
        uint32_t n_changed, capacity;
        uint32_t n_of[_VERDICT_MAX];
        Value now;              /* those that stay; of those before wrong_from, that is */
        uint32_t wrong_from;    /* place of an element, or UINT32_MAX */
} FilterNode;

/* Inputs: what the function says of the element, and the element. */
typedef struct JudgeNode {
        Node node;
        FilterNode *filter;     /* its only output */
        uint32_t place;
        bool noted;
} JudgeNode;

/* ---- how many stay ---- */

static void add_to_sums(FilterNode *f, uint32_t place, uint32_t n, uint32_t difference) {
        for (uint32_t i = place + 1; i <= n; i += i & -i)
                f->sums[i - 1] += difference;
}

/* Of the elements before that place. */
static uint32_t count_staying(const FilterNode *f, uint32_t place) {
        uint32_t n = 0;

        for (uint32_t i = place; i > 0; i -= i & -i)
                n += f->sums[i - 1];
        return n;
}

/* For one element more, which does not stay yet. */
static void add_sum(FilterNode *f, uint32_t place) {
        uint32_t end = place + 1, begin = end - (end & -end);

        f->sums[place] = count_staying(f, place) - count_staying(f, begin);
}

/* ---- judges ---- */

static int judge_run(FuncGraph *g, Node *n) {
        JudgeNode *j = (JudgeNode *) n;

        if (node_ready(g, n, 0, n->n_in))
                node_set(g, n, VALUE_NIL);
        if (!j->noted) {
                j->noted = true;
                j->filter->changed[j->filter->n_changed++] = j->place;
        }
        node_queue(g, &j->filter->node);
        return 0;
}

static const NodeType judge_type = { .name = "judge", .size = sizeof(JudgeNode), .run = judge_run, .manual = true };

static Verdict verdict_of(const Node *judge) {
        if (!judge->set)
                return VERDICT_WAITING;
        if (judge->failure)
                return VERDICT_FAILED;
        return judge->in[0].from->value.b ? VERDICT_YES : VERDICT_NO;
}

static Value element_of(const FilterNode *f, uint32_t place) {
        return f->node.in[place].from->in[1].from->value;
}

/* ---- the list ---- */

static void judge_again(FilterNode *f, uint32_t place) {
        Verdict before = f->verdicts[place], now = verdict_of(f->node.in[place].from);

        f->verdicts[place] = now;
        f->n_of[before]--;
        f->n_of[now]++;
        if ((before == VERDICT_YES) != (now == VERDICT_YES)) {
                add_to_sums(f, place, f->node.n_in, now == VERDICT_YES ? 1 : -1);
                f->wrong_from = MIN(f->wrong_from, place);
        }
}

static void be_now(FilterNode *f, Value list) {
        value_done(&f->now);
        f->now = list;
}

/* An element that stays. */
static int replace_element(FilterNode *f, uint32_t place) {
        uint32_t at = count_staying(f, place);
        Value item = element_of(f, place), list;

        if (value_same(value_list_at(f->now.l, at), item))
                return 0;
        int r = value_list_replace(&list, f->now, at, value_ref(item));
        if (r < 0)
                f->wrong_from = place;
        else
                be_now(f, list);
        return r;
}

/* What stands there or behind it is taken anew. */
static int take_from(FilterNode *f, uint32_t place) {
        uint32_t before = count_staying(f, place), n = 0;
        _cleanup_free_ Value *items = calloc(f->n_of[VERDICT_YES] - before + 1, sizeof(Value));
        _cleanup_(value_done) Value begin = VALUE_NIL;
        Value list;
        int r;

        if (!items)
                return -ENOMEM;
        r = value_list_truncate(&begin, f->now, before);
        if (r < 0)
                return r;
        for (uint32_t i = place; i < f->node.n_in; i++)
                if (f->verdicts[i] == VERDICT_YES)
                        items[n++] = value_ref(element_of(f, i));
        r = value_list_extend(&list, begin, items, n);
        if (r < 0)
                return r;
        be_now(f, list);
        f->wrong_from = UINT32_MAX;
        return 0;
}

static int take_changes(FilterNode *f) {
        bool many = f->n_changed > f->node.n_in / VALUE_LIST_PART;      /* then one after the other costs more than all of them */
        int r = 0;

        for (uint32_t i = 0; i < f->n_changed; i++) {
                judge_again(f, f->changed[i]);
                if (many)
                        f->wrong_from = MIN(f->wrong_from, f->changed[i]);
        }
        for (uint32_t i = 0; i < f->n_changed && r >= 0; i++)
                if (f->changed[i] < f->wrong_from && f->verdicts[f->changed[i]] == VERDICT_YES)
                        r = replace_element(f, f->changed[i]);
        return r >= 0 && f->wrong_from != UINT32_MAX ? take_from(f, f->wrong_from) : r;
}

static int filter_run(FuncGraph *g, Node *n) {
        FilterNode *f = (FilterNode *) n;
        int r = take_changes(f);

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < f->n_changed; i++)
                ((JudgeNode *) n->in[f->changed[i]].from)->noted = false;
        f->n_changed = 0;
        if (f->n_of[VERDICT_FAILED] + f->n_of[VERDICT_WAITING] == 0)
                node_set(g, n, value_ref(f->now));
        else
                (void) node_ready(g, n, 0, n->n_in);
        return 0;
}

static void filter_done(FuncGraph *g, Node *n) {
        FilterNode *f = (FilterNode *) n;

        free(f->verdicts);
        free(f->sums);
        free(f->changed);
        value_done(&f->now);
}

/* Runs twice in a wave as growing lists do, see node-list.c. */
static const NodeType filter_type = {
        .name = "filter", .size = sizeof(FilterNode), .run = filter_run, .done = filter_done, .manual = true,
};

/* ---- for iter.filter ---- */

int make_filter(FuncGraph *g, Pos pos, Node **ret) {
        FilterNode *f = (FilterNode *) node_new(g, &filter_type, pos);

        if (!f)
                return -ENOMEM;
        node_queue(g, &f->node);
        f->wrong_from = UINT32_MAX;
        *ret = &f->node;
        return value_list(&f->now, NULL, 0);
}

static int room_for_one(FilterNode *f) {
        if (f->node.n_in < f->capacity)
                return 0;

        uint32_t capacity = f->capacity ? f->capacity * 2 : 16;
        uint8_t *verdicts = realloc(f->verdicts, capacity);
        if (verdicts)
                f->verdicts = verdicts;
        uint32_t *sums = reallocarray(f->sums, capacity, sizeof(uint32_t));
        if (sums)
                f->sums = sums;
        uint32_t *changed = reallocarray(f->changed, capacity, sizeof(uint32_t));
        if (changed)
                f->changed = changed;
        if (!verdicts || !sums || !changed)
                return -ENOMEM;
        f->capacity = capacity;
        return 0;
}

int filter_append(FuncGraph *g, Node *filter, Node *said, Node *element) {
        FilterNode *f = (FilterNode *) filter;
        uint32_t place = filter->n_in;
        JudgeNode *j = room_for_one(f) >= 0 ? (JudgeNode *) node_new(g, &judge_type, filter->pos) : NULL;

        if (!j)
                return -ENOMEM;
        j->filter = f;
        j->place = place;
        int r = node_add_input(g, &j->node, said);
        if (r >= 0)
                r = node_add_input(g, &j->node, element);
        if (r >= 0)
                r = node_add_input(g, filter, &j->node);
        if (r < 0)
                return r;
        add_sum(f, place);
        f->verdicts[place] = VERDICT_WAITING;
        f->n_of[VERDICT_WAITING]++;
        node_queue(g, &j->node);
        return 0;
}

int filter_truncate(FuncGraph *g, Node *filter, uint32_t n) {
        FilterNode *f = (FilterNode *) filter;
        uint32_t kept = 0;

        for (uint32_t i = 0; i < f->n_changed; i++)
                if (f->changed[i] < n)
                        f->changed[kept++] = f->changed[i];
        f->n_changed = kept;
        f->wrong_from = MIN(f->wrong_from, n);
        node_queue(g, filter);
        while (filter->n_in > n) {
                int r = node_set_input(g, filter, filter->n_in - 1, NULL);
                if (r < 0)
                        return r;
                f->n_of[f->verdicts[--filter->n_in]]--;
        }
        return 0;
}
