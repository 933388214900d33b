/* SPDX-License-Identifier: GPL-3.0-or-later */

/* libxml2 allocates with malloc() unless told otherwise, and nobody tells it; so what it gives is freed with free(). */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libxml/parser.h>

#include "daemons/virt/xml.h"

static void be_quiet(void *userdata, const char *format, ...) {
}

void xml_init(void) {
        xmlInitParser();
        xmlSetGenericErrorFunc(NULL, be_quiet);
        (void) xmlThrDefSetGenericErrorFunc(NULL, be_quiet);    /* of all threads to come, those of libvirt as well */
}

/* ---- making and changing ---- */

static bool is_xml_text(const char *s) {
        if (!xmlCheckUTF8((const xmlChar *) s))
                return false;
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 && !strchr("\t\n\r", *s))
                        return false;
        return true;
}

static const xmlChar *checked(XmlBuilder *b, const char *text) {
        if (!is_xml_text(text) && b->error == 0)
                b->error = diag_set(b->reterr, (Pos) {}, -EINVAL, "'%s' cannot stand in a description for libvirt", text);
        return (const xmlChar *) (b->error < 0 ? "" : text);
}

xmlNode *xml_add(XmlBuilder *b, xmlNode *parent, const char *name, const char *text) {
        xmlNode *n = b->error < 0 ? NULL : xmlNewTextChild(parent, NULL, (const xmlChar *) name, text ? checked(b, text) : NULL);

        if (!n && b->error == 0)
                b->error = -ENOMEM;
        return n;
}

void xml_set(XmlBuilder *b, xmlNode *node, const char *key, const char *value) {
        if (b->error == 0 && !xmlSetProp(node, (const xmlChar *) key, checked(b, value)))
                b->error = -ENOMEM;
}

void xml_set_number(XmlBuilder *b, xmlNode *node, const char *key, uint64_t value) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        xml_set(b, node, key, text);
}

void xml_set_text(XmlBuilder *b, xmlNode *node, const char *text) {
        const xmlChar *s = checked(b, text);

        if (b->error < 0)
                return;
        for (xmlNode *n; (n = node->children);)
                xml_remove(n);
        if (!xmlAddChild(node, xmlNewText(s)))
                b->error = -ENOMEM;
}

xmlNode *xml_add_leaf(XmlBuilder *b, xmlNode *parent, const char *name, const char *key, const char *value) {
        xmlNode *n = xml_add(b, parent, name, NULL);

        xml_set(b, n, key, value);
        return n;
}

xmlNode *xml_need(XmlBuilder *b, xmlNode *parent, const char *name) {
        xmlNode *n = xml_child(parent, NULL, name);

        return n ? n : xml_add(b, parent, name, NULL);
}

void xml_remove(xmlNode *node) {
        if (!node)
                return;
        xmlUnlinkNode(node);
        xmlFreeNode(node);
}

/* ---- documents ---- */

xmlDoc *xml_new(XmlBuilder *b, const char *root) {
        xmlDoc *document;
        xmlNode *n;

        xmlResetLastError();
        document = xmlNewDoc((const xmlChar *) "1.0");
        n = document ? xmlNewNode(NULL, (const xmlChar *) root) : NULL;
        if (n)
                (void) xmlDocSetRootElement(document, n);
        else
                b->error = -ENOMEM;
        return document;
}

int xml_parse(xmlDoc **ret, const char *text, Diag *reterr) {
        xmlResetLastError();
        *ret = xmlReadMemory(text, (int) strlen(text), "libvirt.xml", NULL,
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        if (*ret)
                return 0;
        const xmlError *e = xmlGetLastError();
        return e && e->code == XML_ERR_NO_MEMORY ? -ENOMEM :
               diag_set(reterr, (Pos) {}, -EBADMSG, "cannot read a description from libvirt");
}

int xml_print(XmlBuilder *b, xmlDoc *document, xmlNode *element, char **ret) {
        xmlBuffer *buffer = NULL;
        xmlChar *text = NULL;

        if (b->error == 0 && element) {
                buffer = xmlBufferCreate();
                if (buffer && xmlNodeDump(buffer, document, element, 0, 0) >= 0)
                        text = xmlBufferDetach(buffer);
                xmlBufferFree(buffer);
        } else if (b->error == 0)
                xmlDocDumpMemory(document, &text, NULL);

        /* where memory runs out, the library leaves parts out without a word to its caller, but for this */
        const xmlError *e = xmlGetLastError();
        if (b->error == 0 && (!text || (e && e->code == XML_ERR_NO_MEMORY)))
                b->error = -ENOMEM;
        if (b->error < 0) {
                xmlFree(text);
                return diag_set(b->reterr, (Pos) {}, b->error, "cannot describe it for libvirt: %m");
        }
        *ret = (char *) text;
        return 0;
}

/* ---- reading ---- */

/* One that was made when memory ran out may have no name. */
xmlNode *xml_child(xmlNode *parent, xmlNode *after, const char *name) {
        xmlNode *n = after ? after->next : parent ? parent->children : NULL;

        while (n && !(n->type == XML_ELEMENT_NODE && n->name && streq((const char *) n->name, name)))
                n = n->next;
        return n;
}

xmlNode *xml_path(xmlNode *parent, const char *path) {
        while (parent && *path) {
                char name[64];
                size_t n = strcspn(path, "/");

                (void) snprintf(name, sizeof(name), "%.*s", (int) n, path);
                parent = xml_child(parent, NULL, name);
                path += n + (path[n] == '/');
        }
        return parent;
}

char *xml_get(xmlNode *node, const char *key) {
        return node ? (char *) xmlGetProp(node, (const xmlChar *) key) : NULL;
}

char *xml_text(xmlNode *node) {
        return node ? (char *) xmlNodeGetContent(node) : NULL;
}

bool xml_is(xmlNode *node, const char *key, const char *value) {
        _cleanup_free_ char *text = xml_get(node, key);

        return streq_ptr(text, value);
}

bool xml_begins(xmlNode *node, const char *key, const char *prefix) {
        _cleanup_free_ char *text = xml_get(node, key);

        return text && startswith(text, prefix);
}
