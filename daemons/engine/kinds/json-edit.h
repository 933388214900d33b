/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One change of a JSON document, as text:
 *
 *      .server.port = 8080
 *      .["a key"]["another"] = {"x": [1, 2]}
 *      del(.server.debug)
 *
 * A path leads through objects only. */

#include "common/json-document.h"

typedef struct JsonEdit {
        JsonText *path;
        size_t n;
        JsonNode *value;        /* NULL: what is at the path goes */
} JsonEdit;

/* What it points to is in the arena, or in text. */
int json_edit_parse(Arena *a, const char *text, JsonEdit *ret, Diag *reterr);

/* Objects on the way that are missing are made; to remove what is not there is no error. */
int json_edit_apply(Arena *a, JsonNode *root, const JsonEdit *e, Diag *reterr);
