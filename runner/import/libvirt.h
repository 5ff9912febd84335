/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt.h - a libvirt domain while it is read. */
#ifndef RUNNER_IMPORT_LIBVIRT_H
#define RUNNER_IMPORT_LIBVIRT_H

#include "runner/import/xml.h"

/* Public struct. All borrowed. */
struct domain {
	struct import *im;
	json_t *m; /* the manifest */
	unsigned serials;
	bool windows;
};

/* What becomes of an element: a function, or a sentence, or nothing at all. */
struct element {
	const char *names; /* " a b " */
	void (*take)(struct domain *d, const xmlNode *n);
	const char
		*why; /* with no function: not carried, because; NULL: there is nothing to carry */
};

/* Each element in @n by the row that names it; what no row names is told of. @count rows. */
void domain_walk(struct domain *d, const xmlNode *n, const struct element *rows, size_t count);

bool domain_one_of(const char *words, const char *word);
/* A number in decimal; 0: none. */
uint64_t domain_number(const char *text);
/* @key of @to is that number, unless it is 0. */
void domain_set_number(json_t *to, const char *key, const char *text);
void domain_set_size(json_t *to, const char *key, uint64_t bytes);

/* libvirtdev.c: what is in <devices>. */
void domain_devices(struct domain *d, const xmlNode *n);

#endif
