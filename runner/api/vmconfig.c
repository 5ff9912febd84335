/* SPDX-License-Identifier: Apache-2.0 */
/* vmconfig.c - see vmconfig.h: the walk over the table, both ways. */
#include "runner/api/vmconfig.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runner/api/plain.h"
#include "runner/api/vmfields.h"
#include "runner/manifest/scalar.h"
#include "runner/report/json.h"
#include "schema/key.h"

int field_fail(struct vmconfig_err *e, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sill_err_set(&e->err, SILL_ERR_MANIFEST, "%s", text);
}

int field_lacks(struct vmconfig_err *e, const char *what)
{
	e->lacks = true;
	return sill_err_set(&e->err, SILL_ERR_LIMIT, "Sill has no %s yet", what);
}

/* ---- their words to ours ---- */

static const char *const type_names[] = {
	[FIELD_TEXT] = "a string",
	[FIELD_UINT] = "a number from 0",
	[FIELD_SIZE] = "a number from 0",
	[FIELD_BOOL] = "true or false",
	[FIELD_WORD] = "a string",
	[FIELD_OBJECT] = "an object",
	[FIELD_LIST] = "a list",
	[FIELD_NUMBERS] = "a list of numbers",
	[FIELD_TEXTS] = "a list of strings",
};

static bool all_are(const json_t *list, bool numbers)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		if (numbers ? !json_is_integer(v) || json_integer_value(v) < 0 : !json_is_string(v))
			return false;
	}
	return json_is_array(list);
}

static bool has_type(const struct field *f, const json_t *v)
{
	switch (f->kind) {
	case FIELD_TEXT:
	case FIELD_WORD:
		return json_is_string(v);
	case FIELD_UINT:
	case FIELD_SIZE:
		return json_is_integer(v) && json_integer_value(v) >= 0;
	case FIELD_BOOL:
		return json_is_boolean(v);
	case FIELD_OBJECT:
		return json_is_object(v);
	case FIELD_LIST:
		return json_is_array(v);
	case FIELD_NUMBERS:
		return all_are(v, true);
	case FIELD_TEXTS:
		return all_are(v, false);
	case FIELD_OWN:
	case FIELD_ABSENT:
	case FIELD_IGNORED:
		break;
	}
	return true;
}

static json_t *word_in(const struct field *f, const char *theirs, struct vmconfig_err *e)
{
	for (const char *const *w = f->words; *w != NULL; w += 2)
		if (strcmp(w[0], theirs) == 0)
			return json_string(w[1]);
	(void)field_fail(e, "%s: '%s' is not one of its words", f->name, theirs);
	return NULL;
}

/* Where the path ended before. */
static size_t SILL_PRINTF(2, 3) path_push(struct vmconfig_err *e, const char *fmt, ...)
{
	const size_t here = e->lost != NULL ? strlen(e->lost->path) : 0;
	va_list ap;

	if (e->lost == NULL)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(e->lost->path + here, sizeof(e->lost->path) - here, fmt, ap);
	va_end(ap);
	return here;
}

static void path_pop(struct vmconfig_err *e, size_t here)
{
	if (e->lost != NULL)
		e->lost->path[here] = '\0';
}

static json_t *list_in(const struct field *f, const json_t *v, struct vmconfig_err *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(v); i++) {
		const size_t here = path_push(e, "[%zu]", i);
		json_t *entry = fields_in(f->fields, json_array_get(v, i), e);

		path_pop(e, here);
		if (entry == NULL) {
			sill_err_wrap(&e->err, "%s[%zu]", f->name, i);
			json_decref(list);
			return NULL;
		}
		(void)json_array_append_new(list, entry);
	}
	return list;
}

static json_t *object_in(const struct field *f, const json_t *v, struct vmconfig_err *e)
{
	json_t *o = fields_in(f->fields, v, e);

	if (o == NULL)
		sill_err_wrap(&e->err, "%s", f->name);
	return o;
}

/* NULL: @e. */
static json_t *value_in(const struct field *f, const json_t *v, struct vmconfig_err *e)
{
	char size[32];

	if (!has_type(f, v)) {
		(void)field_fail(e, "%s: must be %s", f->name, type_names[f->kind]);
		return NULL;
	}
	switch (f->kind) {
	case FIELD_SIZE:
		return json_string(
			scalar_size_text(size, sizeof(size), (uint64_t)json_integer_value(v)));
	case FIELD_WORD:
		return word_in(f, json_string_value(v), e);
	case FIELD_OBJECT:
		return object_in(f, v, e);
	case FIELD_LIST:
		return list_in(f, v, e);
	default:
		return json_deep_copy(v);
	}
}

/* A value that asks for nothing: null, no, none, nothing in it, or the default, of which no @f has none. */
static bool asks_nothing(const struct field *f, const json_t *v)
{
	json_t *def =
		f != NULL && f->value != NULL ? json_loads(f->value, JSON_DECODE_ANY, NULL) : NULL;
	const bool same = def != NULL && json_equal(def, v);

	json_decref(def);
	return same || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_integer(v) && json_integer_value(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

/* What is asked for and made no difference of, while somebody wants to know. */
static void tell_ignored(const struct field *f, const json_t *v, struct vmconfig_err *e)
{
	if (e->lost != NULL && f->value != NULL && !asks_nothing(f, v))
		e->lost->say(e->lost->arg, e->lost->path, "it makes no difference to Sill");
}

static int field_in(const struct field *f, const json_t *v, const json_t *body, json_t *to,
		    struct vmconfig_err *e)
{
	json_t *ours;

	switch (f->kind) {
	case FIELD_IGNORED:
		tell_ignored(f, v, e);
		return 0;
	case FIELD_ABSENT:
		return asks_nothing(f, v) ? 0 : field_lacks(e, f->what);
	case FIELD_OWN:
		if (f->in(v, body, to, e) == 0)
			return 0;
		sill_err_wrap(&e->err, "%s", f->name);
		return -1;
	default:
		break;
	}
	ours = value_in(f, v, e);
	if (ours == NULL)
		return -1;
	return json_object_set_new(to, f->key, ours);
}

static const struct field *find(const struct field *fields, const char *name)
{
	while (fields->name != NULL && strcmp(fields->name, name) != 0)
		fields++;
	return fields->name != NULL ? fields : NULL;
}

/* The message without "name: ", which the path has. */
static const char *without_name(const char *msg, const char *name)
{
	const size_t n = strlen(name);

	return strncmp(msg, name, n) == 0 && strncmp(msg + n, ": ", 2) == 0 ? msg + n + 2 : msg;
}

/* The field @name of @from, whose row is @f; NULL: there is none. */
static int named_in(const struct field *f, const char *name, const json_t *from, json_t *to,
		    struct vmconfig_err *e)
{
	const json_t *v = json_object_get(from, name);
	size_t here;
	int ret;

	/* What the next release's clients say beside is its default first of all. */
	if (e->lost == NULL && f == NULL)
		return asks_nothing(f, v) ? 0 : field_fail(e, "there is no field '%.64s'", name);
	if (e->lost == NULL)
		return field_in(f, v, from, to, e);
	here = path_push(e, e->lost->path[0] != '\0' ? ".%.40s" : "%.40s", name);
	ret = f != NULL ? field_in(f, v, from, to, e) : field_fail(e, "there is no such field");
	if (ret < 0 && (f == NULL || !f->required)) {
		e->lost->say(e->lost->arg, e->lost->path, without_name(e->err.msg, name));
		e->err = (struct sill_err){ 0 };
		e->lacks = false;
		ret = 0;
	}
	path_pop(e, here);
	return ret;
}

json_t *fields_in(const struct field *fields, const json_t *from, struct vmconfig_err *e)
{
	json_t *to = json_object();
	const char *name;
	json_t *v;
	int ret = json_is_object(from) ? 0 : field_fail(e, "must be an object");

	json_object_foreach((json_t *)(uintptr_t)from, name, v)
	{
		const struct field *f = find(fields, name);

		if (ret == 0 && !json_is_null(v))
			ret = named_in(f, name, from, to, e);
	}
	for (const struct field *f = fields; f->name != NULL && ret == 0; f++)
		if (f->required &&
		    (v = json_object_get(from, f->name), v == NULL || json_is_null(v)))
			ret = field_fail(e, "missing field '%s'", f->name);
	if (ret == 0)
		return to;
	json_decref(to);
	return NULL;
}

/* ---- ours to theirs ---- */

static json_t *constant(const struct field *f)
{
	return f->value != NULL ? json_loads(f->value, JSON_DECODE_ANY, NULL) : NULL;
}

static json_t *list_out(const struct field *f, const json_t *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(v); i++)
		(void)json_array_append_new(list, fields_out(f->fields, json_array_get(v, i)));
	return list;
}

static json_t *word_out(const struct field *f, const json_t *v)
{
	for (const char *const *w = f->words; *w != NULL; w += 2)
		if (strcmp(w[1], json_string_value(v)) == 0)
			return json_string(w[0]);
	return NULL;
}

static json_t *value_out(const struct field *f, const json_t *from)
{
	const json_t *v = f->key != NULL ? json_object_get(from, f->key) : NULL;

	if (f->kind == FIELD_OWN)
		return f->out != NULL ? f->out(from) : constant(f);
	/* Ours is "not given" where it is 0, but for what counts from there. */
	if (v == NULL || (json_is_integer(v) && json_integer_value(v) == 0 && !f->required))
		return constant(f);
	switch (f->kind) {
	case FIELD_WORD:
		return word_out(f, v);
	case FIELD_OBJECT:
		return fields_out(f->fields, v);
	case FIELD_LIST:
		return list_out(f, v);
	default:
		return json_deep_copy(v);
	}
}

json_t *fields_out(const struct field *fields, const json_t *from)
{
	json_t *to = json_object();

	for (const struct field *f = fields; f->name != NULL; f++) {
		json_t *v = value_out(f, from);

		if (v != NULL)
			(void)json_object_set_new(to, f->name, v);
	}
	return to;
}

/* ---- whole ones ---- */

static bool is_true(const json_t *o, const char *section, const char *key)
{
	return json_is_true(json_object_get(json_object_get(o, section), key));
}

/* What a manifest has another default for. */
static void set_default(json_t *o, const char *key, json_t *take)
{
	if (json_object_get(o, key) != NULL)
		json_decref(take);
	else
		(void)json_object_set_new(o, key, take);
}

/* The first disk of a group has its limits. */
static void set_groups(json_t *m)
{
	const json_t *groups = json_object_get(m, VM_GROUPS), *disks = json_object_get(m, "disk");

	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *group = json_array_get(groups, i);

		for (size_t j = 0; j < json_array_size(disks); j++) {
			json_t *disk = json_array_get(disks, j);
			const json_t *limit = json_object_get(disk, "rate_limit");

			if (!json_equal(json_object_get(limit, "group"),
					json_object_get(group, "id")))
				continue;
			limits_in(json_object_get(group, "rate_limiter_config"), disk);
			break;
		}
	}
	(void)json_object_del(m, VM_GROUPS);
}

/* Theirs has a tap of the kernel's choice without an address, unless it says otherwise. */
static json_t *set_net(json_t *net)
{
	if (net != NULL) {
		set_default(net, "tap", json_string(""));
		set_default(net, "address", json_string("off"));
	}
	return net;
}

static json_t *set_disk(json_t *disk)
{
	if (disk != NULL)
		set_default(disk, "queue_size", json_integer(128));
	return disk;
}

json_t *vmconfig_manifest(const json_t *body, const char *name, struct vmconfig_err *e)
{
	json_t *m = fields_in(vm_fields, body, e);

	if (m == NULL)
		return NULL;
	set_groups(m);
	for (size_t i = 0; i < json_array_size(json_object_get(m, "net")); i++)
		(void)set_net(json_array_get(json_object_get(m, "net"), i));
	for (size_t i = 0; i < json_array_size(json_object_get(m, "disk")); i++)
		(void)set_disk(json_array_get(json_object_get(m, "disk"), i));
	(void)json_object_set_new(m, "sill", json_integer(1));
	(void)json_object_set_new(m, "name", json_string(name));
	/* Their one switch for Windows; with it go Sill's defaults for such a guest. */
	set_default(m, "guest",
		    json_string(is_true(m, "cpus", "kvm_hyperv") ? "windows" : "other"));
	set_default(m, "serial", json_pack("{s:s}", "mode", "null"));
	set_default(m, "console", json_pack("{s:s}", "mode", "tty"));
	set_default(m, "rng", json_pack("{s:s}", "src", "/dev/urandom"));
	return m;
}

json_t *vmconfig_disk(const json_t *body, struct vmconfig_err *e)
{
	return set_disk(fields_in(disk_fields, body, e));
}

json_t *vmconfig_vsock(const json_t *body, struct vmconfig_err *e)
{
	return fields_in(vsock_fields, body, e);
}

json_t *vmconfig_net(const json_t *body, struct vmconfig_err *e)
{
	return set_net(fields_in(net_fields, body, e));
}

json_t *vmconfig_of(const struct sill_config *c, const struct vmconfig_ends *ends)
{
	json_t *plain = plain_json(&root_section, c);
	json_t *config = plain != NULL ? fields_out(vm_fields, plain) : NULL;

	json_decref(plain);
	if (config != NULL && ends != NULL)
		for (unsigned p = 0; p < SILL_PORTS; p++)
			if (ends->pty[p][0] != '\0')
				(void)json_object_set_new(
					json_object_get(config, sill_port_name(p)), "file",
					json_string(ends->pty[p]));
	return config;
}

/* ---- groups that nobody is in ---- */

/* NULL where the numbers are none. */
static json_t *bucket_said(const json_t *limits, const char *name)
{
	const json_t *b = json_object_get(limits, name);
	json_t *burst = json_object_get(b, "one_time_burst");

	if (!json_is_integer(json_object_get(b, "size")) ||
	    !json_is_integer(json_object_get(b, "refill_time")))
		return json_null();
	return json_pack("{s:O,s:o,s:O}", "size", json_object_get(b, "size"), "one_time_burst",
			 json_is_integer(burst) ? json_incref(burst) : json_null(), "refill_time",
			 json_object_get(b, "refill_time"));
}

json_t *vmconfig_groups(const json_t *body)
{
	const json_t *groups = json_object_get(body, "rate_limit_groups");
	json_t *list = json_array_size(groups) > 0 ? json_array() : NULL;

	for (size_t i = 0; list != NULL && i < json_array_size(groups); i++) {
		const json_t *group = json_array_get(groups, i);
		const json_t *limits = json_object_get(group, "rate_limiter_config");

		(void)json_array_append_new(list, json_pack("{s:O,s:{s:o,s:o}}", "id",
							    json_object_get(group, "id"),
							    "rate_limiter_config", "bandwidth",
							    bucket_said(limits, "bandwidth"), "ops",
							    bucket_said(limits, "ops")));
	}
	return list;
}

void vmconfig_keep_groups(json_t *config, const json_t *kept)
{
	json_t *groups = json_object_get(config, "rate_limit_groups");

	for (size_t i = 0; i < json_array_size(kept); i++) {
		const json_t *group = json_array_get(kept, i);
		const char *id = json_string_value(json_object_get(group, "id"));

		if (json_find(groups, "id", id) != NULL)
			continue;
		if (groups == NULL) {
			groups = json_array();
			(void)json_object_set_new(config, "rate_limit_groups", groups);
		}
		(void)json_array_append_new(groups, json_deep_copy(group));
	}
}

static const char *group_of(const json_t *disk)
{
	return json_string_value(json_object_get(json_object_get(disk, "rate_limit"), "group"));
}

void vmconfig_first_of_group(json_t *disk, const json_t *kept, const json_t *disks)
{
	const char *id = group_of(disk);
	const json_t *group = id != NULL ? json_find(kept, "id", id) : NULL;

	for (size_t i = 0; i < json_array_size(disks) && group != NULL; i++) {
		const char *other = group_of(json_array_get(disks, i));

		if (other != NULL && strcmp(other, id) == 0)
			return;
	}
	if (group != NULL)
		limits_in(json_object_get(group, "rate_limiter_config"), disk);
}
