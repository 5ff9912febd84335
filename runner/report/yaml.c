/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - see yaml.h. */
#include "runner/report/yaml.h"

#include <inttypes.h>
#include <string.h>
#include <yaml.h>

static int put(yaml_emitter_t *y, yaml_event_t *ev, int made)
{
	return made != 0 && yaml_emitter_emit(y, ev) != 0 ? 0 : -1;
}

static int put_text(yaml_emitter_t *y, const char *s, yaml_scalar_style_t style)
{
	yaml_event_t ev;

	return put(y, &ev,
		   yaml_scalar_event_initialize(&ev, NULL, NULL, (const yaml_char_t *)s,
						(int)strlen(s), 1, 1, style));
}

/* Words and letters alone are no number, no switch and no mark. */
static yaml_scalar_style_t style_of(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
	static const char words[] = " y n yes no on off true false null nan inf ";
	char padded[16] = "";

	if (strchr(s, '\n') != NULL)
		return YAML_LITERAL_SCALAR_STYLE;
	if (strlen(s) < 8)
		(void)snprintf(padded, sizeof(padded), " %s ", s);
	if (s[0] == '\0' || strchr(letters, s[0]) == NULL || s[strspn(s, rest)] != '\0' ||
	    (padded[0] != '\0' && strcasestr(words, padded) != NULL))
		return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	return YAML_PLAIN_SCALAR_STYLE;
}

static int put_value(yaml_emitter_t *y, const json_t *v);

static int put_map(yaml_emitter_t *y, const json_t *o)
{
	yaml_event_t ev;
	const char *key;
	json_t *v;

	if (put(y, &ev,
		yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1,
						    json_object_size(o) > 0
							    ? YAML_BLOCK_MAPPING_STYLE
							    : YAML_FLOW_MAPPING_STYLE)) < 0)
		return -1;
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		if (put_text(y, key, style_of(key)) < 0 || put_value(y, v) < 0)
			return -1;
	}
	return put(y, &ev, yaml_mapping_end_event_initialize(&ev));
}

static int put_list(yaml_emitter_t *y, const json_t *a)
{
	yaml_event_t ev;

	if (put(y, &ev,
		yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1,
						     json_array_size(a) > 0
							     ? YAML_BLOCK_SEQUENCE_STYLE
							     : YAML_FLOW_SEQUENCE_STYLE)) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(a); i++)
		if (put_value(y, json_array_get(a, i)) < 0)
			return -1;
	return put(y, &ev, yaml_sequence_end_event_initialize(&ev));
}

static int put_value(yaml_emitter_t *y, const json_t *v)
{
	char number[32];

	if (json_is_object(v))
		return put_map(y, v);
	if (json_is_array(v))
		return put_list(y, v);
	if (json_is_string(v))
		return put_text(y, json_string_value(v), style_of(json_string_value(v)));
	if (json_is_integer(v)) {
		(void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			       json_integer_value(v));
		return put_text(y, number, YAML_PLAIN_SCALAR_STYLE);
	}
	return put_text(y,
			json_is_true(v)    ? "true"
			: json_is_false(v) ? "false"
					   : "null",
			YAML_PLAIN_SCALAR_STYLE);
}

int yaml_print(FILE *f, const json_t *v)
{
	yaml_emitter_t y;
	yaml_event_t ev;
	int ret = -1;

	if (yaml_emitter_initialize(&y) == 0)
		return -1;
	yaml_emitter_set_output_file(&y, f);
	yaml_emitter_set_unicode(&y, 1);
	yaml_emitter_set_width(&y, -1);
	if (put(&y, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING)) == 0 &&
	    put(&y, &ev, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1)) == 0 &&
	    put_value(&y, v) == 0 &&
	    put(&y, &ev, yaml_document_end_event_initialize(&ev, 1)) == 0 &&
	    put(&y, &ev, yaml_stream_end_event_initialize(&ev)) == 0)
		ret = yaml_emitter_flush(&y) != 0 ? 0 : -1;
	yaml_emitter_delete(&y);
	return ret;
}
