/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What people see of a ui: the page, as HTML that is complete without any script, and what scripts are told of it, as JSON. Pure: it
 * makes texts of structs. */

#include "common/strbuf.h"
#include "daemons/http/ui-type.h"

/* How far a value has come. Before the first there is "sent", which only the browser knows. */
typedef enum UiStage {
        UI_ACCEPTED,            /* it is valid, and kept; a restart does not lose it */
        UI_APPLIED,             /* those who receive it have it, and it is in the store if there is one */
        UI_CONVERGED,           /* and whatever the program does about it is done */
        UI_FAILED,              /* it is kept, but could not be applied, for now */
        _UI_STAGE_MAX,
} UiStage;

typedef struct UiField {
        const char *id;
        const char *label;      /* empty: the id */
        const char *unit, *help, *sort;
        UiType type;
        const char *value;      /* NULL: there is none yet */
        uint64_t seq;           /* grows with each change of value */
        UiStage stage;
        const char *error;      /* why it failed; NULL */
        const char *typed;      /* what somebody has sent that is not valid, and … */
        const char *objection;  /* … why; NULL: nobody has */
} UiField;

typedef struct UiPage {
        const char *title;
        const char *head;       /* HTML of the program's own, or empty */
        const char *hostname;
        const char *version;    /* of mgmt */
        const char *style, *script;     /* where they are */
        const UiField *const *fields;   /* in the order in which they are shown */
        size_t n_fields;
} UiPage;

void ui_page_render(StrBuf *b, const UiPage *p);

/* What the page is like but for the values: two pages that are alike in this differ in values only. The same in every process. */
uint64_t ui_page_shape(const UiPage *p);

void ui_field_json(StrBuf *b, const UiField *f);        /* {"id":…,"value":…,"seq":…,"stage":…,"error":…} */
void ui_list_json(StrBuf *b, const UiPage *p);          /* {"elements":[{"kind":…,"id":…,"type":{…},"sort":…},…]} */

/* For qsort() of pointers to fields: by sort, then by id. */
int ui_field_compare(const void *a, const void *b);
