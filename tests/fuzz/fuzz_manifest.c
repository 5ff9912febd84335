/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_manifest.c - any bytes as a manifest.
 *
 * What is accepted must be decodable (libcyaml may not refuse what the checker
 * let pass), and its effective form must be accepted and be its own effective
 * form. What is refused must be printable. The host is not asked.
 *
 * Up to the first NUL it is a document as people write it; what follows, up to the next, is a base
 * called "0", then "1" ..., or, when it begins with '=', what a --set says.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"
#include "runner/manifest/emit.h"
#include "runner/manifest/fmt.h"
#include "runner/manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 8 };

struct parts {
	const char *base[PARTS];
	size_t size[PARTS];
	const char *sets[PARTS];
	size_t base_count, set_count;
};

static const char *base_text(const void *ctx, const char *path, size_t *ret_size)
{
	const struct parts *p = ctx;
	const char *name = strrchr(path, '/');
	const size_t i =
		name != NULL && name[1] >= '0' && name[2] == '\0' ? (size_t)(name[1] - '0') : PARTS;

	if (i >= p->base_count)
		return NULL;
	*ret_size = p->size[i];
	return p->base[i];
}

/* @text ends with a NUL behind its @size bytes. */
static struct mfile *load(const char *text, size_t size)
{
	struct parts p = { 0 };
	const struct compose_store store = { base_text, &p };
	struct compose_extra extra = { .sets = p.sets };
	const struct mfile_how how = { .store = &store, .extra = &extra };
	const size_t first = strlen(text);
	struct mfile *f;

	for (size_t i = first + 1, n; i < size; i += n + 1) {
		n = strlen(text + i);
		if (text[i] == '=' && p.set_count < PARTS) {
			p.sets[p.set_count++] = text + i + 1;
		} else if (p.base_count < PARTS) {
			p.base[p.base_count] = text + i;
			p.size[p.base_count++] = n;
		}
	}
	extra.set_count = p.set_count;
	f = mfile_read_text("/fuzz/vm.yaml", text, first, &how);

	require(f != NULL);
	return f;
}

static char *effective(struct mfile *f, size_t i, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	require(out != NULL);
	require(emit_yaml(out, &f->check, f->docs[i].root, EMIT_EFFECTIVE) == 0);
	require(fclose(out) == 0);
	return text;
}

static void check_effective(struct mfile *f, size_t i)
{
	size_t once_size, twice_size;
	char *once = effective(f, i, &once_size), *twice;
	struct mfile *again = load(once, once_size);

	require(again->diags.total == 0 && again->count == 1);
	twice = effective(again, 0, &twice_size);
	require(once_size == twice_size && memcmp(once, twice, once_size) == 0);
	mfile_destroy(again);
	free(once);
	free(twice);
}

static void check_mistakes(const struct mfile *f)
{
	char *text = NULL;
	json_t *json;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	require(out != NULL);
	diags_print(out, &f->diags, false);
	require(fclose(out) == 0);
	/* Nothing of the file reaches a terminal as it is. */
	require(memchr(text, '\033', size) == NULL && memchr(text, '\0', size) == NULL);
	for (size_t i = 0; i < f->diags.count; i++)
		require(strncmp(f->diags.list[i].msg, "bug in sill", 11) != 0);
	free(text);
	json = diags_json(&f->diags);
	require(json_array_size(json) == f->diags.count);
	json_decref(json);
}

/* As a program has written it: bytes of any kind. */
static void check_as_it_is(const uint8_t *data, size_t size)
{
	struct mfile *f = mfile_load_text("/fuzz/vm.yaml", (const char *)data, size, NULL);

	require(f != NULL);
	check_mistakes(f);
	mfile_destroy(f);
}

/* What is YAML is formatted or left; that it says the same then, fmt_text() makes sure of. */
static void check_form(const uint8_t *data, size_t size)
{
	struct source *s = calloc(1, sizeof(*s));
	struct arena a = { 0 };
	struct diags d = { 0 };
	const char *why = NULL;
	size_t n;

	require(s != NULL);
	if (source_set(s, "t", (const char *)data, size, &a, &d) == 0 &&
	    source_parse(s, &a, &d) == 0 && d.total == 0) {
		char *made = fmt_text(&s->src, &n, &why);

		require(made != NULL || why != NULL);
		free(made);
	}
	diags_fini(&d);
	arena_fini(&a);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct mfile *f;

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	check_as_it_is(data, size);
	check_form(data, size);
	f = load(text, size);

	if (f->diags.total > 0) {
		check_mistakes(f);
	} else {
		for (size_t i = 0; i < f->count; i++)
			check_effective(f, i);
	}
	mfile_destroy(f);
	free(text);
	return 0;
}
