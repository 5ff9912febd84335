/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - sill image create: a new, empty image. */
#include "runner/image/image.h"

static int create(const char *path, const struct sill_image_options *o, bool force)
{
	struct sill_err e = { 0 };
	struct newfile n = { .fd = -1, .held = -1 };
	int failed = newfile_open(&n, path, force, &e);

	if (failed == 0)
		failed = newfile_create(&n, o, &e);
	return newfile_end(&n, failed, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

static int run(int argc, char **argv)
{
	struct sill_image_options o = { 0 };
	struct image_words w = { 0 };
	const char *format = NULL, *size = NULL;
	bool force = false;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &format },
		{ .name = "size", .text = &size },
		{ .name = "force", .flag = &force },
		IMAGE_OPTIONS(w),
	};
	/* clang-format on */
	int n = cmd_options(&image_verb_create, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 2 && size == NULL)
		size = argv[2];
	else if (n != 1 || size == NULL)
		return cmd_usage(&image_verb_create, "one file and one size are needed");
	if (image_arg_format(&image_verb_create, "format", format, &o.format) < 0 ||
	    image_arg_size(&image_verb_create, "size", size, &o.size) < 0 ||
	    image_words_read(&image_verb_create, &w, &o) < 0)
		return CMD_FAILED;
	return create(argv[1], &o, force);
}

const struct verb image_verb_create = {
	.name = "image create",
	.args = "--format F [OPTION]... FILE SIZE",
	.summary = "make an empty image",
	.help = "FILE appears when it is whole; what is there already is not touched.\n"
		"SIZE has a unit, K M G or T, all powers of 1024: 20G.\n"
		"\n"
		"  -f, --format F           raw, qcow2, vhd or vhdx\n"
		"      --size SIZE          instead of the operand\n" IMAGE_OPTIONS_HELP
		"      --force              put it in the place of a file that is there\n"
		"\n"
		"An image on top of another: `sill image overlay`.\n",
	.run = run,
};
