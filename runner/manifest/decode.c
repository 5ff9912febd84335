/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - hand a document to libcyaml.
 *
 * libcyaml wants its fields one behind the other; our rows carry more, so the
 * fields are copied out of the rows. It gets the document in canonical form:
 * what it loads is what the checker understood. If it refuses, that is our bug.
 */
#include "runner/manifest/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/emit.h"

/* No log: nothing that libcyaml says is for a user. */
static const cyaml_config_t config = { .mem_fn = cyaml_mem };

/* The fields of @s with all that is below them; NULL without memory. */
static const struct cyaml_schema_field *fields(struct arena *a, const struct section *s)
{
	struct cyaml_schema_field *f = arena_alloc(a, (s->count + 1) * sizeof(*f));

	for (size_t i = 0; f != NULL && i < s->count; i++) {
		const struct key *row = &s->keys[i];
		const struct cyaml_schema_field *below = NULL;
		struct cyaml_schema_value *entry;

		f[i] = row->field;
		if (row->section == NULL)
			continue;
		below = fields(a, row->section);
		if (below == NULL)
			return NULL;
		if (row->kind == KIND_MAP) {
			f[i].value.mapping.fields = below;
			continue;
		}
		entry = arena_alloc(a, sizeof(*entry));
		if (entry == NULL)
			return NULL;
		entry->type = CYAML_MAPPING;
		entry->data_size = row->field.value.data_size;
		entry->mapping.fields = below;
		f[i].value.sequence.entry = entry;
	}
	return f;
}

static char *canonical(struct check *c, const struct node *root, size_t *ret_size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_size);
	int ret;

	if (f == NULL)
		return NULL;
	ret = emit_yaml(f, c, root, EMIT_CANONICAL);
	if (fclose(f) != 0 || ret < 0) {
		free(text);
		return NULL;
	}
	return text;
}

struct manifest *decode(struct check *c, const struct node *root,
			const struct cyaml_schema_value **ret_schema, struct sill_err *e)
{
	struct cyaml_schema_value *top = arena_alloc(c->a, sizeof(*top));
	const struct cyaml_schema_field *f = fields(c->a, &root_section);
	cyaml_data_t *m = NULL;
	cyaml_err_t err;
	size_t size = 0;
	char *text;

	text = top != NULL && f != NULL ? canonical(c, root, &size) : NULL;
	if (text == NULL) {
		(void)sill_err_sys(e, ENOMEM, "decode the manifest");
		return NULL;
	}
	top->type = CYAML_MAPPING;
	top->flags = CYAML_FLAG_POINTER;
	top->data_size = sizeof(struct manifest);
	top->mapping.fields = f;
	err = cyaml_load_data((const uint8_t *)text, size, &config, top, &m, NULL);
	free(text);
	if (err != CYAML_OK) {
		(void)sill_err_set(e, err == CYAML_ERR_OOM ? SILL_ERR_HOST : SILL_ERR_INTERNAL,
				   "libcyaml refuses a checked manifest: %s", cyaml_strerror(err));
		return NULL;
	}
	*ret_schema = top;
	return m;
}

void decode_free(struct manifest *m, const struct cyaml_schema_value *schema)
{
	if (m != NULL)
		(void)cyaml_free(&config, schema, m, 0);
}
