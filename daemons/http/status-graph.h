/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Questions to the engine whose answers are shown as JSON: the graph, and all of one resource. Never waits; those who ask the same at
 * the same time get the same answer. */

#include <stdint.h>

#include "common/macro.h"
#include "daemons/http/mhd.h"

typedef struct HttpManager HttpManager;
typedef struct StatusQuestions StatusQuestions;

enum {
        STATUS_VERTICES_MAX = 20000,            /* of a graph that are shown */
        STATUS_QUESTIONS_MAX = 64,              /* at a time; who asks more is told to come later */
};

/* told: the number of the last state that pages were told, wherever the questions come from. */
int status_questions_new(StatusQuestions **ret, HttpManager *m, const uint64_t *told);
StatusQuestions *status_questions_free(StatusQuestions *s);     /* who waits is answered with 503 */
DEFINE_CLEANUP(StatusQuestions *, status_questions_free)

/* Answer a request, now or when the engine has said it. Also called when it is woken.
 *
 *      {"generation":…,"told":…,"more":…,"vertices":[[…],…],"edges":[[…],…]}
 *                              as GetGraph of dbus/org.mgmt.engine1.xml has them; what was told up to that number is in it
 *      {"State":…,…,"line":…}  the properties of the resource, and its line in the program */
void status_answer_graph(StatusQuestions *s, HttpRequest *q);
void status_answer_resource(StatusQuestions *s, HttpRequest *q, const char *kind, const char *name);

/* The bus object of a resource; NULL if out of memory. Owned by the caller. */
char *status_object_path(const char *kind, const char *name);
