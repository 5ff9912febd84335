/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - see print.h. */
#include "runner/plan/print.h"

#include <string.h>

#include "runner/report/json.h"
#include "runner/report/text.h"

/* Where the file says it, or what it is part of. */
static struct mark place_of(const struct plan_vm *v, const struct diff *d)
{
	const struct places *p = &v->target->doc->places;
	const struct node *found[] = { d->came ? places_find_map(p, d->at) : places_find(p, d->at),
				       places_find_map(p, d->owner), v->target->doc->root };

	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		const struct node *n = found[i];

		if (n == NULL || (n->implied && n->from.line == 0) || n->at.line == 0)
			continue;
		/* What has gone from a list has been under its key. */
		if (i == 0 && d->after == NULL && n->key_at.line > 0)
			return n->key_at;
		return node_origin(n);
	}
	return (struct mark){ .line = 1, .col = 1 };
}

static const char *file_of(const struct plan_vm *v)
{
	return v->target != NULL ? v->target->mf->source.src.name : v->file;
}

/* Of the file, or of the base, that @at is in. */
static const char *file_at(const struct plan_vm *v, struct mark at)
{
	return at.src != NULL ? at.src->name : file_of(v);
}

/* ---- for people ---- */

enum { SHOWN = 120 };

static const char *colour_of(enum plan_effect e)
{
	static const char *const colours[] = {
		[PLAN_LIVE] = "\033[32m",      [PLAN_HOTPLUG] = "\033[32m",
		[PLAN_NEXT_BOOT] = "\033[33m", [PLAN_RECREATE] = "\033[31m",
		[PLAN_REFUSED] = "\033[31m",
	};

	return colours[e];
}

static void print_value(FILE *f, const char *text)
{
	char clean[SHOWN];

	(void)fputs(text != NULL ? text_clean(clean, sizeof(clean), text, strlen(text)) : "none",
		    f);
}

static char sign_of(const struct plan_entry *n)
{
	const char *how = plan_entry_how(n);

	return strcmp(how, "add") == 0 ? '+' : strcmp(how, "remove") == 0 ? '-' : '~';
}

static void print_entry(FILE *f, const struct plan_vm *v, const struct plan_entry *n, bool colour)
{
	const struct mark at = place_of(v, n->diff);
	const char *file = file_at(v, at);
	char clean[256];

	(void)fprintf(f, "  %c %s:%u: ", sign_of(n),
		      text_clean(clean, sizeof(clean), file, strlen(file)), at.line);
	(void)fprintf(
		f, "%s: ", text_clean(clean, sizeof(clean), n->diff->path, strlen(n->diff->path)));
	if (sign_of(n) != '+')
		print_value(f, n->diff->before);
	if (sign_of(n) == '~')
		(void)fputs(" -> ", f);
	if (sign_of(n) != '-')
		print_value(f, n->diff->after);
	(void)fprintf(f, "\n      %s%s%s%s%s%s\n", colour ? colour_of(n->effect) : "",
		      plan_effect_name(n->effect), colour ? "\033[0m" : "",
		      n->why != NULL ? ": " : "", n->why != NULL ? n->why : "",
		      n->drift ? "; drift: it has changed since the last apply" : "");
}

void plan_print(FILE *f, const struct plan_vm *v, bool colour)
{
	switch (v->action) {
	case PLAN_NOTHING:
		text_say(f, "%s: nothing to do", v->name);
		break;
	case PLAN_CREATE:
		text_say(f, "%s: will be created from %s", v->name, file_of(v));
		break;
	case PLAN_REMOVE:
		text_say(f, "%s: will be shut down, %s is gone", v->name, file_of(v));
		break;
	case PLAN_CHANGE:
		text_say(f, "%s: %zu change%s", v->name, v->plan->count,
			 v->plan->count == 1 ? "" : "s");
		for (size_t i = 0; i < v->plan->count; i++)
			print_entry(f, v, &v->plan->list[i], colour);
		break;
	}
}

/* ---- for programs ---- */

static json_t *text_or_null(const char *s)
{
	return s != NULL ? json_text(s) : json_null();
}

static json_t *entry_json(const struct plan_vm *v, const struct plan_entry *n)
{
	const struct mark at = place_of(v, n->diff);
	json_t *o = json_object();

	(void)json_object_set_new(o, "path", json_text(n->diff->path));
	(void)json_object_set_new(o, "how", json_string(plan_entry_how(n)));
	(void)json_object_set_new(o, "file", text_or_null(file_at(v, at)));
	(void)json_object_set_new(o, "line", json_integer(at.line));
	(void)json_object_set_new(o, "column", json_integer(at.col));
	(void)json_object_set_new(o, "before", text_or_null(n->diff->before));
	(void)json_object_set_new(o, "after", text_or_null(n->diff->after));
	(void)json_object_set_new(o, "effect", json_string(plan_effect_name(n->effect)));
	(void)json_object_set_new(o, "why", text_or_null(n->why));
	(void)json_object_set_new(o, "drift", json_boolean(n->drift));
	return o;
}

json_t *plan_json(const struct plan_vm *v)
{
	static const char *const words[] = { [PLAN_NOTHING] = "none",
					     [PLAN_CREATE] = "create",
					     [PLAN_CHANGE] = "change",
					     [PLAN_REMOVE] = "remove" };
	json_t *changes = json_array();

	for (size_t i = 0; v->action == PLAN_CHANGE && i < v->plan->count; i++)
		(void)json_array_append_new(changes, entry_json(v, &v->plan->list[i]));
	return json_pack("{s:o,s:o,s:s,s:o}", "name", json_text(v->name), "file",
			 text_or_null(file_of(v)), "action", words[v->action], "changes", changes);
}
