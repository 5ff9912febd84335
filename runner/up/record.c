/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - see record.h. */
#include "runner/up/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/manifest/emit.h"
#include "runner/report/json.h"

static const char name[] = "up.json";

static json_t *text_or_null(const char *s)
{
	return s != NULL ? json_text(s) : json_null();
}

static int write_json(const struct rundir *d, const json_t *o, struct sill_err *e)
{
	char *text = json_dumps(o, JSON_INDENT(2));
	int ret = text != NULL ? rundir_write(d, name, text, strlen(text), e)
			       : sill_err_sys(e, ENOMEM, "what is remembered of the VM");

	free(text);
	return ret;
}

int record_want(const struct rundir *d, const struct target *t, struct sill_err *e)
{
	json_t *o = emit_json(&t->mf->check, t->doc->root, EMIT_EFFECTIVE);
	char *text = o != NULL ? json_dumps(o, JSON_INDENT(2)) : NULL;
	const int ret = text != NULL ? rundir_write(d, "wanted.json", text, strlen(text), e)
				     : sill_err_sys(e, ENOMEM, "the manifest");

	free(text);
	json_decref(o);
	return ret;
}

json_t *record_read(const struct rundir_vm *vm)
{
	size_t n = 0;
	char *text = rundir_read(vm, name, &n);
	json_t *o = text != NULL ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;

	free(text);
	return o;
}

static json_t *read_own(const struct rundir *d)
{
	struct rundir_vm vm = { 0 };

	memcpy(vm.path, d->path, sizeof(vm.path));
	return record_read(&vm);
}

int record_begin(const struct rundir *d, const struct record_start *s, struct sill_err *e)
{
	json_t *old = read_own(d), *last = json_object_get(old, "ended");
	json_t *o = json_pack("{s:o,s:o,s:o,s:I,s:I,s:i,s:O?,s:n}", "file", text_or_null(s->file),
			      "directory", text_or_null(s->directory), "unit",
			      text_or_null(s->unit), "pid", (json_int_t)getpid(), "started",
			      (json_int_t)time(NULL), "restarts", (int)s->restarts, "last_end",
			      s->restarts > 0 ? last : NULL, "ended");
	const int ret = write_json(d, o, e);

	json_decref(o);
	json_decref(old);
	return ret;
}

bool record_is_there(const struct rundir *d)
{
	json_t *o = read_own(d);
	const bool is = o != NULL;

	json_decref(o);
	return is;
}

const char *record_text(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

static void end(const struct rundir *d, json_t *take_o, const char *how, const char *why)
{
	if (take_o != NULL && json_is_null(json_object_get(take_o, "ended"))) {
		(void)json_object_set_new(take_o, "ended",
					  json_pack("{s:I,s:s,s:o}", "at", (json_int_t)time(NULL),
						    "how", how, "why", text_or_null(why)));
		(void)write_json(d, take_o, &(struct sill_err){ 0 });
	}
	json_decref(take_o);
}

void record_end(const struct rundir *d, const char *how, const char *why)
{
	end(d, read_own(d), how, why);
}

void record_end_of(const struct rundir_vm *vm, const char *how)
{
	struct rundir d;
	json_t *o;

	if (rundir_reach(vm, &d, &(struct sill_err){ 0 }) < 0)
		return;
	o = record_read(vm);
	if (json_integer_value(json_object_get(o, "pid")) == vm->pid)
		end(&d, o, how, NULL);
	else
		json_decref(o); /* another has begun meanwhile */
	(void)close(d.fd);
}

void record_crash(const struct rundir_vm *vm, const char *why)
{
	struct rundir d;

	if (rundir_reach(vm, &d, &(struct sill_err){ 0 }) < 0)
		return;
	end(&d, record_read(vm), "crashed", why);
	(void)close(d.fd);
}
