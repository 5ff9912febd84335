/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - a manifest file: read and checked.
 *
 *   bytes -> source.c -> trees -> compose.c -> check.c -> defaults.c -> value.c -> rules.c, paths.c
 */
#ifndef RUNNER_MANIFEST_MANIFEST_H
#define RUNNER_MANIFEST_MANIFEST_H

#include "runner/host/facts.h"
#include "runner/manifest/check.h"
#include "runner/manifest/compose.h"
#include "runner/manifest/source.h"
#include "runner/report/diag.h"
#include "sill/config.h"

/* One document. */
struct mdoc {
	const struct node *root;         /* with defaults */
	const struct sill_config *value; /* with or without mistakes; NULL: no memory */
	struct places places;            /* of the value's members */
	/* The value, fit to be run; NULL when there is a mistake in the file, or after mfile_check(). */
	const struct sill_config *m;
};

/* Public struct, filled by mfile_load(). */
struct mfile {
	struct arena arena;
	struct source source;
	struct diags diags;    /* all that is wrong with the file; total 0: nothing */
	struct diags warnings; /* what is right but ill-advised; only when nothing is wrong */
	struct check check;
	struct mdoc docs[SOURCE_DOCS];
	size_t count;
};

/* Public struct. All borrowed; the host and the store for as long as the file. */
struct mfile_how {
	const struct host_facts *host; /* NULL: the host is not asked: no files but bases, no CPU */
	const struct compose_store *store; /* where bases are; NULL: files */
	const struct compose_extra *extra; /* of the command line; NULL: nothing */
	/* Without the values: all that is wrong is said, nothing can be started from it. */
	bool no_values;
	bool as_it_is; /* a program has written it: it has no bases */
};

/* Read and check @path. NULL only when there is no memory for anything. */
struct mfile *mfile_read(const char *path, const struct mfile_how *how);
/* The same from memory, as if it were the file @path. */
struct mfile *mfile_read_text(const char *path, const char *text, size_t size,
			      const struct mfile_how *how);

/* mfile_read() with nothing else wanted. */
struct mfile *mfile_load(const char *path, const struct host_facts *host);
/* mfile_read_text() of what a program has written. */
struct mfile *mfile_load_text(const char *path, const char *text, size_t size,
			      const struct host_facts *host);

/* The document named @name, or NULL. */
const struct mdoc *mfile_find(const struct mfile *f, const char *name);

/* Accepts NULL. */
void mfile_destroy(struct mfile *f);

/* Tests: the n-th allocation from the arena of every file loaded from now on fails; 0: none. */
void mfile_fail_after(unsigned n);

#endif
