/* SPDX-License-Identifier: Apache-2.0 */
/* test_schema.c - every row of the manifest's table is whole, and its own example is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runner/manifest/describe.h"
#include "runner/report/json.h"
#include "schema/key.h"
#include "sill/config.h"
#include "sill/hyperv.h"

static void row_is_whole(void *ctx, const char *path, const struct key *row)
{
	size_t len = row->doc != NULL ? strlen(row->doc) : 0;

	(*(size_t *)ctx)++;
	if (len < 10 || row->doc[len - 1] != '.' || row->example == NULL)
		fail_msg("%s: a row has a doc that ends in a full stop, and an example", path);
	if (row->kind == KIND_MAP && row->section == NULL)
		fail_msg("%s: a mapping has a section", path);
	if (row->kind == KIND_LIST && (row->section == NULL) == (row->item == NULL))
		fail_msg("%s: a list has either a section or an item", path);
	if ((row->kind == KIND_UINT || row->kind == KIND_SIZE) && row->max < row->min)
		fail_msg("%s: min is above max", path);
	if (row->kind == KIND_TEXT && row->max == 0)
		fail_msg("%s: text has a limit", path);
	if (row->required && row->def != NULL)
		fail_msg("%s: what must be there needs no default", path);
}

static void schema_rows__have_doc_example_and_limits(void **state)
{
	size_t count = 0;

	(void)state;
	describe_each(row_is_whole, &count);
	assert_in_range(count, 40, 300);
}

static void value_is_right(const char *path, const struct key *row, const char *what,
			   const char *text)
{
	char why[256] = "";
	json_t *v;

	if (text == NULL)
		return;
	v = describe_value(row, text, why, sizeof(why));
	if (v == NULL)
		fail_msg("%s: its %s '%s' is wrong: %s", path, what, text, why);
	json_decref(v);
}

static void row_values_are_right(void *ctx, const char *path, const struct key *row)
{
	(void)ctx;
	value_is_right(path, row, "example", row->example);
	value_is_right(path, row, "default", row->def);
	value_is_right(path, row, "default for windows", row->def_windows);
	if (row->item != NULL)
		value_is_right(path, row->item, "entry's example", row->item->example);
}

static void schema_rows__examples_and_defaults_are_right(void **state)
{
	(void)state;
	describe_each(row_values_are_right, NULL);
}

/* Numbers must fit the struct member that libcyaml writes. */
static void row_fits(void *ctx, const char *path, const struct key *row)
{
	unsigned bits = 8 * row->field.value.data_size;

	(void)ctx;
	if (row->kind != KIND_UINT && row->kind != KIND_SIZE)
		return;
	if (bits < 64 && row->max >> bits != 0)
		fail_msg("%s: max does not fit %u bits", path, bits);
}

static void schema_rows__maxima_fit_the_struct(void **state)
{
	(void)state;
	describe_each(row_fits, NULL);
}

static void keys_are_unique(const struct section *s)
{
	for (size_t i = 0; i < s->count; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(s->keys[i].field.key, s->keys[j].field.key);
		if (s->keys[i].section != NULL)
			keys_are_unique(s->keys[i].section);
	}
}

static void schema_sections__keys_are_unique(void **state)
{
	(void)state;
	keys_are_unique(&root_section);
}

static void schema_sections__the_version_is_the_first_key(void **state)
{
	(void)state;
	assert_string_equal(root_section.keys[0].field.key, "sill");
	assert_true(root_section.keys[0].required);
}

/* A mapping's key is what the engine calls the enlightenment, in its order. */
static void schema_hyperv__has_a_row_for_each_enlightenment(void **state)
{
	(void)state;
	assert_true(hyperv_section.count >= SILL_HV_COUNT);
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const struct key *row = &hyperv_section.keys[f];

		assert_string_equal(row->field.key, sill_hv_features[f].name);
		assert_string_equal(row->def, sill_hv_features[f].on ? "on" : "off");
		assert_non_null(strstr(row->doc, sill_hv_features[f].doc));
	}
}

static void check_schema_text(const struct section *s)
{
	json_t *o = s->schema != NULL ? json_loads(s->schema, 0, NULL) : json_object();

	assert_true(json_is_object(o));
	json_decref(o);
	for (size_t i = 0; i < s->count; i++) {
		if (s->keys[i].section != NULL)
			check_schema_text(s->keys[i].section);
	}
}

static void schema_sections__what_they_add_is_json(void **state)
{
	(void)state;
	check_schema_text(&root_section);
}

static void describe_find__takes_paths_as_messages_write_them(void **state)
{
	char clean[DESCRIBE_PATH];
	const struct key *row;

	(void)state;
	row = describe_find("disk[3].path", clean);
	assert_non_null(row);
	assert_string_equal(row->field.key, "path");
	assert_string_equal(clean, "disk.path");
	assert_non_null(describe_find("cpus.topology.packages", clean));
	assert_non_null(describe_find("disk[]", clean));
	assert_null(describe_find("cpus.nothing", clean));
	assert_null(describe_find("cpus.boot.more", clean));
	assert_null(describe_find("", clean));
	assert_null(describe_find("..", clean));
}

static void describe_json_schema__is_strict_everywhere(void **state)
{
	json_t *schema = describe_json_schema();
	const json_t *disk;

	(void)state;
	assert_non_null(schema);
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	/* Each mapping and list is one of the alternatives; the others are its short form, and that over a base. */
	disk = json_object_get(json_object_get(schema, "properties"), "disk");
	disk = json_array_get(json_object_get(disk, "anyOf"), 0);
	disk = json_object_get(json_array_get(json_object_get(disk, "anyOf"), 0), "items");
	assert_true(json_is_false(json_object_get(disk, "additionalProperties")));
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schema_rows__have_doc_example_and_limits),
		cmocka_unit_test(schema_rows__examples_and_defaults_are_right),
		cmocka_unit_test(schema_rows__maxima_fit_the_struct),
		cmocka_unit_test(schema_sections__keys_are_unique),
		cmocka_unit_test(schema_sections__the_version_is_the_first_key),
		cmocka_unit_test(schema_hyperv__has_a_row_for_each_enlightenment),
		cmocka_unit_test(schema_sections__what_they_add_is_json),
		cmocka_unit_test(describe_find__takes_paths_as_messages_write_them),
		cmocka_unit_test(describe_json_schema__is_strict_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
