/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - sill image map: what lies where.
 *
 * The output is that of qemu-img map; it may be long, so it is written as it
 * comes.
 */
#include <string.h>

#include "runner/image/verbs.h"
#include "runner/report/text.h"

struct output {
	const struct sill_image *image;
	bool json, any;
};

static const char *yes(bool v)
{
	return v ? "true" : "false";
}

static void print_json(struct output *o, const struct sill_image_extent *x)
{
	(void)printf("%s{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, "
		     "\"zero\": %s, \"data\": %s, \"compressed\": %s",
		     o->any ? ",\n" : "[", (unsigned long long)x->offset,
		     (unsigned long long)x->length, x->depth, yes(x->present), yes(x->zero),
		     yes(x->data), yes(x->compressed));
	if (x->has_place)
		(void)printf(", \"offset\": %llu", (unsigned long long)x->place);
	(void)putchar('}');
	o->any = true;
}

static void print_line(struct output *o, const struct sill_image_extent *x)
{
	const char *path = sill_image_data_path(o->image, x->depth);
	char name[300], place[32] = "compressed";

	if (!o->any)
		(void)printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
	o->any = true;
	if (!x->data || x->zero)
		return;
	if (x->has_place)
		(void)snprintf(place, sizeof(place), "%#llx", (unsigned long long)x->place);
	(void)printf("%-#16llx%-#16llx%-16s%s\n", (unsigned long long)x->offset,
		     (unsigned long long)x->length, place,
		     text_clean(name, sizeof(name), path, strlen(path)));
}

static void print(struct output *o, const struct sill_image_extent *x)
{
	if (o->json)
		print_json(o, x);
	else
		print_line(o, x);
}

static bool goes_on(const struct sill_image_extent *a, const struct sill_image_extent *b)
{
	return a->depth == b->depth && a->present == b->present && a->data == b->data &&
	       a->zero == b->zero && a->compressed == b->compressed &&
	       a->has_place == b->has_place && (!a->has_place || a->place + a->length == b->place);
}

static int map(struct sill_image *i, bool json, struct sill_err *e)
{
	struct output o = { .image = i, .json = json };
	struct sill_image_extent run = { 0 }, x;
	const uint64_t size = sill_image_size(i);

	for (uint64_t at = 0; at < size; at += x.length) {
		if (sill_image_extent(i, at, size - at, SILL_IMAGE_MAX_DEPTH, &x, e) < 0)
			return -1;
		if (run.length != 0 && goes_on(&run, &x)) {
			run.length += x.length;
			continue;
		}
		if (run.length != 0)
			print(&o, &run);
		run = x;
	}
	print(&o, &run);
	if (json)
		(void)puts("]");
	return 0;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_map;
	struct image_want want = { .follow = true };
	const char *format = NULL;
	struct sill_err e = { 0 };
	struct sill_image *i;
	bool json = false;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &format },
		{ .name = "json", .flag = &json },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0])), failed;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed");
	if (image_arg_format_of(v, "format", format, argv[1], &want.format) < 0)
		return CMD_FAILED;
	want.path = argv[1];
	i = image_open(&want, &e);
	if (i == NULL)
		return cmd_error(&e);
	failed = map(i, json, &e);
	sill_image_close(i);
	if (failed == 0 && fflush(stdout) != 0)
		failed = sill_err_set(&e, SILL_ERR_HOST, "the output could not be written");
	return failed == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_map = {
	.name = "image map",
	.args = "[--format F] [--json] FILE",
	.summary = "show where the data of an image lie, down its chain",
	.help = "  -f, --format F   " SILL_IMAGE_FORMATS "; without it the header tells (never "
		"raw)\n"
		"      --json       all extents, also zeroes and holes, as an array: 'depth' is "
		"how\n"
		"                   far down the chain, 'present' that an image there says so,\n"
		"                   'offset' where it lies in that image's file (or data file);\n"
		"                   with 'data' and 'zero' nothing was ever written there\n",
	.run = run,
};
