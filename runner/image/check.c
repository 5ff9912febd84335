/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - sill image check: is an image sound; with --repair, make it so. */
#include <string.h>
#include <unistd.h>

#include "runner/image/image.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { LINES = 50 }; /* of findings that are printed; a damaged image has any number of them */

struct output {
	unsigned lines;
	bool quiet;
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

static int check(const char *path, enum sill_disk_format format, bool repair, bool json)
{
	struct output o = { .quiet = json };
	struct sill_image_checking how = {
		.path = path, .format = format, .repair = repair, .report = finding, .ctx = &o
	};
	struct sill_image_check r;
	struct sill_err e = { 0 };
	int failed;

	how.fd = image_open_file(path, repair, &e);
	if (how.fd < 0)
		return cmd_error(&e);
	failed = sill_image_check(&how, &r, &e);
	(void)close(how.fd);
	if (failed != 0)
		return cmd_error(&e);
	if (o.lines > LINES && !json)
		(void)fputs("... and more\n", stderr);
	if (json)
		failed = print_json(&how, &r);
	else
		print(&r);
	return failed == 0 && r.errors == 0 && r.leaks == 0 ? CMD_DONE : CMD_FAILED;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_check;
	enum sill_disk_format format;
	const char *word = NULL;
	bool repair = false, json = false;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &word },
		{ .name = "repair", .letter = 'r', .flag = &repair },
		{ .name = "json", .flag = &json },
	};
	/* clang-format on */
	int n = cmd_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed");
	/* What writes believes no header: a guest may have made it, in a raw disk. */
	if ((repair ? image_arg_format(v, "format", word, &format)
		    : image_arg_format_of(v, word, argv[1], &format)) < 0)
		return CMD_FAILED;
	return check(argv[1], format, repair, json);
}

const struct verb image_verb_check = {
	.name = "image check",
	.args = "[--format F] [--repair] [--json] FILE",
	.summary = "check an image, and repair it if wanted",
	.help = "qcow2: refcounts and flags against who uses what, bitmaps included; vhd: footer\n"
		"and block table; vhdx: headers, regions, log and block table. A repair frees\n"
		"nothing that anybody may need; what cannot be set right stays as it is.\n"
		"Exit status: 0 nothing is wrong (any more), 1 something is.\n"
		"\n"
		"  -f, --format F   qcow2, vhd or vhdx; to repair it must be given, else the "
		"header tells\n"
		"  -r, --repair     leaks and errors\n"
		"      --json       one object, named as qemu-img does; no findings in words\n",
	.run = run,
};
