/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - sill image check: is an image sound; with --repair, make it so. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/image/verbs.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { LINES = 50 }; /* of findings that are printed; a damaged image has any number of them */

/* Exit statuses, those of qemu-img: scripts read them. CMD_DONE: nothing is wrong. */
enum {
	NOT_DONE = 1,  /* the check could not be done */
	CORRUPT = 2,   /* there are errors */
	LEAKING = 3,   /* there are leaks, which cost space only */
	NO_CHECK = 63, /* there is nothing to check in such an image, or we cannot */
};

/* What is to be repaired. */
enum repair { NOTHING, LEAKS, ALL };

struct output {
	unsigned lines;
	bool quiet;
};

struct wish {
	const char *format;
	bool json, quiet;
};

static void finding(void *ctx, const char *line)
{
	struct output *o = ctx;
	char clean[320];

	if (!o->quiet && o->lines < LINES)
		(void)fprintf(stderr, "%s\n", text_clean(clean, sizeof(clean), line, strlen(line)));
	o->lines++;
}

static double percent(uint64_t part, uint64_t of)
{
	return of == 0 ? 0 : (double)part * 100 / (double)of;
}

static void print(const struct sill_image_check *r)
{
	if (r->errors_fixed != 0 || r->leaks_fixed != 0)
		(void)printf("%llu errors and %llu leaked clusters were repaired.\n",
			     (unsigned long long)r->errors_fixed,
			     (unsigned long long)r->leaks_fixed);
	if (r->errors != 0)
		(void)printf("\n%llu errors were found on the image.\n"
			     "Data may be corrupt, or further writes to it may corrupt them.\n",
			     (unsigned long long)r->errors);
	if (r->leaks != 0)
		(void)printf("\n%llu leaked clusters were found on the image.\n"
			     "This means waste of disk space, but no harm to data.\n",
			     (unsigned long long)r->leaks);
	if (r->errors == 0 && r->leaks == 0)
		(void)puts("No errors were found on the image.");
	if (r->allocated != 0)
		(void)printf(
			"%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed "
			"clusters\n",
			(unsigned long long)r->allocated, (unsigned long long)r->clusters,
			percent(r->allocated, r->clusters), percent(r->fragmented, r->allocated),
			percent(r->compressed, r->allocated));
	(void)printf("Image end offset: %llu\n", (unsigned long long)r->end_offset);
}

static void set(json_t *o, const char *key, uint64_t v)
{
	(void)json_object_set_new(o, key, json_integer((json_int_t)v));
}

static int print_json(const struct sill_image_checking *how, const struct sill_image_check *r)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "filename", json_text(how->path));
	(void)json_object_set_new(o, "format", json_string(sill_image_format_name(how->format)));
	set(o, "check-errors", 0);
	set(o, "corruptions", r->errors);
	set(o, "leaks", r->leaks);
	set(o, "corruptions-fixed", r->errors_fixed);
	set(o, "leaks-fixed", r->leaks_fixed);
	set(o, "image-end-offset", r->end_offset);
	if (how->format == SILL_DISK_QCOW2) {
		set(o, "total-clusters", r->clusters);
		set(o, "allocated-clusters", r->allocated);
		set(o, "fragmented-clusters", r->fragmented);
		set(o, "compressed-clusters", r->compressed);
	}
	return json_print(stdout, o);
}

/* What is beyond us is neither sound nor damaged. 0, or -1 and @e. */
static int refuse_differencing(const struct sill_image_checking *how, struct sill_err *e)
{
	struct sill_image_info *info = calloc(1, sizeof(*info));
	struct sill_err unused = { 0 };
	int failed = 0;

	if (info != NULL && sill_image_info(how->fd, how->path, how->format, info, &unused) == 0 &&
	    info->differencing)
		failed = sill_err_set(
			e, SILL_ERR_LIMIT,
			"'%.150s' is made on top of another %s, which is not supported", how->path,
			sill_image_format_name(how->format));
	free(info);
	return failed;
}

/* Leaks alone are repaired only when there is nothing else: errors make it doubtful what is a leak. */
static int examine(struct sill_image_checking *how, enum repair repair, struct sill_image_check *r,
		   struct sill_err *e)
{
	how->repair = repair == ALL;
	if (sill_image_check(how, r, e) < 0)
		return -1;
	if (repair != LEAKS || r->errors != 0 || r->leaks == 0)
		return 0;
	how->repair = true;
	how->report = NULL; /* all is said */
	return sill_image_check(how, r, e);
}

static int check(const char *path, enum sill_disk_format format, enum repair repair,
		 const struct wish *w)
{
	struct output o = { .quiet = w->json || w->quiet };
	struct sill_image_checking how = {
		.path = path, .format = format, .report = finding, .ctx = &o
	};
	struct sill_image_check r;
	struct sill_err e = { 0 };
	int failed, status;

	how.fd = image_open_file(path, repair != NOTHING, &e);
	if (how.fd < 0) {
		(void)cmd_error(&e);
		return NOT_DONE;
	}
	failed = refuse_differencing(&how, &e);
	if (failed == 0)
		failed = examine(&how, repair, &r, &e);
	status = format == SILL_DISK_RAW || e.code == SILL_ERR_LIMIT ? NO_CHECK : NOT_DONE;
	(void)close(how.fd);
	if (failed != 0) {
		(void)cmd_error(&e);
		return status;
	}
	if (o.lines > LINES && !o.quiet)
		(void)fputs("... and more\n", stderr);
	if (w->json && print_json(&how, &r) < 0)
		return NOT_DONE;
	if (!w->json && !w->quiet)
		print(&r);
	return r.errors != 0 ? CORRUPT : r.leaks != 0 ? LEAKING : CMD_DONE;
}

/* Another program's image, without a format: nothing that we could check. */
static bool is_foreign(const char *path)
{
	struct sill_image_info *info = calloc(1, sizeof(*info));
	struct sill_err unused = { 0 };
	const bool is = info != NULL && image_look(path, NULL, info, &unused) == 0 &&
			info->foreign.kind > SILL_FOREIGN_OURS;

	free(info);
	return is;
}

static bool is_what(const char *word)
{
	return strcmp(word, "all") == 0 || strcmp(word, "leaks") == 0;
}

/* -rall, --repair=leaks: two words. @dst has room for twice as many. */
static int split(int argc, char **argv, char **dst)
{
	static const char *const joined[] = { "-r", "--repair=" };
	static char repair[] = "--repair";
	int n = 0;

	for (int i = 0; i < argc; i++) {
		const char *what = NULL;

		for (size_t k = 0; k < sizeof(joined) / sizeof(joined[0]); k++)
			if (strncmp(argv[i], joined[k], strlen(joined[k])) == 0 &&
			    is_what(argv[i] + strlen(joined[k])))
				what = joined[k];
		if (what != NULL)
			dst[n++] = repair;
		dst[n++] = argv[i] + (what != NULL ? strlen(what) : 0);
	}
	dst[n] = NULL;
	return n;
}

/*
 * What comes with --repair is an operand to the options: of two, the one that says what to repair. Takes it
 * out of @argv; returns how many are left.
 */
static int take_what(int n, char **argv, enum repair *repair)
{
	const int at = n == 2 && !is_what(argv[1]) ? 2 : 1;

	if (n != 2 || !is_what(argv[at]))
		return n;
	*repair = strcmp(argv[at], "leaks") == 0 ? LEAKS : ALL;
	argv[1] = argv[at == 1 ? 2 : 1];
	return 1;
}

static int run_split(int argc, char **argv)
{
	const struct verb *v = &image_verb_check;
	enum repair what = NOTHING;
	enum sill_disk_format format;
	struct wish w = { 0 };
	bool repair = false;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &w.format },
		{ .name = "repair", .letter = 'r', .flag = &repair },
		{ .name = "json", .flag = &w.json },
		{ .name = "quiet", .letter = 'q', .flag = &w.quiet },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : NOT_DONE;
	if (repair) {
		what = ALL;
		n = take_what(n, argv, &what);
	}
	if (n != 1)
		return cmd_usage(v, "one file is needed");
	/* What writes believes no header: a guest may have made it, in a raw disk. */
	if ((repair ? image_arg_format(v, "format", w.format, &format)
		    : image_arg_format_of(v, "format", w.format, argv[1], &format)) < 0)
		return w.format == NULL && is_foreign(argv[1]) ? NO_CHECK : NOT_DONE;
	return check(argv[1], format, what, &w);
}

static int run(int argc, char **argv)
{
	char **words = calloc(2 * (size_t)argc + 1, sizeof(*words));
	int ret = NOT_DONE;

	if (words != NULL)
		ret = run_split(split(argc, argv, words), words);
	else
		(void)cmd_usage(&image_verb_check, "no memory");
	free(words);
	return ret;
}

const struct verb image_verb_check = {
	.name = "image check",
	.args = "[--format F] [--repair [leaks|all]] [--json] FILE",
	.summary = "check an image, and repair it if wanted",
	.help = "qcow2: refcounts and flags against who uses what, bitmaps included; vhd: footer\n"
		"and block table; vhdx: headers, regions, log and block table. A repair frees\n"
		"nothing that anybody may need; what cannot be set right stays as it is.\n"
		"Exit status, as qemu-img has it: 0 nothing is wrong (any more), 1 it could not "
		"be\n"
		"checked, 2 there are errors, 3 there are leaks only, which cost space, 63 there\n"
		"is nothing to check in such an image, or it is beyond us.\n"
		"\n"
		"  -f, --format F   qcow2, vhd or vhdx; to repair it must be given, else the "
		"header tells\n"
		"  -r, --repair     leaks and errors; with 'leaks': those, if there are no errors\n"
		"  -q, --quiet      the exit status is all\n"
		"      --json       one object, named as qemu-img does; no findings in words\n",
	.run = run,
};
