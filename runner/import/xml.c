/* SPDX-License-Identifier: Apache-2.0 */
/* xml.c - see xml.h. */
#include "runner/import/xml.h"

#include <dlfcn.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libxml2.so.2"

/* What is called; the tree itself is a struct. */
struct library {
	xmlDocPtr (*read)(const char *buffer, int size, const char *url, const char *encoding,
			  int options);
	void (*free)(xmlDocPtr doc);
	xmlErrorPtr (*error)(void);
};

static const struct library *library(void)
{
	static struct library lib;
	void *h;

	if (lib.read != NULL)
		return &lib;
	h = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (h == NULL)
		return NULL;
	*(void **)&lib.free = dlsym(h, "xmlFreeDoc");
	*(void **)&lib.error = dlsym(h, "xmlGetLastError");
	*(void **)&lib.read = dlsym(h, "xmlReadMemory");
	return lib.free != NULL && lib.error != NULL && lib.read != NULL ? &lib : NULL;
}

xmlDocPtr xml_read(struct import *im, const char *text, size_t size)
{
	const struct library *lib = library();
	const char *msg;
	xmlErrorPtr why;
	xmlDocPtr doc;

	if (lib == NULL) {
		(void)sill_err_set(&im->err, SILL_ERR_HOST, LIBRARY " cannot be loaded");
		(void)sill_err_hint(&im->err, "apt install libxml2");
		return NULL;
	}
	if (strstr(text, "<!DOCTYPE") != NULL || strstr(text, "<!ENTITY") != NULL) {
		(void)import_fail(im, "a document type has no place in it");
		return NULL;
	}
	doc = lib->read(text, (int)size, NULL, "UTF-8",
			XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				XML_PARSE_NOCDATA);
	if (doc != NULL && doc->children != NULL)
		return doc;
	why = lib->error();
	msg = why != NULL && why->message != NULL ? why->message : "";
	(void)import_fail(im, "line %d: no XML: %.*s", why != NULL ? why->line : 0,
			  (int)strcspn(msg, "\n"), msg);
	xml_free(doc);
	return NULL;
}

void xml_free(xmlDocPtr doc)
{
	if (doc != NULL && library() != NULL)
		library()->free(doc);
}

bool xml_is(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

static const xmlNode *find(const xmlNode *n, const char *name)
{
	while (n != NULL && !xml_is(n, name))
		n = n->next;
	return n;
}

const xmlNode *xml_child(const xmlNode *n, const char *name)
{
	return n != NULL ? find(n->children, name) : NULL;
}

const xmlNode *xml_next(const xmlNode *n)
{
	return n != NULL ? find(n->next, (const char *)n->name) : NULL;
}

/* The text in the list of nodes @n, without blanks around it. */
static const char *gather(struct import *im, const xmlNode *n)
{
	const char *all = "";
	size_t len;

	for (; n != NULL && all != NULL; n = n->next)
		if ((n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) &&
		    n->content != NULL)
			all = arena_printf(&im->a, "%s%s", all, (const char *)n->content);
	if (all == NULL)
		return NULL;
	all += strspn(all, " \t\r\n");
	len = strlen(all);
	while (len > 0 && strchr(" \t\r\n", all[len - 1]) != NULL)
		len--;
	return len > 0 ? arena_copy(&im->a, all, len) : NULL;
}

const char *xml_attr(struct import *im, const xmlNode *n, const char *name)
{
	for (const xmlAttr *a = n != NULL && n->type == XML_ELEMENT_NODE ? n->properties : NULL;
	     a != NULL; a = a->next)
		if (strcmp((const char *)a->name, name) == 0)
			return gather(im, a->children);
	return NULL;
}

const char *xml_text(struct import *im, const xmlNode *n)
{
	return n != NULL ? gather(im, n->children) : NULL;
}
