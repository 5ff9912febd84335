/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - what jansson leaves to us. */
#include "runner/report/json.h"

#include <string.h>

#include "runner/report/text.h"

json_t *json_text(const char *s)
{
	json_t *v = json_string(s);
	char clean[1024];

	if (v == NULL)
		v = json_string(text_clean(clean, sizeof(clean), s, strlen(s)));
	return v;
}

bool json_has_text(const json_t *list, const char *s)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), s) == 0)
			return true;
	return false;
}

json_t *json_find(const json_t *list, const char *key, const char *is)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *entry = json_array_get(list, i);
		const char *text = json_string_value(json_object_get(entry, key));

		if (text != NULL && strcmp(text, is) == 0)
			return entry;
	}
	return NULL;
}

int json_print(FILE *f, json_t *take_root)
{
	int bad = take_root == NULL ||
		  json_dumpf(take_root, f, JSON_INDENT(2) | JSON_ENSURE_ASCII) < 0 ||
		  fputc('\n', f) == EOF || fflush(f) != 0;

	json_decref(take_root);
	/* That it cannot be written is said when the program ends (cmd_flush). */
	if (bad && ferror(f) == 0)
		(void)fputs("sill: no memory for the JSON output\n", stderr);
	return bad ? -1 : 0;
}
