/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - sill image resize: a larger disk, or on request a smaller one. */
#include <errno.h>
#include <unistd.h>

#include "runner/image/image.h"

static int shrink_raw(struct image_self *s, uint64_t size, struct sill_err *e)
{
	if (ftruncate(s->fd, (off_t)size) == 0 && fsync(s->fd) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "'%.150s'", s->path);
	return image_self_size_hint(s, e);
}

static int copy(struct image_self *s, uint64_t size, struct sill_err *e)
{
	struct sill_image *from = image_self_open(s, false, -1, e);
	int failed = from == NULL ? -1 : image_rewrite(s, from, size, "resize", e);

	sill_image_close(from);
	return failed;
}

static int grow(struct image_self *s, uint64_t size, struct sill_err *e)
{
	struct sill_image *i = image_self_open(s, true, -1, e);

	if (i == NULL)
		return -1;
	if (sill_image_grow(i, size, e) == 0)
		return sill_image_finish(i, e);
	sill_image_close(i);
	return image_self_size_hint(s, e);
}

static int resize(const char *path, enum sill_disk_format format, const char *text, uint64_t size,
		  bool shrink, struct sill_err *e)
{
	struct image_self s;
	int failed = image_self_init(&s, path, format, e);

	if (failed == 0 && text[0] == '+' && __builtin_add_overflow(size, s.info.size, &size))
		failed = sill_err_set(e, SILL_ERR_LIMIT, "the size is too large");
	if (failed != 0) {
		image_self_fini(&s);
		return failed;
	}
	if (size < s.info.size && !shrink) {
		failed = sill_err_set(e, SILL_ERR_STATE,
				      "'%.120s' has %llu bytes: it would lose what is at its end",
				      path, (unsigned long long)s.info.size);
		(void)sill_err_hint(e, "--shrink, once the guest's partitions end before");
	} else if (size < s.info.size) {
		failed = format == SILL_DISK_RAW ? shrink_raw(&s, size, e) : copy(&s, size, e);
	} else if (size > s.info.size) {
		failed = grow(&s, size, e);
	}
	image_self_fini(&s);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_resize;
	enum sill_disk_format format;
	const char *word = NULL;
	struct sill_err e = { 0 };
	bool shrink = false;
	uint64_t size;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &word },
		{ .name = "shrink", .flag = &shrink },
	};
	/* clang-format on */
	int n = cmd_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 2)
		return cmd_usage(v, "one file and one size are needed");
	if (image_arg_format(v, "format", word, &format) < 0 ||
	    image_arg_size(v, "size", argv[2] + (argv[2][0] == '+'), &size) < 0)
		return CMD_FAILED;
	return resize(argv[1], format, argv[2], size, shrink, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_resize = {
	.name = "image resize",
	.args = "--format F [--shrink] FILE [+]SIZE",
	.summary = "make the disk in an image larger, or smaller",
	.help = "What is new reads as zeroes. Images grow in place. What shrinks is copied and\n"
		"replaced, which needs the host's space for it; raw is cut. The guest's "
		"partitions\n"
		"are its own business: enlarge them afterwards, make them smaller before.\n"
		"\n"
		"  -f, --format F   raw, qcow2, vhd or vhdx\n"
		"      --shrink     a smaller size is meant: what lies behind it is given up\n"
		"      +SIZE        so much more than now\n",
	.run = run,
};
