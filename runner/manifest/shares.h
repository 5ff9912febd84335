/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares.h - two VMs that cannot run at the same time because of one file.
 *
 * A VM locks the images and the variable store it uses, and listens at its
 * sockets. Of two VMs in one file that is a mistake; between files, which may
 * hold two configurations of one VM, it is worth a note.
 */
#ifndef RUNNER_MANIFEST_SHARES_H
#define RUNNER_MANIFEST_SHARES_H

#include <sys/stat.h>

#include "runner/manifest/check.h"

enum held_kind { HELD_IMAGE, HELD_STORE, HELD_SOCKET, HELD_LOG, HELD_PORT };

/* What a VM holds while it runs. All borrowed from the document's arena, or owned by the table. */
struct held {
	enum held_kind kind;
	bool writes;
	unsigned owner; /* the document, or the file */
	const char *vm; /* its name */
	const char *key, *file;
	struct mark at;
	/* Which file it is: a number, or where it will be. */
	dev_t dev;
	ino_t ino;
	const char *
		name; /* "" for a file that is there; else it is in directory @ino, or "@name"; or a port's */
};

/* A table of them. Zeroed: empty. */
struct shares {
	struct held **slot;
	size_t size, count;
	bool owned; /* by the table, and not in an arena */
	unsigned files;
};

/* Note what the document holds by the names in it; the host, if asked, tells which file that is. */
void shares_collect(struct check *c, const struct sill_config *v, unsigned doc);
/* An image that another image names. */
void shares_collect_image(struct check *c, const struct node *n, const struct stat *st,
			  bool writes);

/* Two documents of one file. */
void shares_check(struct check *c);

struct mfile;
/* One file after the other: @say where it clashes with one before it. */
void shares_note(struct shares *s, const struct mfile *f, void (*say)(void *arg, const char *text),
		 void *arg);
void shares_fini(struct shares *s);

#endif
