/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - hand the value to libcyaml. */
#include "schema/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "schema/key.h"

/* No log: nothing that libcyaml says is for a user. An alias has nothing to do in it. */
static const cyaml_config_t config = { .mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS };

/*
 * libcyaml wants the fields of a section one behind the other, and our rows carry more: they are copied
 * here, once.
 */
static struct {
	struct cyaml_schema_field field[256];
	struct cyaml_schema_value entry[16];
	size_t fields, entries;
	struct cyaml_schema_value top;
} schema;
static pthread_once_t schema_once = PTHREAD_ONCE_INIT;

static const struct cyaml_schema_field *fields(const struct section *s);

static void below(struct cyaml_schema_value *v, const struct key *row)
{
	struct cyaml_schema_value *entry;

	if (row->kind == KIND_MAP) {
		v->mapping.fields = fields(row->section);
		return;
	}
	assert(schema.entries < CYAML_ARRAY_LEN(schema.entry));
	entry = &schema.entry[schema.entries++];
	entry->type = CYAML_MAPPING;
	entry->data_size = row->field.value.data_size;
	entry->mapping.fields = fields(row->section);
	v->sequence.entry = entry;
}

static const struct cyaml_schema_field *fields(const struct section *s)
{
	struct cyaml_schema_field *f = &schema.field[schema.fields];

	schema.fields += s->count + 1; /* the last ends them */
	assert(schema.fields <= CYAML_ARRAY_LEN(schema.field));
	for (size_t i = 0; i < s->count; i++) {
		f[i] = s->keys[i].field;
		f[i].value.flags &= ~(unsigned)CYAML_FLAG_STRICT; /* 0: not said */
		if (s->keys[i].section != NULL)
			below(&f[i].value, &s->keys[i]);
	}
	return f;
}

static void make_schema(void)
{
	schema.top = (struct cyaml_schema_value){ .type = CYAML_MAPPING,
						  .flags = CYAML_FLAG_POINTER,
						  .data_size = sizeof(struct sill_config) };
	schema.top.mapping.fields = fields(&root_section);
}

/* Zero is a number that is not there. */
static bool is_allowed(const struct key *row, const char *at)
{
	const char *text;

	switch (row->kind) {
	case KIND_TEXT:
	case KIND_NAME:
		text = *(const char *const *)at;
		return text == NULL || row->max == 0 || strlen(text) <= row->max;
	case KIND_UINT:
	case KIND_SIZE:
		return key_number(row, at) == 0 ||
		       (key_number(row, at) >= row->min && key_number(row, at) <= row->max);
	case KIND_ENUM:
		return key_number(row, at) == 0 || key_word(row, key_number(row, at)) != NULL;
	default:
		return true;
	}
}

static int check_map(const struct section *s, const char *p, struct sill_err *e);

static int check_list(const struct key *row, const char *p, struct sill_err *e)
{
	const unsigned count = *(const unsigned *)(p + row->field.count_offset);
	const char *list = *(const char *const *)(p + row->field.data_offset);

	if (count > row->max)
		return sill_err_set(e, SILL_ERR_MANIFEST, "%u entries: at most %llu", count,
				    (unsigned long long)row->max);
	for (unsigned i = 0; i < count; i++) {
		const char *at = list + i * key_entry_size(row);

		if (row->section != NULL && check_map(row->section, at, e) < 0)
			return -1;
		if (row->item != NULL && !is_allowed(row->item, at))
			return sill_err_set(e, SILL_ERR_MANIFEST, "entry %u is none it can have",
					    i);
	}
	return 0;
}

/* Is each member of the struct @p one that its row allows? */
static int check_map(const struct section *s, const char *p, struct sill_err *e)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct key *row = &s->keys[i];
		const char *at = p + row->field.data_offset;
		int ret = 0;

		if (row->kind == KIND_MAP)
			ret = check_map(row->section, at, e);
		else if (row->kind == KIND_LIST)
			ret = check_list(row, p, e);
		else if (!is_allowed(row, at))
			ret = sill_err_set(e, SILL_ERR_MANIFEST, "not a value it can have");
		if (ret < 0) {
			sill_err_wrap(e, "%s", row->field.key);
			return -1;
		}
	}
	return 0;
}

char *store_save(const struct sill_config *c, size_t *ret_size, struct sill_err *e)
{
	char *text = NULL;
	cyaml_err_t err;

	(void)pthread_once(&schema_once, make_schema);
	err = cyaml_save_data(&text, ret_size, &config, &schema.top, c, 0);
	if (err == CYAML_OK)
		return text;
	(void)sill_err_set(e, err == CYAML_ERR_OOM ? SILL_ERR_HOST : SILL_ERR_INTERNAL,
			   "a VM's configuration as text: %s", cyaml_strerror(err));
	return NULL;
}

int store_load(const char *text, size_t size, struct sill_config *ret, struct sill_err *e)
{
	cyaml_data_t *data = NULL;
	cyaml_err_t err;

	(void)pthread_once(&schema_once, make_schema);
	err = cyaml_load_data((const uint8_t *)text, size, &config, &schema.top, &data, NULL);
	if (err != CYAML_OK)
		return sill_err_set(e, err == CYAML_ERR_OOM ? SILL_ERR_HOST : SILL_ERR_MANIFEST,
				    "a VM's configuration from text: %s", cyaml_strerror(err));
	if (data == NULL)
		return sill_err_set(e, SILL_ERR_MANIFEST, "a VM's configuration from text: empty");
	*ret = *(const struct sill_config *)data;
	free(data);
	if (check_map(&root_section, (const char *)ret, e) == 0)
		return 0;
	sill_config_free(ret);
	return -1;
}
