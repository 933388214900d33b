/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Without a DTD there are no entities but those of XML itself, so a text cannot become longer than it was. */

#include <errno.h>

#include <expat.h>

#include "common/strbuf.h"
#include "daemons/http/aws-xml.h"

enum {
        DEPTH_MAX = 32,
        PATH_MAX_SIZE = 1024,
};

typedef struct Reading {
        XML_Parser parser;
        StrBuf path, text;
        size_t ends[DEPTH_MAX];         /* how long the path was before each element */
        unsigned depth;
        int error;
        aws_xml_element_t element;
        void *userdata;
} Reading;

static void stop(Reading *d, int error) {
        if (d->error == 0)
                d->error = error;
        (void) XML_StopParser(d->parser, XML_FALSE);
}

static void XMLCALL on_start(void *userdata, const XML_Char *name, const XML_Char **attributes) {
        Reading *d = userdata;

        if (d->depth == DEPTH_MAX || d->path.size + strlen(name) > PATH_MAX_SIZE)
                return stop(d, -EBADMSG);
        d->ends[d->depth++] = d->path.size;
        if (d->path.size > 0)
                strbuf_putc(&d->path, '/');
        strbuf_puts(&d->path, name);
        d->text.size = 0;
        if (d->path.failed)
                stop(d, -ENOMEM);
}

static const char *trimmed(StrBuf *text) {
        static const char blanks[] = " \t\r\n";

        if (text->size == 0)
                return "";
        while (text->size > 0 && strchr(blanks, text->data[text->size - 1]))
                text->size--;
        text->data[text->size] = '\0';
        return text->data + strspn(text->data, blanks);
}

static void XMLCALL on_end(void *userdata, const XML_Char *name) {
        Reading *d = userdata;

        if (d->error != 0 || d->depth == 0)
                return;
        d->element(d->path.data, trimmed(&d->text), d->userdata);
        d->text.size = 0;
        d->path.size = d->ends[--d->depth];
        d->path.data[d->path.size] = '\0';
}

static void XMLCALL on_text(void *userdata, const XML_Char *s, int size) {
        Reading *d = userdata;

        strbuf_add(&d->text, s, (size_t) size);
        if (d->text.failed)
                stop(d, -ENOMEM);
}

static void XMLCALL on_dtd(void *userdata, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal) {
        stop(userdata, -EBADMSG);
}

int aws_xml_read(const char *data, size_t size, aws_xml_element_t element, void *userdata) {
        Reading d = { .parser = XML_ParserCreate(NULL), .element = element, .userdata = userdata };

        if (!d.parser)
                return -ENOMEM;
        XML_SetUserData(d.parser, &d);
        XML_SetElementHandler(d.parser, on_start, on_end);
        XML_SetCharacterDataHandler(d.parser, on_text);
        XML_SetStartDoctypeDeclHandler(d.parser, on_dtd);
        if (XML_Parse(d.parser, data, (int) size, XML_TRUE) != XML_STATUS_OK && d.error == 0)
                d.error = XML_GetErrorCode(d.parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EBADMSG;
        XML_ParserFree(d.parser);
        strbuf_done(&d.path);
        strbuf_done(&d.text);
        return d.error;
}
