/* SPDX-License-Identifier: Apache-2.0 */
/* plain.c - see plain.h. */
#include "runner/api/plain.h"

#include "runner/report/json.h"

static json_t *scalar(const struct key *row, const void *at)
{
	if (kind_is_text(row->kind)) {
		const char *text = *(char *const *)at;

		return text != NULL ? json_text(text) : NULL;
	}
	if (row->kind == KIND_BOOL)
		return json_boolean(key_number(row, at) != 0);
	if (row->kind == KIND_ENUM)
		return json_string(key_word(row, key_number(row, at)));
	return json_integer((json_int_t)key_number(row, at));
}

static json_t *list(const struct key *row, const char *base)
{
	const char *first = *(char *const *)(base + row->field.data_offset);
	const unsigned count = *(const unsigned *)(base + row->field.count_offset);
	const size_t size = key_entry_size(row);
	json_t *l = count > 0 ? json_array() : NULL;

	for (unsigned i = 0; l != NULL && i < count; i++)
		(void)json_array_append_new(
			l, row->item != NULL ? scalar(row->item, first + i * size)
					     : plain_json(row->section, first + i * size));
	return l;
}

json_t *plain_json(const struct section *s, const void *value)
{
	json_t *o = json_object();

	for (size_t i = 0; o != NULL && i < s->count; i++) {
		const struct key *row = &s->keys[i];
		const char *at = (const char *)value + row->field.data_offset;
		json_t *v;

		if (row->kind == KIND_MAP)
			v = plain_json(row->section, at);
		else if (row->kind == KIND_LIST)
			v = list(row, value);
		else
			v = scalar(row, at);
		if (v != NULL)
			(void)json_object_set_new(o, row->field.key, v);
	}
	return o;
}
