/* SPDX-License-Identifier: Apache-2.0 */
/* restate.c - see restate.h. A walk over the rows; what is unset is left out, so that its default holds. */
#include "runner/manifest/restate.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"
#include "schema/key.h"

static const char *text_at(const void *at)
{
	return *(const char *const *)at;
}

static unsigned count_at(const struct key *row, const char *p)
{
	return *(const unsigned *)(p + row->field.count_offset);
}

static json_t *size_text(const struct key *row, uint64_t v)
{
	char text[32];

	if (v == 0 && row->or_off)
		return json_string("off");
	if (v == 0 || v % 1024 != 0)
		return json_sprintf("%" PRIu64, v);
	return json_string(scalar_size_text(text, sizeof(text), v));
}

static json_t *scalar(const struct key *row, const char *at)
{
	const uint64_t v = kind_is_text(row->kind) ? 0 : key_number(row, at);

	if (kind_is_text(row->kind))
		return json_string(text_at(at));
	if (row->kind == KIND_BOOL)
		return json_boolean(v != 0);
	if (row->kind == KIND_SIZE)
		return size_text(row, v);
	if (row->kind == KIND_ENUM)
		return json_string(key_word(row, v));
	return json_integer((json_int_t)v);
}

static json_t *map(const struct section *s, const char *p);

static json_t *list(const struct key *row, const char *p)
{
	const char *entries = *(const char *const *)(p + row->field.data_offset);
	json_t *a = json_array();

	for (unsigned i = 0; i < count_at(row, p); i++) {
		const char *at = entries + i * key_entry_size(row);
		json_t *v = row->item != NULL ? scalar(row->item, at) : map(row->section, at);

		if (v == NULL || json_array_append_new(a, v) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

/* 1: put into @o, 0: there is nothing to say, -1: no memory. */
static int member(json_t *o, const struct key *row, const char *p)
{
	const char *at = p + row->field.data_offset;
	json_t *v;

	if (row->kind == KIND_LIST ? count_at(row, p) == 0
				   : row->kind != KIND_MAP && key_is_unset(row, at))
		return 0;
	v = row->kind == KIND_LIST  ? list(row, p)
	    : row->kind == KIND_MAP ? map(row->section, at)
				    : scalar(row, at);
	if (v != NULL && row->kind == KIND_MAP && json_object_size(v) == 0) {
		json_decref(v);
		return 0;
	}
	return json_object_set_new(o, row->field.key, v) < 0 ? -1 : 1;
}

static json_t *map(const struct section *s, const char *p)
{
	json_t *o = json_object();

	for (size_t i = 0; i < s->count; i++)
		if (member(o, &s->keys[i], p) < 0) {
			json_decref(o);
			return NULL;
		}
	return o;
}

/* ---- what has a meaning only beside something else ---- */

static bool is_word(const json_t *o, const char *key, const char *word)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL && strcmp(s, word) == 0;
}

static void tidy_port(json_t *m, const char *key)
{
	json_t *port = json_object_get(m, key);

	if (!is_word(port, "mode", "file"))
		(void)json_object_del(port, "limit");
	if (is_word(port, "mode", "off"))
		(void)json_object_set_new(m, key, json_string("off"));
}

static void tidy_net(json_t *n)
{
	if (json_object_get(n, "macvtap") == NULL)
		(void)json_object_del(n, "macvtap_mode");
}

static void tidy(json_t *m, const struct sill_config *c)
{
	json_t *cpus = json_object_get(m, "cpus");

	for (unsigned p = 0; p < SILL_PORTS; p++)
		tidy_port(m, sill_port_name(p));
	for (size_t i = 0; i < json_array_size(json_object_get(m, "disk")); i++)
		if (!sill_disk_ephemeral(&c->disk[i]))
			(void)json_object_del(json_array_get(json_object_get(m, "disk"), i),
					      "ephemeral_limit");
	for (size_t i = 0; i < json_array_size(json_object_get(m, "net")); i++)
		tidy_net(json_array_get(json_object_get(m, "net"), i));
	if (!c->cpus.kvm_hyperv)
		(void)json_object_del(cpus, "hyperv");
	if (c->debug_console.port == 0) /* it has one as soon as it is spoken of */
		(void)json_object_del(m, "debug_console");
	if (c->debug.kd == SILL_KD_OFF)
		(void)json_object_del(json_object_get(m, "debug"), "kd");
	if (json_object_size(json_object_get(m, "debug")) == 0)
		(void)json_object_del(m, "debug");
	if (c->api.socket == NULL)
		(void)json_object_del(m, "api");
	if (c->vsock.cid == 0)
		(void)json_object_del(m, "vsock");
}

static unsigned hex4(const char *p)
{
	char digits[5] = { p[0], p[1], p[2], p[3], '\0' };

	return (unsigned)strtoul(digits, NULL, 16);
}

/* JSON has two escapes for a character beyond U+FFFF, of which YAML knows neither: one that it knows is shorter. */
static void join_pairs(char *text)
{
	char *to = text;

	for (const char *p = text; *p != '\0';) {
		if (p[0] == '\\' && p[1] == 'u' && hex4(p + 2) >= 0xd800 && hex4(p + 2) < 0xdc00) {
			const unsigned v =
				0x10000 + ((hex4(p + 2) - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);

			p += 12;
			to += snprintf(to, 12, "\\U%08X", v);
			continue;
		}
		if (p[0] == '\\')
			*to++ = *p++;
		*to++ = *p++;
	}
	*to = '\0';
}

char *manifest_restate(const struct sill_config *c)
{
	json_t *m = map(&root_section, (const char *)c);
	char *text = NULL;

	if (m != NULL) {
		tidy(m, c);
		text = json_dumps(m, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		if (text != NULL)
			join_pairs(text);
	}
	json_decref(m);
	return text;
}
