/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - sill image create: a new, empty image. */
#include <string.h>

#include "runner/image/verbs.h"

static int create(const char *path, const struct sill_image_options *o, bool force)
{
	struct sill_err e = { 0 };
	struct newfile n = { .fd = -1, .held = -1 };
	int failed = newfile_open(&n, path, force, NULL, &e);

	if (failed == 0)
		failed = newfile_create(&n, o, &e);
	return newfile_end(&n, failed, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

/* -b BASE is meant from where the new image is, as in its header. */
static const char *base_path(const char *path, const char *base, char dst[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || base[0] == '/')
		return base;
	if (snprintf(dst, PATH_MAX, "%.*s/%s", (int)(slash - path), path, base) >= PATH_MAX)
		return base; /* which is not there, and so will be said */
	return dst;
}

/* -b is how qemu-img asks for an overlay: the same words to that verb. */
static int overlay(const char *path, const struct image_words *w, const char *size, bool force)
{
	static char verb[] = "overlay", end[] = "--", forced[] = "--force", sub[] = "--subclusters",
		    lazy[] = "--lazy-refcounts";
	const struct {
		const char *option, *text;
	} words[] = {
		{ "--base-format", w->backing_format },
		{ "--size", size },
		{ "--cluster-size", w->block },
		{ "--preallocation", w->prealloc },
		{ "--compat", w->compat },
		{ "--refcount-bits", w->refcount_bits },
		{ "--compression-type", w->compression },
	};
	char base[PATH_MAX], *argv[2 * sizeof(words) / sizeof(words[0]) + 8];
	int n = 0;

	argv[n++] = verb;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].text != NULL) {
			argv[n++] = (char *)(uintptr_t)words[i].option;
			argv[n++] = (char *)(uintptr_t)words[i].text;
		}
	if (w->subclusters)
		argv[n++] = sub;
	if (w->lazy)
		argv[n++] = lazy;
	if (force)
		argv[n++] = forced;
	argv[n++] = end;
	argv[n++] = (char *)(uintptr_t)base_path(path, w->backing, base);
	argv[n++] = (char *)(uintptr_t)path;
	argv[n] = NULL;
	return image_verb_overlay.run(n, argv);
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_create;
	struct sill_image_options o = { 0 };
	struct image_words w = { 0 };
	const char *format = NULL, *size = NULL, *base = NULL, *base_format = NULL;
	bool force = false;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &format },
		{ .name = "size", .text = &size },
		{ .name = "force", .flag = &force },
		{ .name = "backing", .letter = 'b', .text = &base },
		{ .name = "backing-format", .letter = 'F', .text = &base_format },
		IMAGE_OPTIONS(w),
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (image_words_o(v, &w) < 0)
		return CMD_FAILED;
	w.qemu = NULL; /* done */
	w.backing = base != NULL ? base : w.backing;
	w.backing_format = base_format != NULL ? base_format : w.backing_format;
	size = size != NULL ? size : w.size;
	w.size = NULL;
	if (n == 2 && size == NULL)
		size = argv[2];
	else if (n != 1 || (size == NULL && w.backing == NULL))
		return cmd_usage(v, "one file and one size are needed");
	if (format == NULL && w.backing == NULL)
		return image_arg_format(v, "format", format, &o.format), CMD_FAILED;
	if (format != NULL && image_arg_format(v, "format", format, &o.format) < 0)
		return CMD_FAILED;
	if (w.backing != NULL && format != NULL && o.format != SILL_DISK_QCOW2)
		return cmd_usage(v, "only qcow2 is made on top of another image");
	if (w.backing != NULL)
		return overlay(argv[1], &w, size, force);
	if (image_arg_size(v, "size", size, &o.size) < 0 || image_words_read(v, &w, &o) < 0)
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
		"  -f, --format F           " SILL_IMAGE_FORMATS "\n"
		"      --size SIZE          instead of the operand\n" IMAGE_OPTIONS_HELP
		"      --force              put it in the place of a file that is there\n"
		"\n"
		"An image on top of another: `sill image overlay`.\n",
	.run = run,
};
