/* SPDX-License-Identifier: Apache-2.0 */
/* observe.c - see observe.h. */
#include "runner/plan/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/up/call.h"
#include "schema/store.h"

static const char applied_name[] = "applied.yaml";

/* A manifest as JSON into a value of its own. */
static int value_of(const char *text, size_t n, struct sill_config *ret, struct sill_err *e)
{
	struct mfile *mf = mfile_load_text("running.json", text, n, NULL);
	int done = -1;

	if (mf == NULL)
		return sill_err_sys(e, ENOMEM, "the manifest of the VM");
	if (mf->diags.total == 0 && mf->count == 1)
		done = sill_config_copy(ret, mf->docs[0].m, e);
	else
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "what the VM says of itself is no manifest: %s",
				   mf->diags.count > 0 ? mf->diags.list[0].msg : "");
	mfile_destroy(mf);
	return done;
}

static json_t *get(const struct rundir_vm *vm, const char *target, struct sill_err *e)
{
	const struct call c = { "GET", target, NULL };
	json_t *o = NULL;

	if (call_vm(vm, &c, &o, e) == 0 && o == NULL)
		(void)sill_err_set(e, SILL_ERR_STATE, "the VM says nothing of itself");
	return o;
}

static int ask_value(const struct rundir_vm *vm, struct sill_config *ret, struct sill_err *e)
{
	json_t *o = get(vm, "/sill.manifest", e);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	const int done = text != NULL ? value_of(text, strlen(text), ret, e) : -1;

	free(text);
	json_decref(o);
	return done;
}

static json_int_t number(const json_t *o, const char *section, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(o, section), key));
}

/* Sizes are what the guest has, not what it was asked for. */
static void take_pending(struct observed *o)
{
	const json_t *p = o->pending;

	o->value.cpus.boot = (uint16_t)number(p, "vcpus", "present");
	o->value.memory.size = (uint64_t)number(p, "memory", "present");
	o->facts.vcpus_asked = (unsigned)number(p, "vcpus", "asked");
	o->facts.memory_asked = (uint64_t)number(p, "memory", "asked");
	o->facts.memory_max = (uint64_t)number(p, "memory", "max");
	o->facts.fixed = json_object_get(p, "fixed");
	o->facts.leaving = json_object_get(p, "devices");
}

static void remember(struct observed *o)
{
	size_t n = 0;
	char *text = rundir_read(&o->vm, applied_name, &n);
	int done = -1;

	if (text != NULL) {
		done = store_load(text, n, &o->remembered, &(struct sill_err){ 0 });
	} else {
		text = rundir_read(&o->vm, "wanted.json", &n);
		if (text != NULL)
			done = value_of(text, n, &o->remembered, &(struct sill_err){ 0 });
	}
	free(text);
	if (done == 0)
		o->facts.remembered = &o->remembered;
}

int observe(const struct rundir_vm *vm, struct observed *ret, struct sill_err *e)
{
	ret->vm = *vm;
	if (ask_value(vm, &ret->value, e) < 0)
		return -1;
	ret->pending = get(vm, "/sill.pending", e);
	if (ret->pending == NULL) {
		observed_fini(ret);
		return -1;
	}
	take_pending(ret);
	remember(ret);
	return 0;
}

void observed_fini(struct observed *o)
{
	sill_config_free(&o->value);
	sill_config_free(&o->remembered);
	json_decref(o->pending);
	*o = (struct observed){ 0 };
}

int observed_remember(const struct observed *o, struct sill_err *e)
{
	struct rundir d = { .fd = open(o->vm.path,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) };
	size_t n = 0;
	char *text;
	int ret = -1;

	if (d.fd < 0)
		return sill_err_sys(e, errno, "'%s'", o->vm.path);
	memcpy(d.path, o->vm.path, sizeof(d.path));
	text = store_save(&o->value, &n, e);
	if (text != NULL)
		ret = rundir_write(&d, applied_name, text, n, e);
	free(text);
	(void)close(d.fd);
	return ret;
}
