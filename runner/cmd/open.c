/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - load a manifest for a verb. */
#include "runner/cmd/open.h"

#include <string.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/report/text.h"

int open_kvm = -1;

/* The facts live as long as the program: the manifest borrows them. */
static const struct host_facts *facts(void)
{
	static struct host_facts host;
	static bool asked;

	if (asked)
		return &host;
	asked = true;
	/* How much memory is left is for the start itself to find out, which does so at once. */
	host_facts_get(&host, open_kvm);
	return &host;
}

struct opt_list open_sets, open_var_files;

static struct compose_many many;
static bool is_many;

void open_many(void)
{
	many = (struct compose_many){ 0 };
	is_many = true;
}

size_t open_many_end(json_t **ret)
{
	const struct compose_extra x = { .sets = open_sets.items,
					 .set_count = open_sets.count,
					 .many = &many };
	struct src_text src[COMPOSE_SETS];
	struct diags d = { 0 };
	size_t count;

	is_many = false;
	compose_many_end(&x, src, &d);
	count = d.total;
	if (ret != NULL)
		*ret = diags_json(&d);
	else
		diags_print(stderr, &d, colour_wanted(stderr));
	diags_fini(&d);
	return count;
}

const struct compose_extra *open_extra(void)
{
	static struct arena arena; /* as long as the program */
	static struct src_text
		files[sizeof(open_var_files.items) / sizeof(open_var_files.items[0])];
	static struct compose_extra extra;
	static struct source s;

	extra.many = is_many ? &many : NULL;
	extra.files = files;
	extra.sets = open_sets.items;
	extra.set_count = open_sets.count;
	/* Each is read once: it may be a pipe. */
	while (extra.file_count < open_var_files.count) {
		struct diags d = { 0 };
		const int ret = source_read(&s, open_var_files.items[extra.file_count], &arena, &d);

		if (ret < 0)
			diags_print(stderr, &d, colour_wanted(stderr));
		diags_fini(&d);
		if (ret < 0)
			return NULL;
		files[extra.file_count++] = s.src;
	}
	return &extra;
}

void open_choose(char *operand, const char **ret_name)
{
	char *mark = strrchr(operand, '#');

	if (mark == NULL || mark == operand || mark[1] == '\0' || *ret_name != NULL ||
	    access(operand, F_OK) == 0)
		return;
	*mark = '\0';
	*ret_name = mark + 1;
}

static int no_such_vm(const struct mfile *f, const char *name)
{
	const char *names[SOURCE_DOCS];

	for (size_t i = 0; i < f->count; i++)
		names[i] = f->docs[i].m->name;
	text_say(stderr, "sill: no VM named '%s' in '%s'", name, f->source.src.name);
	(void)fputs("   hint: it has ", stderr);
	for (size_t i = 0; i < f->count; i++)
		(void)fprintf(stderr, "%s'%s'", i > 0 ? ", " : "", names[i]);
	(void)fputc('\n', stderr);
	return CMD_FAILED;
}

static int take(struct mfile *f, const char *name, struct mfile **ret_f)
{
	int ret = CMD_DONE;

	if (f == NULL) {
		(void)fputs("sill: no memory\n", stderr);
		return CMD_FAILED;
	}
	if (f->diags.total > 0) {
		diags_print(stderr, &f->diags, colour_wanted(stderr));
		ret = f->source.unreadable ? CMD_FAILED : CMD_MANIFEST;
	} else if (name != NULL && mfile_find(f, name) == NULL) {
		ret = no_such_vm(f, name);
	}
	if (ret == CMD_DONE)
		*ret_f = f;
	else
		mfile_destroy(f);
	return ret;
}

int cmd_open(const char *path, const char *name, bool ask_host, struct mfile **ret_f)
{
	const struct mfile_how how = { .host = ask_host ? facts() : NULL, .extra = open_extra() };

	if (how.extra == NULL)
		return CMD_FAILED;
	return take(mfile_read(path, &how), name, ret_f);
}

struct mfile *open_quietly(const char *path)
{
	const struct mfile_how how = { .host = facts(), .extra = open_extra() };

	return how.extra != NULL ? mfile_read(path, &how) : NULL;
}

int cmd_open_text(const char *path, const char *text, size_t size, struct mfile **ret_f)
{
	const int ret = take(mfile_load_text(path, text, size, facts()), NULL, ret_f);

	if (ret != CMD_DONE || (*ret_f)->count == 1)
		return ret;
	text_say(stderr, "sill: '%s' is not of one VM", path);
	mfile_destroy(*ret_f);
	return CMD_FAILED;
}
