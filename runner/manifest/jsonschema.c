/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonschema.c - the table as JSON Schema 2020-12.
 *
 * It says what one value may be, not the rules across keys. Where YAML readers
 * differ (`on` is text for one and true for another) both forms are allowed.
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

static json_t *enum_values(const struct key *row)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < row->field.value.enumeration.count; i++) {
		const char *word = row->field.value.enumeration.strings[i].str;

		(void)json_array_append_new(list, json_string(word));
		/* Without quotes these are not text for every reader of YAML. */
		if (strcmp(word, "null") == 0)
			(void)json_array_append_new(list, json_null());
		if (strcmp(word, "off") == 0)
			(void)json_array_append_new(list, json_false());
	}
	return list;
}

static json_t *names(const struct key *row)
{
	json_t *list = json_array();

	for (size_t i = 0; row->names(i) != NULL; i++)
		(void)json_array_append_new(list, json_string(row->names(i)));
	return list;
}

/* A UUID, or one of the row's words; "off" without quotes is not text for every reader of YAML. */
static void set_uuid(json_t *o, const struct key *row)
{
	json_t *uuid = row->names != NULL ? json_object() : json_incref(o);
	json_t *words;

	set_text(uuid, "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", row);
	if (row->names != NULL) {
		words = names(row);
		(void)json_array_append_new(words, json_false());
		set(o, "anyOf", json_pack("[o,{s:o}]", json_incref(uuid), "enum", words));
	}
	json_decref(uuid);
}

static void set_object(json_t *o, const struct section *s);

static json_t *row_schema(const struct key *row);

static json_t *object_schema(const struct section *s)
{
	json_t *o = json_object();

	set_object(o, s);
	return o;
}

/* An entry, or the list itself, may be written short. */
static json_t *or_short(const struct key *row, json_t *take_long)
{
	if (row->short_key == NULL)
		return take_long;
	return json_pack("{s:[o,o]}", "anyOf",
			 row_schema(section_find(row->section, row->short_key)), take_long);
}

static void set_list(json_t *o, const struct key *row)
{
	json_t *list = row->short_key != NULL ? json_object() : o;

	set(list, "type", json_string("array"));
	set(list, "minItems", json_integer((json_int_t)row->min));
	set(list, "maxItems", json_integer((json_int_t)row->max));
	set(list, "items",
	    row->item != NULL ? row_schema(row->item) : or_short(row, object_schema(row->section)));
	if (list != o)
		(void)json_object_update_missing_new(o, or_short(row, list));
}

static void set_type(json_t *o, const struct key *row)
{
	switch (row->kind) {
	case KIND_UINT:
		set(o, "type", json_string("integer"));
		set(o, "minimum", json_integer((json_int_t)row->min));
		set(o, "maximum", json_integer((json_int_t)row->max));
		break;
	case KIND_SIZE:
		set(o, "type", json_string("string"));
		set(o, "pattern",
		    json_string(row->or_off ? "^(off|(0[xX][0-9A-Fa-f]+|[1-9][0-9]*)[KMGT](iB)?)$"
					    : "^(0[xX][0-9A-Fa-f]+|[1-9][0-9]*)[KMGT](iB)?$"));
		break;
	case KIND_BOOL:
		set(o, "enum", json_pack("[b,b,s,s]", 1, 0, "on", "off"));
		break;
	case KIND_ENUM:
		set(o, "enum", enum_values(row));
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
		set_text(o, NULL, row);
		/* Without quotes these are not text for every reader of YAML. */
		if (key_is_word(row, "true"))
			set(o, "type", json_pack("[s,s]", "string", "boolean"));
		break;
	case KIND_MAP:
		set_object(o, row->section);
		break;
	case KIND_LIST:
		set_list(o, row);
		break;
	}
}

static json_t *row_schema(const struct key *row)
{
	json_t *o = json_object();
	char buf[256];

	set(o, "description", json_string(row->doc));
	set_type(o, row);
	if (row->def != NULL)
		set(o, "default", describe_value(row, row->def, NULL, 0));
	if (row->def_note != NULL || row->def_windows != NULL)
		set(o, "x-default", json_string(describe_default(buf, sizeof(buf), row, "")));
	if (row->example != NULL)
		set(o, "examples", json_pack("[o]", describe_value(row, row->example, NULL, 0)));
	if (row->unit != NULL)
		set(o, "x-unit", json_string(row->unit));
	set(o, "x-change", json_string(effect_name(row->effect)));
	return o;
}

static void set_object(json_t *o, const struct section *s)
{
	json_t *required = json_array(), *properties = json_object();

	set(o, "type", json_string("object"));
	set(o, "additionalProperties", json_false());
	for (size_t i = 0; i < s->count; i++) {
		if (s->keys[i].required)
			(void)json_array_append_new(required, json_string(s->keys[i].field.key));
		set(properties, s->keys[i].field.key, row_schema(&s->keys[i]));
	}
	if (json_array_size(required) > 0)
		set(o, "required", required);
	else
		json_decref(required);
	set(o, "properties", properties);
}

json_t *describe_json_schema(void)
{
	json_t *o = json_object();

	set(o, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	set(o, "title", json_string("Sill manifest"));
	set(o, "$comment", json_string("Generated by `sill schema` from schema/. Do not edit."));
	set(o, "description", json_string(root_section.doc));
	set_object(o, &root_section);
	return o;
}
