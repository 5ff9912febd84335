/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonschema.c - the table as JSON Schema 2020-12.
 *
 * It says what one value may be, and of the rules across keys what it can say
 * cheaply (section.schema). Where YAML readers differ (`on` is text for one and
 * true for another) both forms are allowed.
 */
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/describe.h"
#include "runner/manifest/emit.h"
#include "runner/manifest/source.h"
#include "runner/report/json.h"

json_t *describe_value(const struct key *row, const char *text, char *ret_why, size_t size)
{
	struct diags *d = calloc(1, sizeof(*d));
	struct source *s = calloc(1, sizeof(*s));
	struct arena a = { 0 };
	struct check c = { .a = &a, .d = d, .dir = "" };
	json_t *v = NULL;

	if (d != NULL && s != NULL && source_set(s, "value", text, strlen(text), &a, d) == 0 &&
	    source_parse(s, &a, d) == 0 && s->doc_count == 1) {
		check_value(&c, row, s->docs[0], row->field.key);
		if (s->docs[0]->ok)
			v = emit_value_json(&c, s->docs[0]);
	}
	if (v == NULL && ret_why != NULL)
		(void)snprintf(ret_why, size, "%s",
			       d != NULL && d->count > 0 ? d->list[0].msg : "no memory");
	if (d != NULL)
		diags_fini(d);
	arena_fini(&a);
	free(s);
	free(d);
	return v;
}

static void set(json_t *o, const char *key, json_t *take_v)
{
	(void)json_object_set_new(o, key, take_v);
}

static void set_text(json_t *o, const char *pattern, const struct key *row)
{
	set(o, "type", json_string("string"));
	if (pattern != NULL)
		set(o, "pattern", json_string(pattern));
	if (row->min > 0)
		set(o, "minLength", json_integer((json_int_t)row->min));
	if (row->max > 0)
		set(o, "maxLength", json_integer((json_int_t)row->max));
}

/*
 * Also right, but for an editor to suggest neither: what some readers of YAML make of the
 * words in @o. Editors look for suggestions everywhere but in `not`.
 */
static json_t *or_quietly(json_t *take_o, json_t *take_values)
{
	return json_pack("{s:[o,{s:{s:{s:o}}}]}", "anyOf", take_o, "not", "not", "enum",
			 take_values);
}

/* The words of an enumeration. @alone: without those that need another key beside them. */
static json_t *words_schema(const struct key *row, bool alone)
{
	json_t *list = json_array(), *quiet = json_array();
	json_t *o = json_pack("{s:s,s:o}", "type", "string", "enum", list);

	for (uint32_t i = 0; i < row->field.value.enumeration.count; i++) {
		const char *word = row->field.value.enumeration.strings[i].str;

		if (alone && (strcmp(word, "file") == 0 || strcmp(word, "socket") == 0))
			continue;
		(void)json_array_append_new(list, json_string(word));
		/* Without quotes these are not text for every reader of YAML. */
		if (strcmp(word, "null") == 0)
			(void)json_array_append_new(quiet, json_null());
		if (strcmp(word, "off") == 0 || strcmp(word, "no") == 0)
			(void)json_array_append_new(quiet, json_false());
		if (strcmp(word, "on") == 0)
			(void)json_array_append_new(quiet, json_true());
	}
	if (json_array_size(quiet) > 0)
		return or_quietly(o, quiet);
	json_decref(quiet);
	return o;
}

static json_t *names(const struct key *row)
{
	json_t *list = json_array();

	for (size_t i = 0; row->names(i) != NULL; i++)
		(void)json_array_append_new(list, json_string(row->names(i)));
	return list;
}

static void merge(json_t *o, json_t *take_more)
{
	(void)json_object_update_missing(o, take_more);
	json_decref(take_more);
}

/* A UUID, or one of the row's words. */
static void set_uuid(json_t *o, const struct key *row)
{
	json_t *uuid = row->names != NULL ? json_object() : json_incref(o);

	set_text(uuid, "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", row);
	if (row->names != NULL)
		merge(o, json_pack("{s:[o,o,{s:{s:{s:[b]}}}]}", "anyOf",
				   json_pack("{s:o}", "enum", names(row)), json_incref(uuid), "not",
				   "not", "enum", 0));
	json_decref(uuid);
}

/* A path, or a word: `off` is false for some readers of YAML, and `on` true. */
static void set_path(json_t *o, const struct key *row)
{
	json_t *path = json_object(), *quiet = json_array();

	set_text(path, NULL, row);
	if (key_is_word(row, "off"))
		(void)json_array_append_new(quiet, json_false());
	if (key_is_word(row, "true"))
		(void)json_array_append_new(quiet, json_true());
	if (json_array_size(quiet) > 0) {
		merge(o, or_quietly(path, quiet));
	} else {
		json_decref(quiet);
		merge(o, path);
	}
}

static void set_size(json_t *o, const struct key *row)
{
	json_t *size = json_pack("{s:s,s:s}", "type", "string", "pattern",
				 row->or_off ? "^(off|(0[xX][0-9A-Fa-f]+|[1-9][0-9]*)[KMGT](iB)?)$"
					     : "^(0[xX][0-9A-Fa-f]+|[1-9][0-9]*)[KMGT](iB)?$");

	merge(o, row->or_off ? or_quietly(size, json_pack("[b]", 0)) : size);
}

static void set_uint(json_t *o, const struct key *row)
{
	json_t *list = json_array();
	const char *p = row->numbers;

	set(o, "type", json_string("integer"));
	while (p != NULL && *p != '\0') {
		char *end;

		(void)json_array_append_new(list, json_integer(strtoll(p, &end, 10)));
		p = end;
	}
	if (json_array_size(list) > 0) {
		set(o, "enum", list);
		return;
	}
	json_decref(list);
	set(o, "minimum", json_integer((json_int_t)row->min));
	set(o, "maximum", json_integer((json_int_t)row->max));
}

static void set_object(json_t *o, const struct section *s);

static json_t *row_schema(const struct key *row);

/* The keys that a mapping of @s must have. */
static json_t *required(const struct section *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->count; i++)
		if (s->keys[i].required)
			(void)json_array_append_new(list, json_string(s->keys[i].field.key));
	return list;
}

/* A list whose entries a document may say a part of, with the rest in a base. */
static bool is_by_id(const struct key *row)
{
	return row->match != NULL && strcmp(row->match, "id") == 0;
}

/* @whole: nothing of it is elsewhere, in a base. */
static json_t *object_schema(const struct section *s, bool whole)
{
	json_t *o = json_object(), *list = required(s);

	set_object(o, s);
	if (whole && json_array_size(list) > 0)
		(void)json_object_set(o, "required", list);
	json_decref(list);
	return o;
}

/* The value that may stand for a mapping or for a list of one. */
static json_t *short_schema(const struct key *row)
{
	const struct key *one = section_find(row->section, row->short_key);

	return one->kind == KIND_ENUM ? words_schema(one, row->kind == KIND_MAP) : row_schema(one);
}

/*
 * An entry, or the list itself, may be written short. One alternative alone is a set of one:
 * editors make up a value of what has a type, and look at no snippet then.
 */
static json_t *or_short(const struct key *row, json_t *take_long)
{
	if (row->short_key == NULL)
		return json_pack("{s:[o]}", "anyOf", take_long);
	return json_pack("{s:[o,o]}", "anyOf", take_long, short_schema(row));
}

/* "0-3" or "0-3,8"; what is one number is to be written as one. */
static json_t *range_schema(void)
{
#define N "(0|[1-9][0-9]*)"
	return json_pack("{s:s,s:s}", "type", "string", "pattern",
			 "^" N "(-" N "(," N "(-" N ")?)*|(," N "(-" N ")?)+)$");
#undef N
}

static json_t *item_schema(const struct key *row)
{
	if (row->item == NULL)
		return row->short_key != NULL
			       ? or_short(row, object_schema(row->section, !is_by_id(row)))
			       : object_schema(row->section, !is_by_id(row));
	if (!row->ranges)
		return row_schema(row->item);
	return json_pack("{s:[o,o]}", "anyOf", row_schema(row->item), range_schema());
}

static void set_list(json_t *o, const struct key *row)
{
	json_t *list = json_object();

	set(list, "type", json_string("array"));
	set(list, "minItems", json_integer((json_int_t)row->min));
	set(list, "maxItems", json_integer((json_int_t)row->max));
	set(list, "items", item_schema(row));
	if (row->ranges)
		list = json_pack("{s:[o,o,o]}", "anyOf", list, row_schema(row->item),
				 range_schema());
	if (row->alone)
		list = json_pack("{s:[o,o]}", "anyOf", list, item_schema(row));
	/* Over a base's, a mapping of ids; nothing for an editor to suggest. */
	if (is_by_id(row))
		list = json_pack("{s:[o,{s:{s:{s:s}}}]}", "anyOf", list, "not", "not", "type",
				 "object");
	merge(o, or_short(row, list));
}

/* What is no text may be a variable, which is; an editor suggests none. */
static void or_variable(json_t *o, const struct key *row)
{
	json_t *any = json_object_get(o, "anyOf"), *one;

	if (kind_is_text(row->kind) && row->kind != KIND_NAME && row->kind != KIND_UUID)
		return;
	if (any == NULL) {
		one = json_copy(o);
		json_object_clear(o);
		set(o, "anyOf", json_pack("[o]", one));
		any = json_object_get(o, "anyOf");
	}
	(void)json_array_append_new(any, json_pack("{s:s}", "$ref", "#/$defs/variable"));
}

static void set_value(json_t *o, const struct key *row)
{
	switch (row->kind) {
	case KIND_UINT:
		set_uint(o, row);
		break;
	case KIND_SIZE:
		set_size(o, row);
		break;
	case KIND_BOOL:
		merge(o, or_quietly(json_pack("{s:[s,s]}", "enum", "on", "off"),
				    json_pack("[b,b]", 1, 0)));
		break;
	case KIND_ENUM:
		merge(o, words_schema(row, false));
		break;
	case KIND_NAME:
		if (row->names != NULL)
			set(o, "enum", names(row));
		else
			set_text(o, "^[A-Za-z0-9][A-Za-z0-9._-]*$", row);
		break;
	case KIND_UUID:
		set_uuid(o, row);
		break;
	case KIND_TEXT:
	case KIND_FILE_READ:
	case KIND_FILE_WRITE:
	case KIND_PATH:
		set_path(o, row);
		break;
	case KIND_MAP:
		merge(o, or_short(row, object_schema(row->section, true)));
		break;
	case KIND_LIST:
		set_list(o, row);
		break;
	}
}

static void set_type(json_t *o, const struct key *row)
{
	json_t *type = json_object();

	set_value(type, row);
	if (row->kind != KIND_MAP && row->kind != KIND_LIST &&
	    row != section_find(&root_section, "sill"))
		or_variable(type, row);
	merge(o, type);
}

/* Editors insert examples as text: those of mappings and lists are snippets instead. */
static void set_example(json_t *o, const struct key *row)
{
	bool is_short;
	json_t *v;

	if (row->example == NULL)
		return;
	is_short = row->short_key != NULL && strpbrk(row->example, "{[") == NULL;
	v = is_short || row->kind == KIND_BOOL ? json_string(row->example)
					       : describe_value(row, row->example, NULL, 0);
	if (json_is_object(v) || json_is_array(v))
		set(o, "defaultSnippets",
		    json_pack("[{s:s,s:o}]", "label", row->field.key, "body", v));
	else
		set(o, "examples", json_pack("[o]", v));
}

static json_t *row_schema(const struct key *row)
{
	json_t *o = json_object();
	char buf[256];

	set(o, "description", json_string(row->doc));
	set_type(o, row);
	/* A switch is on or off, which editors put in as they find it. */
	if (row->def != NULL)
		set(o, "default",
		    row->kind == KIND_BOOL ? json_string(row->def)
					   : describe_value(row, row->def, NULL, 0));
	if (row->def_note != NULL || row->def_windows != NULL)
		set(o, "x-default", json_string(describe_default(buf, sizeof(buf), row, "")));
	set_example(o, row);
	if (row->unit != NULL)
		set(o, "x-unit", json_string(row->unit));
	set(o, "x-change", json_string(effect_name(row->effect)));
	return o;
}

static void set_object(json_t *o, const struct section *s)
{
	json_t *properties = json_object();

	set(o, "type", json_string("object"));
	set(o, "additionalProperties", json_false());
	for (size_t i = 0; i < s->count; i++)
		set(properties, s->keys[i].field.key, row_schema(&s->keys[i]));
	set(o, "properties", properties);
	if (s->schema != NULL)
		merge(o, json_loads(s->schema, 0, NULL));
}

/* Of a document, and of an entry that is merged by its id, with what only the whole must have. */
static json_t *required_schema(void)
{
	json_t *o = json_pack("{s:o}", "required", required(&root_section));
	json_t *properties = json_object();

	for (size_t i = 0; i < root_section.count; i++) {
		const struct key *row = &root_section.keys[i];

		if (is_by_id(row))
			set(properties, row->field.key,
			    json_pack("{s:{s:o},s:{s:s}}", "items", "required",
				      required(row->section), "not", "type", "object"));
	}
	set(o, "properties", properties);
	return o;
}

static json_t *front_schema(const struct front_key *f)
{
	json_t *o = json_loads(f->schema, 0, NULL);

	set(o, "description", json_string(f->doc));
	if (f->example[0] != '{')
		set(o, "examples", json_pack("[s]", f->example));
	return o;
}

/* With a base, what is not here may be there. */
static void set_front(json_t *o)
{
	static const char *const whole[] = { "oneOf", "dependentRequired" };
	json_t *must = required_schema();

	for (const struct front_key *f = front_keys; f->key != NULL; f++)
		set(json_object_get(o, "properties"), f->key, front_schema(f));
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		(void)json_object_set(must, whole[i], json_object_get(o, whole[i]));
		(void)json_object_del(o, whole[i]);
	}
	set(o, "if", json_pack("{s:{s:[s]}}", "not", "required", "base"));
	set(o, "then", must);
}

json_t *describe_json_schema(void)
{
	json_t *o = json_object();

	set(o, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	set(o, "$id", json_string("urn:sill:manifest:1"));
	set(o, "title", json_string("Sill manifest"));
	set(o, "$comment", json_string("Generated by `sill schema` from schema/. Do not edit."));
	set(o, "description", json_string(root_section.doc));
	set(o, "$defs",
	    json_pack("{s:{s:{s:{s:s,s:s}}}}", "variable", "not", "not", "type", "string",
		      "pattern", "\\$\\{"));
	set_object(o, &root_section);
	set_front(o);
	return o;
}
