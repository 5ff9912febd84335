/* SPDX-License-Identifier: Apache-2.0 */
/* pending.c - see pending.h. */
#include "runner/plan/pending.h"

#include "runner/plan/observe.h"
#include "runner/plan/print.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

/* NULL: the VM does not answer. */
static json_t *changes_of(const struct rundir_vm *vm, const struct target *t)
{
	struct observed seen = { 0 };
	struct plan p = { 0 };
	struct sill_err e = { 0 };
	json_t *o, *list = NULL;

	if (observe(vm, t->doc->m, &seen, &e) == 0 &&
	    plan_make(&seen.value, t->doc->m, &seen.facts, &p, &e) == 0) {
		o = plan_json(&(struct plan_vm){
			.name = vm->name, .target = t, .action = PLAN_CHANGE, .plan = &p });
		list = json_incref(json_object_get(o, "changes"));
		json_decref(o);
	}
	plan_fini(&p);
	observed_fini(&seen);
	return list;
}

/* The first mistake, with its place; NULL: none. */
static json_t *mistake_of(const struct mfile *mf, const char *name)
{
	const struct diag *g = mf->diags.count > 0 ? &mf->diags.list[0] : NULL;
	const struct src_text *src;

	if (mf->diags.total > 0 && g == NULL)
		return json_string("it is wrong");
	if (g == NULL)
		return mfile_find(mf, name) != NULL ? NULL
						    : json_sprintf("it has no VM named '%s'", name);
	src = g->at.src != NULL ? g->at.src : &mf->source.src;
	if (g->at.line == 0)
		return json_sprintf("%s: %s", src->name, g->msg);
	return json_sprintf("%s:%u: %s%s%s", src->name, g->at.line, g->path,
			    g->path[0] != '\0' ? ": " : "", g->msg);
}

void pending_put(json_t *o, const struct rundir_vm *vm, struct mfile *mf)
{
	json_t *mistake = mf != NULL ? mistake_of(mf, vm->name) : NULL, *changes = NULL;

	if (mf != NULL && mistake == NULL)
		changes = changes_of(vm, &(struct target){ .mf = mf,
							   .doc = mfile_find(mf, vm->name),
							   .file = mf->source.src.name });
	(void)json_object_set_new(o, "changes", changes != NULL ? changes : json_null());
	(void)json_object_set_new(o, "manifest_error", mistake != NULL ? mistake : json_null());
}

static const char *word(const json_t *o, const char *key, const char *other)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : other;
}

void pending_print(FILE *f, const json_t *o)
{
	const json_t *list = json_object_get(o, "changes");
	const size_t n = json_array_size(list);

	if (json_is_string(json_object_get(o, "manifest_error")))
		text_say(f, "  %-10s not known: %s", "changes", word(o, "manifest_error", ""));
	if (n > 0)
		text_say(f, "  %-10s %zu in the manifest: sill plan, sill apply", "changes", n);
	for (size_t i = 0; i < n; i++) {
		const json_t *c = json_array_get(list, i);

		text_say(f, "  %-10s %s: %.60s -> %.60s: %s", "", word(c, "path", ""),
			 word(c, "before", "none"), word(c, "after", "none"),
			 word(c, "effect", ""));
	}
}
