/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_manifest.c - any bytes as a manifest.
 *
 * What is accepted must be decodable (libcyaml may not refuse what the checker
 * let pass), and its effective form must be accepted and be its own effective
 * form. What is refused must be printable. The host is not asked.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/emit.h"
#include "runner/manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct mfile *load(const char *text, size_t size)
{
	struct mfile *f = mfile_load_text("/fuzz/vm.yaml", text, size, NULL);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mfile *f = load((const char *)data, size);

	if (f->diags.total > 0) {
		check_mistakes(f);
	} else {
		for (size_t i = 0; i < f->count; i++)
			check_effective(f, i);
	}
	mfile_destroy(f);
	return 0;
}
