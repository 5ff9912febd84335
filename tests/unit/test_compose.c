/* SPDX-License-Identifier: Apache-2.0 */
/* test_compose.c - what comes of a document and its bases, and what hostile ones cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/emit.h"
#include "runner/manifest/manifest.h"

/* Files that are not on the host. */
struct file {
	const char *path, *text;
};

static const char *text_of(const void *ctx, const char *path, size_t *ret_size)
{
	for (const struct file *f = ctx; f->path != NULL; f++) {
		if (strcmp(f->path, path) != 0)
			continue;
		*ret_size = strlen(f->text);
		return f->text;
	}
	return NULL;
}

static struct mfile *load(const struct file *files, const char *text)
{
	const struct compose_store store = { text_of, files };
	const struct mfile_how how = { .store = &store };
	struct mfile *f = mfile_read_text("vms/web.yaml", text, strlen(text), &how);

	assert_non_null(f);
	return f;
}

/* What was written in all of them is the same as @want, which stands alone. */
static void same(const struct file *files, const char *text, const char *want)
{
	struct mfile *f = load(files, text);
	char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	if (f->diags.total > 0)
		fail_msg("%s:%u: %s", f->diags.list[0].at.src->name, f->diags.list[0].at.line,
			 f->diags.list[0].msg);
	assert_int_equal(emit_yaml(out, &f->check, f->docs[0].root, EMIT_WRITTEN), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(shown, want);
	free(shown);
	mfile_destroy(f);
}

/* The first mistake. */
static void wrong(const struct file *files, const char *text, const char *where, unsigned line,
		  const char *what)
{
	struct mfile *f = load(files, text);

	assert_true(f->diags.count > 0);
	if (strstr(f->diags.list[0].msg, what) == NULL)
		fail_msg("'%s' is said, not '%s'", f->diags.list[0].msg, what);
	assert_string_equal(f->diags.list[0].at.src->name, where);
	assert_int_equal(f->diags.list[0].at.line, line);
	mfile_destroy(f);
}

#define BASE "sill: 1\nkernel: /k\n"

static void merge__is_by_key_and_the_later_wins(void **state)
{
	const struct file files[] = { { "vms/a.yaml",
					BASE "cpus: {boot: 2, max: 8}\nguest: linux\n" },
				      { "vms/b.yaml", "cpus: {max: 6}\ncmdline: b\n" },
				      { NULL, NULL } };

	(void)state;
	same(files, "base: [a.yaml, b.yaml]\nname: web\ncmdline: c\n",
	     "sill: 1\nname: web\nguest: linux\nkernel: /k\ncmdline: c\ncpus:\n  boot: 2\n  max: "
	     "6\n");
}

static void merge__takes_short_forms_under_mappings_for_long_ones(void **state)
{
	const struct file files[] = {
		{ "vms/a.yaml", BASE "memory: 4G\ncpus: {boot: 2, max: 8}\n" }, { NULL, NULL }
	};

	(void)state;
	same(files, "base: a.yaml\nname: web\nmemory: {hotplug_size: 8G}\n",
	     "sill: 1\nname: web\nkernel: /k\ncpus:\n  boot: 2\n  max: 8\n"
	     "memory:\n  size: 4G\n  hotplug_size: 8G\n");
	/* Over one it is all there is. */
	same(files, "base: a.yaml\nname: web\ncpus: 3\nmemory: null\n",
	     "sill: 1\nname: web\nkernel: /k\ncpus:\n  boot: 3\n");
}

static void merge__null_takes_away_and_is_a_word_where_there_is_one(void **state)
{
	const struct file files[] = { { "vms/a.yaml", BASE "serial: {mode: file, path: /s}\n" },
				      { NULL, NULL } };

	(void)state;
	same(files, "base: a.yaml\nname: web\nserial: ~\n", "sill: 1\nname: web\nkernel: /k\n");
	same(files, "base: a.yaml\nname: web\nserial: null\n",
	     "sill: 1\nname: web\nkernel: /k\nserial:\n  mode: null\n");
	same(files, "base: a.yaml\nname: web\nserial: {mode: null, path: ~}\n",
	     "sill: 1\nname: web\nkernel: /k\nserial:\n  mode: null\n");
	wrong(files, "base: a.yaml\nname: web\nrng: ~\n", "vms/web.yaml", 3, "mapping is due");
}

#define DISKS "disk:\n- {path: /a, format: raw}\n- {path: /b, format: raw, id: data}\n"
#define HEAD  "sill: 1\nname: web\nkernel: /k\n"

static void merge__lists_are_by_id(void **state)
{
	const struct file files[] = { { "vms/a.yaml", BASE DISKS }, { NULL, NULL } };

	(void)state;
	same(files,
	     "base: a.yaml\nname: web\ndisk: [{id: data, readonly: on}, {path: /c, format: raw}]\n",
	     HEAD "disk:\n- path: /a\n  format: raw\n- path: /b\n  format: raw\n  readonly: on\n"
		  "  id: data\n- path: /c\n  format: raw\n");
	/* The first one's id is its place's. */
	same(files, "base: a.yaml\nname: web\ndisk: [{id: disk0, path: /x}]\n",
	     HEAD "disk:\n- path: /x\n  format: raw\n  id: disk0\n- path: /b\n  format: raw\n"
		  "  id: data\n");
	/* A mapping changes entries and takes them away; what is left keeps its id. */
	same(files, "base: a.yaml\nname: web\ndisk: {disk0: ~, data: {path: /y}}\n",
	     HEAD "disk:\n- path: /y\n  format: raw\n  id: data\n");
	same(files, "base: a.yaml\nname: web\ndisk: {data: ~}\n",
	     HEAD "disk:\n- path: /a\n  format: raw\n  id: disk0\n");
	wrong(files, "base: a.yaml\nname: web\ndisk: {dat: ~}\n", "vms/web.yaml", 3, "no entry");
	wrong(files,
	      "base: a.yaml\nname: web\ndisk: [{id: x, path: /x, format: raw}, {id: x, path: /y, "
	      "format: raw}]\n",
	      "vms/web.yaml", 3, "has the id 'x' too");
}

static void merge__other_lists_are_replaced(void **state)
{
	const struct file files[] = { { "vms/a.yaml", BASE "platform: {oem_strings: [a, b]}\n" },
				      { NULL, NULL } };

	(void)state;
	same(files, "base: a.yaml\nname: web\nplatform: {oem_strings: [c]}\n",
	     HEAD "platform:\n  oem_strings: [c]\n");
}

static void base__is_beside_the_file_that_says_it(void **state)
{
	const struct file files[] = { { "vms/../bases/a.yaml", "base: more/b.yaml\n" },
				      { "vms/../bases/more/b.yaml", BASE "memory: 4\n" },
				      { NULL, NULL } };

	(void)state;
	wrong(files, "base: ../bases/a.yaml\nname: web\n", "vms/../bases/more/b.yaml", 3,
	      "has no unit");
}

static void base__may_be_two_layers_that_share_one(void **state)
{
	const struct file files[] = { { "vms/a.yaml", "base: c.yaml\nguest: linux\n" },
				      { "vms/b.yaml", "base: c.yaml\ncmdline: b\n" },
				      { "vms/c.yaml", BASE },
				      { NULL, NULL } };

	(void)state;
	same(files, "base: [a.yaml, b.yaml]\nname: web\n",
	     "sill: 1\nname: web\nguest: linux\nkernel: /k\ncmdline: b\n");
}

static void base__loops_are_found(void **state)
{
	const struct file files[] = { { "vms/a.yaml", "base: b.yaml\n" },
				      { "vms/b.yaml", "sill: 1\nbase: a.yaml\n" },
				      { NULL, NULL } };

	(void)state;
	wrong(files, "base: a.yaml\nname: web\n", "vms/b.yaml", 2, "its own base");
}

/* Each stands twice on the next: 2^20 layers, were there no limit. */
static void base__depth_and_number_are_limited(void **state)
{
	static char path[21][16], text[21][80];
	struct file files[22] = { { NULL, NULL } };

	(void)state;
	for (int i = 0; i < 21; i++) {
		(void)snprintf(path[i], sizeof(path[i]), "vms/%d.yaml", i);
		(void)snprintf(text[i], sizeof(text[i]), "base: [%d.yaml, %d.yaml]\n", i + 1,
			       i + 1);
		files[i] = (struct file){ path[i], text[i] };
	}
	wrong(files, "base: 0.yaml\nname: web\n", "vms/7.yaml", 1, "deep");
	/* Each of seven layers has the next sixteen times. */
	for (int i = 0; i < 7; i++)
		(void)snprintf(text[i], sizeof(text[i]),
			       "base: [&a %d.yaml,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n",
			       i + 1);
	(void)snprintf(text[7], sizeof(text[7]), "sill: 1\n");
	wrong(files, "base: 0.yaml\nname: web\n", "vms/5.yaml", 1, "more than 50000 values");
}

static void base__is_for_files_alone(void **state)
{
	static const char text[] = "base: /etc/passwd\nsill: 1\nname: web\nkernel: /k\n";
	struct mfile *f = mfile_load_text("vm.json", text, sizeof(text) - 1, NULL);

	(void)state;
	assert_int_equal(f->diags.total, 1);
	assert_string_equal(f->diags.list[0].msg, "unknown key 'base'");
	mfile_destroy(f);
}

/* Whichever allocation fails, it is said, and nothing is lost. */
static void base__survives_without_memory(void **state)
{
	const struct file files[] = { { "vms/a.yaml", BASE "memory: 4G\n" DISKS }, { NULL, NULL } };
	static const char text[] = "base: a.yaml\nname: web\nmemory: {shared: on}\n"
				   "disk: [{id: data, readonly: on}, {path: /c, format: raw}]\n";
	bool failed = true;
	unsigned n = 0;

	(void)state;
	while (failed) {
		struct mfile *f;

		mfile_fail_after(++n);
		f = load(files, text);
		failed = f->diags.total > 0;
		if (failed)
			assert_non_null(strstr(f->diags.list[0].msg, "no memory"));
		mfile_destroy(f);
	}
	mfile_fail_after(0);
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merge__is_by_key_and_the_later_wins),
		cmocka_unit_test(merge__takes_short_forms_under_mappings_for_long_ones),
		cmocka_unit_test(merge__null_takes_away_and_is_a_word_where_there_is_one),
		cmocka_unit_test(merge__lists_are_by_id),
		cmocka_unit_test(merge__other_lists_are_replaced),
		cmocka_unit_test(base__is_beside_the_file_that_says_it),
		cmocka_unit_test(base__may_be_two_layers_that_share_one),
		cmocka_unit_test(base__loops_are_found),
		cmocka_unit_test(base__depth_and_number_are_limited),
		cmocka_unit_test(base__is_for_files_alone),
		cmocka_unit_test(base__survives_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
