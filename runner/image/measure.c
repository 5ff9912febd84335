/* SPDX-License-Identifier: Apache-2.0 */
/* measure.c - sill image measure: how large will an image be, before it is made? */
#include <errno.h>
#include <stdlib.h>

#include "runner/image/verbs.h"
#include "runner/report/json.h"

struct request {
	struct image_want in; /* path NULL: a new disk of options.size bytes */
	struct sill_image_options options;
	bool json;
	bool says_bitmaps; /* IN and the new image are of a kind that can have some, and IN has none */
};

static int print(const struct request *r, const struct sill_image_measure *m)
{
	json_t *o;

	if (!r->json) {
		(void)printf("required size: %llu\nfully allocated size: %llu\n",
			     (unsigned long long)m->required, (unsigned long long)m->full);
		if (r->says_bitmaps)
			(void)puts("bitmaps size: 0");
		return 0;
	}
	o = json_object();
	(void)json_object_set_new(o, "required", json_integer((json_int_t)m->required));
	(void)json_object_set_new(o, "fully-allocated", json_integer((json_int_t)m->full));
	if (r->says_bitmaps)
		(void)json_object_set_new(o, "bitmaps", json_integer(0));
	return json_print(stdout, o);
}

static int look(struct request *r, struct sill_err *e)
{
	struct sill_image_info *info;
	int failed;

	if (r->in.format != SILL_DISK_QCOW2 || r->options.format != SILL_DISK_QCOW2 ||
	    r->options.version == 2)
		return 0;
	info = calloc(1, sizeof(*info));
	if (info == NULL)
		return sill_err_sys(e, ENOMEM, "measure");
	failed = image_look(r->in.path, &r->in.format, info, e);
	r->says_bitmaps = info->version == 3 && !info->has_bitmaps;
	free(info);
	return failed;
}

static int measure(struct request *r, struct sill_err *e)
{
	struct sill_image *from = NULL;
	struct sill_image_measure m;
	int failed;

	if (r->in.path != NULL) {
		if (r->in.format == SILL_DISK_RAW && image_check_raw(r->in.path, true, e) < 0)
			return -1;
		from = image_open(&r->in, e);
		if (from == NULL || look(r, e) < 0) {
			sill_image_close(from);
			return -1;
		}
	}
	failed = sill_image_measure(&r->options, from, &m, e);
	sill_image_close(from);
	if (failed == 0 && print(r, &m) < 0)
		failed = sill_err_set(e, SILL_ERR_HOST, "the output could not be written");
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_measure;
	const char *format = NULL, *to = NULL, *size = NULL;
	struct request r = { .in = { .follow = true } };
	struct image_words w = { 0 };
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "to", .letter = 'O', .text = &to },
		{ .name = "format", .letter = 'f', .text = &format },
		{ .name = "size", .text = &size },
		{ .name = "json", .flag = &r.json },
		IMAGE_OPTIONS(w),
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != (size == NULL ? 1 : 0))
		return cmd_usage(v, "either one file or --size is needed");
	if (image_arg_format(v, "to", to, &r.options.format) < 0 ||
	    image_words_read(v, &w, &r.options) < 0 ||
	    (size != NULL && image_arg_size(v, "size", size, &r.options.size) < 0) ||
	    (size == NULL && image_arg_format_of(v, "format", format, argv[1], &r.in.format) < 0))
		return CMD_FAILED;
	r.in.path = size == NULL ? argv[1] : NULL;
	return measure(&r, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_measure = {
	.name = "image measure",
	.args = "--to F [OPTION]... FILE | --size SIZE",
	.summary = "tell how large the file of an image will be",
	.help = "The image that `sill image convert --chain` would make of FILE, or a new one of\n"
		"SIZE. Required is what it takes at most when it is made, without compression;\n"
		"fully allocated, once the guest has written everywhere.\n"
		"\n"
		"  -O, --to F               " SILL_IMAGE_FORMATS "\n"
		"  -f, --format F           of FILE; without it the header tells (never raw)\n"
		"      --size SIZE          instead of FILE\n"
		"      --json               one object, named as qemu-img does\n"
		"\n" IMAGE_OPTIONS_HELP,
	.run = run,
};
