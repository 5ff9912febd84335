/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml.h - a tree of XML, read by libxml2.
 *
 * The library is loaded when the first text is read, and not with the program: it has much in tow, and a VM
 * needs nothing of it. Nothing is fetched; a document type, and so entities, are refused.
 */
#ifndef RUNNER_IMPORT_XML_H
#define RUNNER_IMPORT_XML_H

#include <libxml/tree.h>

#include "runner/import/import.h"

/* NULL: im->err. */
xmlDocPtr xml_read(struct import *im, const char *text, size_t size);
/* Accepts NULL. */
void xml_free(xmlDocPtr doc);

/* Is it the element @name? */
bool xml_is(const xmlNode *n, const char *name);
/* The first element @name in @n, the next behind @n of the same name; NULL: none. Both accept NULL. */
const xmlNode *xml_child(const xmlNode *n, const char *name);
const xmlNode *xml_next(const xmlNode *n);
/* The attribute @name, the text in the element; in the arena. NULL: there is none. Both accept NULL. */
const char *xml_attr(struct import *im, const xmlNode *n, const char *name);
const char *xml_text(struct import *im, const xmlNode *n);

#endif
