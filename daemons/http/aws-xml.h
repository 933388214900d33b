/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* XML as the APIs of AWS answer: elements with either elements or a text in them. */

#include <stddef.h>

/* At the end of each element: the names of those around it and its own, "a/b/c", and the text in it, without white space around. */
typedef void (*aws_xml_element_t)(const char *path, const char *text, void *userdata);

/* -EBADMSG: it is no XML, or none of this kind (one with a DTD, say, or that is too deep); -ENOMEM. */
int aws_xml_read(const char *data, size_t size, aws_xml_element_t element, void *userdata);
