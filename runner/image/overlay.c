/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c - sill image overlay: a qcow2 image on top of another. */
#include "runner/image/verbs.h"

struct request {
	const char *base, *new;
	enum sill_disk_format base_format;
	struct sill_image_options options;
	bool force;
};

static int make(const struct request *r, struct sill_err *e)
{
	struct newfile n = { .fd = -1, .held = -1 };
	int failed = newfile_open(&n, r->new, r->force, NULL, e);

	if (failed == 0)
		failed = newfile_create(&n, &r->options, e);
	return newfile_end(&n, failed, e);
}

static int overlay(struct request *r, struct sill_err *e)
{
	const struct image_want want = {
		.path = r->base, .format = r->base_format, .follow = true, .above = r->new
	};
	struct sill_image *base;
	char name[PATH_MAX];
	int failed = -1;

	if (r->base_format == SILL_DISK_RAW && image_check_raw(r->base, true, e) < 0)
		return -1;
	base = image_open(&want, e); /* it has to be good for something */
	if (base != NULL && image_header_name(r->new, r->base, name, e) == 0) {
		r->options.format = SILL_DISK_QCOW2;
		r->options.backing = name;
		r->options.backing_format = r->base_format;
		if (r->options.size == 0)
			r->options.size = sill_image_size(base);
		failed = make(r, e);
	}
	sill_image_close(base);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_overlay;
	const char *format = NULL, *size = NULL;
	struct image_words w = { 0 };
	struct request r = { 0 };
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "base-format", .letter = 'F', .text = &format },
		{ .name = "size", .text = &size },
		{ .name = "force", .flag = &r.force },
		IMAGE_OPTIONS(w),
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 2)
		return cmd_usage(v, "two files are needed: BASE and NEW");
	if (image_arg_base_format(v, "base-format", format, &r.base_format) < 0 ||
	    (size != NULL && image_arg_size(v, "size", size, &r.options.size) < 0) ||
	    image_words_read(v, &w, &r.options) < 0)
		return CMD_FAILED;
	r.base = argv[1];
	r.new = argv[2];
	return overlay(&r, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_overlay = {
	.name = "image overlay",
	.args = "--base-format F [OPTION]... BASE NEW",
	.summary = "make a qcow2 image that holds only what differs from another",
	.help = "From then on BASE must not change: whoever writes to it spoils NEW. A relative\n"
		"BASE is meant from the current directory. It is written into NEW as it is when "
		"NEW\n"
		"is a name without '/', else as an absolute path: names in an image are meant "
		"from\n"
		"the directory that the image is in.\n"
		"\n"
		"  -F, --base-format F      raw or qcow2\n"
		"      --size SIZE          another size than BASE has\n"
		"      --cluster-size N, --subclusters, --compat V, --refcount-bits N\n"
		"                           as for `sill image create`\n"
		"      --force              put it in the place of a file that is there\n",
	.run = run,
};
