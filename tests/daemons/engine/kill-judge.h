/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The judgement over a run of test-kill.c. It reads the log of the stage from the first line to the last, with the marks of the test
 * between what the resources wrote, and knows at each line which graphs can be in force: from when one is sent until it is said to
 * be in force both it and those before it. What holds in all of them must be so, what holds in one may be so. */

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "common/macro.h"
#include "tests/daemons/engine/kill-program.h"
#include "tests/test.h"

typedef enum Due {
        DUE_NO,
        DUE_MAY,
        DUE_MUST,
} Due;

typedef struct Seen {
        bool running, undoing;
        bool meanwhile;         /* its last attempt began when more than one graph could be in force */
        enum { UNKNOWN, GOOD, BAD } last;       /* how the last attempt of this engine ended */
        bool bad;               /* it failed, and has not succeeded since */
        bool maybe;             /* the attempt before was cut off */
        Due due[LETTERS], again[LETTERS];       /* by source; as it was told, and since then */
        bool keeping;           /* it said what would undo it, and has not begun since */
        Due kept;               /* whether there is a reversal */
        bool undone;            /* and it is about to leave */
        unsigned success_line;
} Seen;

typedef struct Judge {
        Seen seen[LETTERS];
        unsigned first, last;           /* these, and those between them, can be in force; 0, 0: none */
        unsigned in_force;              /* 0: none since the last kill */
        unsigned first_since_kill;
        unsigned sent_line[GENERATIONS];
        unsigned calm_line;             /* nobody is bad since then */
        unsigned last_success;          /* letter, if its end was the line before; else LETTERS */
        bool last_was_undo;
        unsigned n_line;
} Judge;

static struct {
        unsigned kills, begins, notified, changed, kept, undone, held;
} counts;

#define BLAME(j, ...) \
        do { \
                printf("# line %u of the log:\n", (j)->n_line); \
                TEST_FAIL(__VA_ARGS__); \
        } while (0)

/* ---- in all graphs that can be in force, in one of them, in none ---- */

typedef bool (*claim_t)(const Program *g, unsigned x, unsigned y);

static bool is_here(const Program *g, unsigned x, unsigned y) {
        return g->letters[x].here;
}

static bool has_semaphore(const Program *g, unsigned x, unsigned y) {
        return g->letters[x].semaphore;
}

static bool is_linked(const Program *g, unsigned x, unsigned y) {
        return g->links[x][y] != LINK_NONE;
}

static bool notifies(const Program *g, unsigned x, unsigned y) {
        return g->links[x][y] == LINK_NOTIFY;
}

static Due holds(const Judge *j, claim_t claim, unsigned x, unsigned y) {
        unsigned n = 0;

        for (unsigned i = j->first; i <= j->last; i++)
                n += claim(&graphs[i], x, y);
        return n == 0 ? DUE_NO : n == j->last - j->first + 1 ? DUE_MUST : DUE_MAY;
}

static bool is_certain(const Judge *j) {
        return j->first == j->last;
}

/* ---- attempts ---- */

static void notify(Judge *j, unsigned x, Due due) {
        for (unsigned y = 0; y < LETTERS; y++) {
                Due this = MIN(due, holds(j, notifies, x, y));
                j->seen[y].again[x] = MAX(j->seen[y].again[x], this);
        }
}

static void judge_order(Judge *j, unsigned y, unsigned value) {
        unsigned n = 0;

        for (unsigned x = 0; x < LETTERS; x++) {
                const Seen *s = &j->seen[x];

                if (holds(j, is_linked, x, y) == DUE_MUST && (s->running || s->last == BAD))
                        BLAME(j, "%c is checked %s %c, which comes before it", 'a' + y, s->running ? "during" : "although it failed:", 'a' + x);
                if (is_certain(j) && graphs[j->last].links[x][y] == LINK_TRANSFER && value != graphs[j->last].letters[x].value)
                        BLAME(j, "%c received %u, not %u", 'a' + y, value, graphs[j->last].letters[x].value);
                n += s->running && !s->undoing && holds(j, has_semaphore, x, 0) == DUE_MUST;
        }
        if (n > 0 && holds(j, has_semaphore, y, 0) == DUE_MUST)
                BLAME(j, "%c is checked although the semaphore is taken", 'a' + y);
}

static void judge_notification(Judge *j, unsigned y, bool notified) {
        Seen *s = &j->seen[y];
        Due due = DUE_NO;

        for (unsigned x = 0; x < LETTERS; x++) {
                s->due[x] = MAX(s->due[x], s->again[x]);
                s->again[x] = DUE_NO;
                due = MAX(due, s->due[x]);
        }
        if (notified && due == DUE_NO)
                BLAME(j, "%c is notified of nothing", 'a' + y);
        if (!notified && due == DUE_MUST)
                BLAME(j, "%c is not notified", 'a' + y);
}

static void begin(Judge *j, unsigned y, bool undoing) {
        Seen *s = &j->seen[y];

        if (s->running)
                BLAME(j, "%c is checked twice at once", 'a' + y);
        s->running = true;
        s->undoing = undoing;
        s->meanwhile = !is_certain(j);
        s->last = UNKNOWN;
}

static void judge_begin(Judge *j, unsigned y, bool notified, unsigned value) {
        Seen *s = &j->seen[y];

        if (holds(j, is_here, y, 0) == DUE_NO)
                BLAME(j, "%c is checked although it is not declared", 'a' + y);
        judge_order(j, y, value);
        judge_notification(j, y, notified);
        if (s->keeping)
                s->kept = DUE_MUST;
        s->keeping = s->undone = false;
        begin(j, y, false);
}

static void judge_end(Judge *j, unsigned x, const char *how) {
        Seen *s = &j->seen[x];

        if (!s->running)
                BLAME(j, "%c ends and has not begun", 'a' + x);
        s->running = false;
        if (streq(how, "cancelled")) {
                s->maybe = s->maybe || !s->undoing;
                return;
        }
        if (s->undoing) {
                if (!streq(how, "failed")) {
                        s->kept = DUE_NO;
                        s->undone = j->last_was_undo = true;
                        j->last_success = x;
                        counts.undone++;
                }
                return;
        }
        s->last = streq(how, "failed") ? BAD : GOOD;
        s->bad = s->last == BAD;
        if (s->bad)
                return;
        s->success_line = j->n_line;
        for (unsigned z = 0; z < LETTERS; z++)
                s->due[z] = DUE_NO;
        if (streq(how, "changed"))
                notify(j, x, DUE_MUST);
        else if (s->maybe)
                notify(j, x, DUE_MAY);
        s->maybe = false;
        j->last_success = x;
}

/* ---- reversals ---- */

static void judge_keep(Judge *j, unsigned x) {
        Seen *s = &j->seen[x];

        if (s->kept == DUE_MUST)
                BLAME(j, "how %c was is to be kept, and is kept already", 'a' + x);
        s->kept = DUE_MAY;
        s->keeping = true;
        counts.kept++;
}

static void judge_undo(Judge *j, unsigned x) {
        const Seen *s = &j->seen[x];

        if (holds(j, is_here, x, 0) == DUE_MUST)
                BLAME(j, "%c is undone although it is declared", 'a' + x);
        if (s->kept == DUE_NO && !s->undone)
                BLAME(j, "%c is undone, and nothing was kept, or it was undone before", 'a' + x);
        begin(j, x, true);
}

/* ---- realize ---- */

/* When the resource that is x in this graph was declared first. */
static unsigned declared_line(const Judge *j, unsigned x, unsigned generation) {
        while (generation > j->first_since_kill && same_declared(&graphs[generation].letters[x], &graphs[generation - 1].letters[x]))
                generation--;
        return j->sent_line[generation];
}

/* Who has failed for good, or for now, holds nobody. */
static void judge_realize(Judge *j, unsigned generation) {
        for (unsigned x = 0; x < LETTERS; x++) {
                const Declared *before = &graphs[j->in_force].letters[x];

                if (!before->here || !before->realize || same_declared(before, &graphs[generation].letters[x]))
                        continue;
                if (j->seen[x].success_line > declared_line(j, x, j->in_force))
                        counts.held++;
                else if (j->calm_line < j->sent_line[generation])
                        BLAME(j, "%c went and was never right", 'a' + x);
        }
}

static void judge_calm(Judge *j) {
        for (unsigned x = 0; x < LETTERS; x++)
                if (j->seen[x].bad)
                        j->calm_line = j->n_line + 1;
}

/* ---- marks ---- */

/* Before the end of a good attempt is written to the journal nothing else is written to the log. */
static void judge_kill(Judge *j, const Due before[LETTERS]) {
        for (unsigned x = 0; x < LETTERS; x++) {
                Seen *s = &j->seen[x];
                s->maybe = s->maybe || (s->running && !s->undoing);
                /* Also of those that are not running: the journal is written before the log. */
                notify(j, x, DUE_MAY);
                s->running = s->bad = s->keeping = s->undone = false;
                s->last = UNKNOWN;
        }
        for (unsigned z = 0; z < LETTERS && j->last_success < LETTERS; z++)
                if (before[z] != DUE_NO)
                        j->seen[j->last_success].due[z] = MAX(j->seen[j->last_success].due[z], (Due) DUE_MAY);
        if (j->last_was_undo)
                j->seen[j->last_success].kept = DUE_MAY;
        j->first = j->last = j->in_force = 0;   /* of the notifications only those count whose edges the next graph has, too */
}

/* From here on what is no notification in the new graph may be void; at once, if there is no other graph. What is declared again and
 * is not to be undone any more may be forgotten. */
static void judge_sending(Judge *j, unsigned generation) {
        const Program *new = &graphs[generation];

        j->sent_line[generation] = j->n_line;
        if (j->in_force == 0)
                j->first = j->first_since_kill = generation;
        j->last = generation;
        for (unsigned x = 0; x < LETTERS; x++) {
                Seen *s = &j->seen[x];
                if (new->letters[x].here && !new->letters[x].reverse)
                        s->kept = MIN(s->kept, (Due) DUE_MAY);
                for (unsigned z = 0; z < LETTERS; z++) {
                        Due most = holds(j, notifies, z, x);
                        s->due[z] = MIN(s->due[z], most);
                        s->again[z] = MIN(s->again[z], most);
                }
        }
}

static void judge_accepted(Judge *j, unsigned generation) {
        const Program *before = &graphs[j->in_force], *new = &graphs[generation];

        if (j->in_force > 0)
                judge_realize(j, generation);
        j->first = generation;
        for (unsigned x = 0; x < LETTERS; x++) {
                Seen *s = &j->seen[x];
                /* The first graph of an engine finds nothing that could have been checked before. */
                if (j->in_force > 0 && !same_declared(&before->letters[x], &new->letters[x]) && (s->last != GOOD || !s->meanwhile))
                        s->last = UNKNOWN;
                s->meanwhile = !is_certain(j);
                if (new->letters[x].here && !new->letters[x].reverse)
                        s->kept = MIN(s->kept, (Due) (is_certain(j) ? DUE_NO : DUE_MAY));
                for (unsigned z = 0; z < LETTERS; z++) {
                        Due most = holds(j, notifies, z, x);
                        s->due[z] = MIN(s->due[z], most);
                        s->again[z] = MIN(s->again[z], most);
                        if (most != DUE_NO && j->seen[z].maybe)
                                s->again[z] = MAX(s->again[z], (Due) DUE_MAY);
                }
        }
        j->in_force = generation;
}

static void judge_rest(Judge *j, bool (*is_wrong)(const void *userdata, unsigned x), const void *userdata) {
        for (unsigned x = 0; x < LETTERS; x++) {
                const Seen *s = &j->seen[x];

                if (!graphs[j->last].letters[x].here) {
                        if (s->running || s->kept == DUE_MUST)
                                BLAME(j, "%c is not undone in the end", 'a' + x);
                        continue;
                }
                if (s->running || s->last != GOOD)
                        BLAME(j, "%c is not right in the end", 'a' + x);
                if (is_wrong(userdata, x))
                        BLAME(j, "%c is not repaired in the end", 'a' + x);
                for (unsigned z = 0; z < LETTERS; z++)
                        if (MAX(s->due[z], s->again[z]) == DUE_MUST)
                                BLAME(j, "the notification %c -> %c is lost", 'a' + z, 'a' + x);
        }
}

/* ---- line by line ---- */

static void judge_line(Judge *j, const char *word, unsigned x, const char *how, Due before[LETTERS]) {
        bool notified = streq(word, "begin-notified");

        if (notified || streq(word, "begin")) {
                counts.begins++;
                counts.notified += notified;
                judge_begin(j, x, notified, (unsigned) atoi(how));
        } else if (streq(word, "undo"))
                judge_undo(j, x);
        else if (streq(word, "keep"))
                judge_keep(j, x);
        else if (streq(word, "end")) {
                counts.changed += streq(how, "changed");
                memcpy(before, j->seen[x].due, LETTERS * sizeof(Due));
                judge_end(j, x, how);
        }
}

static void judge(const char *dir, bool (*is_wrong)(const void *userdata, unsigned x), const void *userdata) {
        _cleanup_free_ Judge *j = calloc(1, sizeof(*j));
        _cleanup_free_ char *log = NULL;
        char path[96], *state = NULL;
        Due before[LETTERS] = {};

        (void) snprintf(path, sizeof(path), "%s/log", dir);
        REQUIRE(j && read_file_at(AT_FDCWD, path, 1 << 26, &log, NULL) >= 0);
        j->last_success = LETTERS;
        for (char *line = strtok_r(log, "\n", &state); line && test_failures == 0; line = strtok_r(NULL, "\n", &state)) {
                char word[32] = "", name[32] = "", how[32] = "";

                (void) sscanf(line, "%31s %31s %31s", word, name, how);
                j->n_line++;
                if (streq(word, "killed")) {
                        counts.kills++;
                        judge_kill(j, before);
                }
                j->last_success = LETTERS;
                j->last_was_undo = false;
                if (streq(word, "sending"))
                        judge_sending(j, (unsigned) atoi(name));
                else if (streq(word, "accepted"))
                        judge_accepted(j, (unsigned) atoi(name));
                else if (streq(word, "rest"))
                        judge_rest(j, is_wrong, userdata);
                else if (!streq(word, "killed"))
                        judge_line(j, word, (unsigned) (name[0] - 'a'), how, before);
                judge_calm(j);
        }
}
