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

static const struct compose_extra *extra; /* NULL: nothing on the command line */

static struct mfile *load(const struct file *files, const char *text)
{
	const struct compose_store store = { text_of, files };
	const struct mfile_how how = { .store = &store, .extra = extra };
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
	static const char text[] = "base: a.yaml\nname: web\nvars: {o: on}\n"
				   "memory: {shared: \"${o}\"}\n"
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

/* ---- variables ---- */

static const struct file none[] = { { NULL, NULL } };

/* same() and wrong() with --set @a --set @b, which may be NULL. */
static void same_set(const char *a, const char *b, const char *text, const char *want)
{
	const char *const sets[] = { a, b };
	const struct compose_extra x = { .sets = sets, .set_count = b != NULL ? 2 : 1 };

	extra = &x;
	same(none, text, want);
	extra = NULL;
}

static void wrong_set(const char *a, const char *text, const char *where, const char *what)
{
	const struct compose_extra x = { .sets = &a, .set_count = 1 };

	extra = &x;
	wrong(none, text, where, 1, what);
	extra = NULL;
}

#define VM "sill: 1\nname: web\nkernel: /k\n"

static void vars__are_what_they_are_where_they_are_given(void **state)
{
	(void)state;
	same(none, VM "vars: {n: 2, t: '3'}\ncpus: ${n}\nplatform: {serial_number: \"${t}\"}\n",
	     VM "cpus:\n  boot: 2\nplatform:\n  serial_number: \"3\"\n");
	/* Between braces there must be quotes. */
	same(none, VM "vars: {n: 2}\ncpus: {boot: \"${n}\"}\n", VM "cpus:\n  boot: 2\n");
	same(none, VM "vars: {n: 2}\nmemory: ${n}G\n", VM "memory:\n  size: 2G\n");
	wrong(none, VM "vars: {t: '3'}\ncpus: ${t}\n", "vms/web.yaml", 5, "text where a number");
	wrong(none, VM "vars: {n: 3}\ncmdline: ${n}\n", "vms/web.yaml", 5, "a number where text");
	wrong(none, VM "vars: {n: 4}\nmemory: ${n}\n", "vms/web.yaml", 5, "has no unit");
}

static void vars__a_dollar_is_itself_where_it_means_nothing(void **state)
{
	(void)state;
	same(none, VM "cmdline: a $b $$ $ c$\n",
	     "sill: 1\nname: web\nkernel: /k\ncmdline: \"a $b $$ $ c$\"\n");
	/* What is shown is a manifest that says the same. */
	same(none, VM "vars: {v: x}\ncmdline: $${v} $$${v} ${v}\n",
	     VM "cmdline: \"$${v} $$${v} x\"\n");
	wrong(none, VM "cmdline: a${b\n", "vms/web.yaml", 4, "without a variable's name");
	wrong(none, VM "cmdline: a${}\n", "vms/web.yaml", 4, "without a variable's name");
	wrong(none, VM "cmdline: a${b c}\n", "vms/web.yaml", 4, "without a variable's name");
}

static void vars__there_are_two_in_every_document(void **state)
{
	const struct file files[] = { { "vms/bases/a.yaml", "sill: 1\nkernel: /${name}/k\n" },
				      { NULL, NULL } };

	(void)state;
	same(files, "base: bases/a.yaml\nname: web\ncmdline: x-${name}\n",
	     "sill: 1\nname: web\nkernel: /web/k\ncmdline: x-web\n");
	same(none, "sill: 1\nvars: {n: 7}\nname: vm-${n}\nkernel: /${name}\n",
	     "sill: 1\nname: vm-7\nkernel: /vm-7\n");
	wrong(none, "sill: 1\nname: a${name}\nkernel: /k\n", "vms/web.yaml", 2, "made of itself");
	wrong(none, VM "vars: {dir: /x}\n", "vms/web.yaml", 4, "a meaning already");
	wrong(none, VM "vars: {memory: 4G}\n", "vms/web.yaml", 4, "a meaning already");
}

static void vars__of_a_base_are_changed_by_who_stands_on_it(void **state)
{
	const struct file files[] = { { "vms/a.yaml", BASE "vars: {m: 1G, c: }\nmemory: ${m}\n"
							   "cpus: ${c}\n" },
				      { NULL, NULL } };

	(void)state;
	same(files, "base: a.yaml\nname: web\nvars: {m: 2G, c: 3}\n",
	     VM "cpus:\n  boot: 3\nmemory:\n  size: 2G\n");
	wrong(files, "base: a.yaml\nname: web\n", "vms/a.yaml", 5, "'c' has no value");
}

static void vars__that_are_wrong_are_said(void **state)
{
	(void)state;
	wrong(none, VM "vars: {mem: 1G}\nmemory: ${men}\n", "vms/web.yaml", 5, "no variable 'men'");
	wrong(none, VM "vars: {a: [1]}\n", "vms/web.yaml", 4, "a list where a single value");
	wrong(none, VM "vars: x.fd\n", "vms/web.yaml", 4, "variables and their values are due");
	wrong(none, VM "vars: {1a: x}\n", "vms/web.yaml", 4, "cannot be a variable's name");
	wrong(none, VM "vars: {a: x, a: y}\n", "vms/web.yaml", 4, "'a' is there twice");
	wrong(none, VM "vars: {a: x}\nvars: {b: y}\n", "vms/web.yaml", 5, "'vars' is there twice");
	wrong(none, VM "vars: {a: \"${b}\", b: \"${a}\"}\ncmdline: ${a}\n", "vms/web.yaml", 4,
	      "made of itself");
}

/* Each has ten of the one before: 10^9 letters, were there no limit. */
static void vars__do_not_grow_without_bound(void **state)
{
	char text[2048] = VM "vars:\n  v0: lollollollol\n";
	size_t n = strlen(text);

	(void)state;
	for (int i = 1; i < 10; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "  v%d: ", i);
		for (int j = 0; j < 10; j++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "${v%d}", i - 1);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
	}
	(void)snprintf(text + n, sizeof(text) - n, "cmdline: ${v9}\n");
	wrong(none, text, "vms/web.yaml", 8, "it is too long");
}

static void vars__that_nobody_reads_are_warned_of(void **state)
{
	struct mfile *f = load(none, VM "vars: {a: 1, b: 2}\ncpus: ${a}\n");

	(void)state;
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->warnings.total, 1);
	assert_string_equal(f->warnings.list[0].path, "vars.b");
	mfile_destroy(f);
	/* A mistake goes before. */
	f = load(none, VM "vars: {a: 1, b: 2}\ncpus: ${a}\nmemory: 4\n");
	assert_int_equal(f->diags.total, 1);
	assert_int_equal(f->warnings.total, 0);
	mfile_destroy(f);
}

static void set__is_a_variable_or_a_key(void **state)
{
	(void)state;
	same_set("n=4", NULL, VM "vars: {n: 2}\ncpus: ${n}\n", VM "cpus:\n  boot: 4\n");
	same_set("memory=2G", "cpus.max=3", VM, VM "cpus:\n  max: 3\nmemory:\n  size: 2G\n");
	same_set("name=b", NULL, VM "cmdline: ${name}\n",
		 "sill: 1\nname: b\nkernel: /k\ncmdline: b\n");
	same_set("disk.data.path=/c", "disk[disk0].readonly=on", VM DISKS,
		 VM "disk:\n- path: /a\n  format: raw\n  readonly: on\n  id: disk0\n"
		    "- path: /c\n  format: raw\n  id: data\n");
	same_set("disk.data=null", NULL, VM DISKS,
		 VM "disk:\n- path: /a\n  format: raw\n  id: disk0\n");
	/* What is typed has no type but its place's. */
	same_set("s=42", "cmdline=", VM "vars: {s: }\nplatform: {serial_number: \"${s}\"}\n",
		 VM "cmdline: \"\"\nplatform:\n  serial_number: \"42\"\n");
	same_set("cmdline=a: [b] #c=d", NULL, VM, VM "cmdline: \"a: [b] #c=d\"\n");
}

static void set__is_said_where_it_is_wrong(void **state)
{
	(void)state;
	wrong_set("memory.size=4", VM, "--set", "has no unit");
	wrong_set("mem=4G", VM, "--set", "neither a variable nor a key");
	wrong_set("memory.sise=4G", VM, "--set", "unknown key 'sise'");
	wrong_set("memory", VM, "--set", "no NAME=");
	wrong_set("=4", VM, "--set", "no NAME=");
	wrong_set("memory..size=4", VM, "--set", "no key here");
	wrong_set("disk.x.path=/c", VM DISKS, "--set", "no entry with the id 'x'");
	wrong_set("disk.x.path=/c", VM, "--set", "no entry with the id 'x'");
	wrong_set("dir=/x", VM, "--set", "cannot be set");
	wrong_set("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1", VM, "--set", "more keys");
	wrong_set("name=\xff", VM, "--set", "byte 0xff is not UTF-8");
	wrong_set("name=\x1b[2J", VM, "--set", "a control character");
}

static void set__is_for_the_documents_that_know_it(void **state)
{
	const char *const sets[] = { "n=3" };
	const struct compose_extra x = { .sets = sets, .set_count = 1 };
	struct mfile *f;

	(void)state;
	extra = &x;
	f = load(none, VM "vars: {n: 1}\ncpus: ${n}\n---\nsill: 1\nname: b\nkernel: /k\n");
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->docs[0].m->cpus.boot, 3);
	assert_int_equal(f->docs[1].m->cpus.boot, 1);
	mfile_destroy(f);
	wrong(none, VM "vars: {m: 1}\ncpus: ${m}\n---\nsill: 1\nname: b\nkernel: /k\n", "--set", 1,
	      "neither a variable nor a key");
	extra = NULL;
}

static void set__is_for_the_files_that_know_it(void **state)
{
	const char *const sets[] = { "n=3", "sise=4", "cpus.max=8" };
	struct compose_many many = { 0 };
	const struct compose_extra x = { .sets = sets, .set_count = 3, .many = &many };
	struct src_text src[COMPOSE_SETS];
	struct diags d = { 0 };
	struct mfile *f;

	(void)state;
	extra = &x;
	f = load(none, VM);
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->docs[0].m->cpus.max, 8);
	mfile_destroy(f);
	compose_many_end(&x, src, &d);
	assert_int_equal(d.total, 2);
	diags_fini(&d);
	f = load(none, VM "vars: {n: 1, size: 1G}\ncpus: ${n}\nmemory: ${size}\n");
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->docs[0].m->cpus.boot, 3);
	mfile_destroy(f);
	extra = NULL;
	compose_many_end(&x, src, &d);
	assert_int_equal(d.total, 1);
	assert_string_equal(d.list[0].msg, "'sise' is neither a variable nor a key");
	assert_string_equal(d.list[0].at.src->name, "--set");
	assert_int_equal(d.list[0].at.width, 4);
	diags_fini(&d);
}

static void base__that_is_missing_is_named_as_it_was_tried(void **state)
{
	(void)state;
	wrong(none, "base: ../b/x.yaml\n" VM, "vms/web.yaml", 1,
	      "'vms/../b/x.yaml': cannot open it");
}

static void var_file__is_between_vars_and_set(void **state)
{
	static const char text[] = "m: 2G\nc: 5\nother: 1\n";
	const struct src_text file = { "v.yaml", text, sizeof(text) - 1, NULL };
	const char *const set = "c=6";
	const struct compose_extra x = {
		.files = &file, .file_count = 1, .sets = &set, .set_count = 1
	};

	(void)state;
	extra = &x;
	same(none, VM "vars: {m: 1G, c: }\nmemory: ${m}\ncpus: ${c}\n",
	     VM "cpus:\n  boot: 6\nmemory:\n  size: 2G\n");
	wrong(none, VM "vars: {m: 1G}\nmemory: ${m}\ncpus: ${c}\nrng: ${x}\n", "vms/web.yaml", 7,
	      "no variable 'x'");
	extra = NULL;
}

static void origins__are_the_lines_that_count(void **state)
{
	const struct file files[] = { { "vms/a.yaml", "sill: 1\nvars: {m: 1G}\nmemory: ${m}\n"
						      "kernel: /k\n" DISKS },
				      { NULL, NULL } };
	const char *const sets[] = { "cpus=3" };
	const struct compose_extra x = { .sets = sets, .set_count = 1 };
	struct mfile *f;
	char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	(void)state;
	extra = &x;
	f = load(files, "base: a.yaml\nname: web\ndisk:\n- {id: data, path: /c}\n");
	extra = NULL;
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(emit_origins(out, &f->check, f->docs[0].root), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(shown, "sill: 1  # vms/a.yaml:1\nname: web  # vms/web.yaml:2\n"));
	assert_non_null(strstr(shown, "cpus:\n  boot: 3  # --set\n  max: 3  # default\n"));
	assert_non_null(strstr(shown, "memory:\n  size: 1G  # vms/a.yaml:2\n"));
	assert_non_null(
		strstr(shown, "- path: /c  # vms/web.yaml:4\n  format: raw  # vms/a.yaml:7\n"));
	mfile_destroy(f);
	f = mfile_load_text("x", shown, size, NULL);
	assert_int_equal(f->diags.total, 0);
	mfile_destroy(f);
	free(shown);
}

/* Whoever states a group's limit: each has it, said where it is written, and it is not written anew. */
static void origins__of_a_groups_limit_are_who_states_it(void **state)
{
	static const char text[] =
		"sill: 1\nname: web\nkernel: /k\ndisk:\n"
		"- {path: /a, format: raw, rate_limit: {group: g}}\n"
		"- {path: /b, format: raw, rate_limit: {ops: 100, bandwidth: 1M, group: g}}\n"
		"- {path: /c, format: raw, rate_limit: {ops: 5, group: h}}\n"
		"net:\n"
		"- {none: on, rx_limit: {group: g}, tx_limit: {group: g, ops: 7}}\n";
	struct mfile *f = mfile_load_text("w.yaml", text, strlen(text), NULL);
	const struct sill_config *c = f->docs[0].m;
	char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	(void)state;
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(c->disk[0].rate_limit.ops, 100);
	assert_int_equal(c->disk[0].rate_limit.bandwidth, 1 << 20);
	assert_int_equal(c->disk[2].rate_limit.bandwidth, 0);
	assert_int_equal(c->net[0].rx_limit.ops, 7);
	assert_int_equal(emit_origins(out, &f->check, f->docs[0].root), 0);
	assert_int_equal(emit_yaml(out, &f->check, f->docs[0].root, EMIT_WRITTEN), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(shown, "bandwidth: 1M  # w.yaml:6\n    ops: 100  # w.yaml:6\n"
				      "    group: g  # w.yaml:5\n"));
	assert_non_null(strstr(shown, "rate_limit:\n    group: g\n"));
	mfile_destroy(f);
	free(shown);
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
		cmocka_unit_test(vars__are_what_they_are_where_they_are_given),
		cmocka_unit_test(vars__a_dollar_is_itself_where_it_means_nothing),
		cmocka_unit_test(vars__there_are_two_in_every_document),
		cmocka_unit_test(vars__of_a_base_are_changed_by_who_stands_on_it),
		cmocka_unit_test(vars__that_are_wrong_are_said),
		cmocka_unit_test(vars__do_not_grow_without_bound),
		cmocka_unit_test(vars__that_nobody_reads_are_warned_of),
		cmocka_unit_test(set__is_a_variable_or_a_key),
		cmocka_unit_test(set__is_said_where_it_is_wrong),
		cmocka_unit_test(set__is_for_the_documents_that_know_it),
		cmocka_unit_test(set__is_for_the_files_that_know_it),
		cmocka_unit_test(base__that_is_missing_is_named_as_it_was_tried),
		cmocka_unit_test(var_file__is_between_vars_and_set),
		cmocka_unit_test(origins__are_the_lines_that_count),
		cmocka_unit_test(origins__of_a_groups_limit_are_who_states_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
