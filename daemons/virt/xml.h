/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* libvirt's descriptions as trees: made, read and changed with libxml2, so that no name or path can become markup. Usable in any
 * thread. */

#include <stdbool.h>
#include <stdint.h>

#include <libxml/tree.h>

#include "common/diag.h"
#include "common/macro.h"

/* Once, before there is a second thread: libxml2 wants that. Also keeps it from writing errors to stderr. */
void xml_init(void);

/* ---- making and changing ---- */

/* The first failure sticks in it, so that the shape of a document can be read in the code without a check per line; a parent or
 * node that is NULL because of it is accepted everywhere. Zeroed, it is ready. */
typedef struct XmlBuilder {
        int error;
        Diag *reterr;
} XmlBuilder;

xmlNode *xml_add(XmlBuilder *b, xmlNode *parent, const char *name, const char *text);   /* text: NULL is none */
void xml_set(XmlBuilder *b, xmlNode *node, const char *key, const char *value);         /* an attribute; replaces */
void xml_set_number(XmlBuilder *b, xmlNode *node, const char *key, uint64_t value);
void xml_set_text(XmlBuilder *b, xmlNode *node, const char *text);                      /* in place of all that is in it */

/* An element that has nothing but one attribute. */
xmlNode *xml_add_leaf(XmlBuilder *b, xmlNode *parent, const char *name, const char *key, const char *value);

/* The first child of that name; made if there is none. */
xmlNode *xml_need(XmlBuilder *b, xmlNode *parent, const char *name);

void xml_remove(xmlNode *node);         /* out of its document; accepts NULL */

/* ---- documents ---- */

xmlDoc *xml_new(XmlBuilder *b, const char *root);
int xml_parse(xmlDoc **ret, const char *text, Diag *reterr);    /* -EBADMSG, -ENOMEM */
static inline void xml_freep(xmlDoc **document) {
        xmlFreeDoc(*document);
}

/* Ends building: the text of the document, or of one element in it; owned by the caller. The builder's error comes first. */
int xml_print(XmlBuilder *b, xmlDoc *document, xmlNode *element, char **ret);

/* ---- reading ---- */

xmlNode *xml_child(xmlNode *parent, xmlNode *after, const char *name);  /* the first, or the next one; NULL accepted, and given */
xmlNode *xml_path(xmlNode *parent, const char *path);                   /* "devices/disk": the first of each */
bool xml_is(xmlNode *node, const char *key, const char *value);         /* whether the attribute is there and says that */
bool xml_begins(xmlNode *node, const char *key, const char *prefix);
char *xml_get(xmlNode *node, const char *key);                          /* an attribute, owned; NULL: none, or no node */
char *xml_text(xmlNode *node);                                          /* what stands in it, owned; NULL: no node */
