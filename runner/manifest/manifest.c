/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c - the steps from a file to values, in order. */
#include "runner/manifest/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "runner/manifest/lint.h"
#include "runner/manifest/shares.h"

static unsigned fail_after;

void mfile_fail_after(unsigned n)
{
	fail_after = n;
}

/* Two documents of one name. */
static void check_names(struct mfile *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct node *a = node_ok(f->docs[i].root, "name");

		for (size_t j = 0; a != NULL && j < i; j++) {
			const struct node *b = node_ok(f->docs[j].root, "name");

			if (b == NULL || strcmp(a->text, b->text) != 0)
				continue;
			diag_other(
				check_fail(&f->check, a, "two VMs named '%s' in one file", a->text),
				b->at, "the other one");
			break;
		}
	}
}

static void check_value_of(struct mfile *f, const struct sill_config *v, unsigned doc)
{
	check_rules(&f->check, v);
	check_on_host(&f->check, v);
	shares_collect(&f->check, v, doc);
	check_files(&f->check, v);
}

static void check_one(struct mfile *f, struct node *root)
{
	struct sill_config *v;

	check_document(&f->check, root);
	v = value_make(&f->check, root);
	if (v != NULL && root->type == NODE_MAP) {
		check_defaults(&f->check, v);
		check_value_of(f, v, (unsigned)f->count);
	}
	f->docs[f->count++] = (struct mdoc){ root, v, f->check.places, v };
}

/* A document that cannot be composed is not looked at: what it lacks may be in what is missing. */
static void check_all(struct mfile *f, const struct mfile_how *how)
{
	struct compose all = { .a = &f->arena,
			       .d = &f->diags,
			       .store = how->store,
			       .extra = how->extra,
			       .several = f->source.doc_count > 1,
			       .dollar = compose_has_dollar(&f->source.src) };

	for (size_t i = 0; i < f->source.doc_count; i++) {
		struct node *root = f->source.docs[i];

		if (!how->as_it_is)
			root = compose_document(&all, root);
		if (root != NULL)
			check_one(f, root);
	}
	compose_end(&all);
	f->check.no_memory |= all.no_memory;
	for (unsigned i = 0; i < all.unused_count; i++)
		lint_unused(&f->warnings, all.unused[i]);
	check_names(f);
	shares_check(&f->check);
	if (f->check.no_memory)
		(void)diag_add(&f->diags, (struct mark){ 0 }, NULL, "no memory for the manifest");
}

/* Only when the whole file is right: one mistake is not to be taken for another. */
static void lint_all(struct mfile *f)
{
	if (f->diags.total > 0)
		diags_fini(&f->warnings);
	f->warnings.src = f->diags.src;
	for (size_t i = 0; i < f->count && f->diags.total == 0; i++) {
		f->check.places = f->docs[i].places;
		lint_document(&f->warnings, &f->check, f->docs[i].value);
	}
	if (f->check.smm != NULL && f->diags.total == 0)
		lint_smm(&f->warnings, f->check.smm);
	for (unsigned i = 0; i < f->check.foreign_count && f->diags.total == 0; i++)
		lint_foreign(&f->warnings, f->check.foreign[i]);
	diags_sort(&f->warnings);
}

static struct mfile *new_file(void)
{
	struct mfile *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->arena.fail_after = fail_after;
	return f;
}

/* Check what is in f->source, if @read says that it is there. */
static struct mfile *finish(struct mfile *f, const char *path, const struct mfile_how *how,
			    int read)
{
	f->check = (struct check){ .a = &f->arena, .d = &f->diags, .host = how->host, .dir = "" };
	if (read < 0)
		return f;
	/* Without the host and the structs nobody asks where a path leads. */
	if (!how->no_values || how->host != NULL)
		f->check.dir = compose_directory(&f->arena, path);
	if (f->check.dir == NULL) {
		(void)diag_add(&f->diags, (struct mark){ 0 }, NULL, "no memory for the manifest");
		return f;
	}
	(void)source_parse(&f->source, &f->arena, &f->diags);
	check_all(f, how);
	diags_sort(&f->diags);
	for (size_t i = 0; i < f->count && (how->no_values || f->diags.total > 0); i++)
		f->docs[i].m = NULL;
	lint_all(f);
	return f;
}

struct mfile *mfile_read(const char *path, const struct mfile_how *how)
{
	struct mfile *f = new_file();

	if (f == NULL)
		return NULL;
	return finish(f, path, how, source_read(&f->source, path, &f->arena, &f->diags));
}

struct mfile *mfile_load(const char *path, const struct host_facts *host)
{
	return mfile_read(path, &(struct mfile_how){ .host = host });
}

struct mfile *mfile_read_text(const char *path, const char *text, size_t size,
			      const struct mfile_how *how)
{
	struct mfile *f = new_file();

	if (f == NULL)
		return NULL;
	return finish(f, path, how, source_set(&f->source, path, text, size, &f->arena, &f->diags));
}

struct mfile *mfile_load_text(const char *path, const char *text, size_t size,
			      const struct host_facts *host)
{
	return mfile_read_text(path, text, size,
			       &(struct mfile_how){ .host = host, .as_it_is = true });
}

const struct mdoc *mfile_find(const struct mfile *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->docs[i].m != NULL && strcmp(f->docs[i].m->name, name) == 0)
			return &f->docs[i];
	}
	return NULL;
}

void mfile_destroy(struct mfile *f)
{
	if (f == NULL)
		return;
	diags_fini(&f->diags);
	diags_fini(&f->warnings);
	arena_fini(&f->arena);
	free(f);
}
