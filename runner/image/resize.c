/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - sill image resize: a larger disk, or on request a smaller one. */
#include <errno.h>
#include <unistd.h>

#include "runner/image/verbs.h"

static int set_raw(struct image_self *s, uint64_t size, struct sill_err *e)
{
	if (ftruncate(s->fd, (off_t)size) == 0 && fsync(s->fd) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "'%.150s'", s->path);
	return image_self_size_hint(s, e);
}

static int copy(struct image_self *s, uint64_t size, struct sill_err *e)
{
	struct sill_image *from = image_self_open(s, false, -1, -1, e);
	int failed = from == NULL ? -1 : image_refuse_packed(from, size, e);

	if (failed == 0)
		failed = image_rewrite(s, from, size, "resize", e);
	sill_image_close(from);
	return failed;
}

static int grow(struct image_self *s, uint64_t size, struct sill_err *e)
{
	struct sill_image *i = image_self_open(s, true, -1, -1, e);

	if (i == NULL)
		return -1;
	if (sill_image_grow(i, size, e) == 0)
		return sill_image_finish(i, e);
	sill_image_close(i);
	return image_self_size_hint(s, e);
}

struct request {
	const char *path, *text, *data_file;
	enum sill_disk_format format;
	uint64_t size;
	bool shrink;
};

static int shrink(struct image_self *s, uint64_t size, struct sill_err *e)
{
	if (s->info.format == SILL_DISK_RAW)
		return set_raw(s, size, e);
	if (s->data_fd < 0)
		return copy(s, size, e);
	(void)sill_err_set(e, SILL_ERR_STATE,
			   "'%.120s' has its data in another file, and does not become smaller",
			   s->path);
	return sill_err_hint(e, "convert it, without a data file, and resize that");
}

/* Nothing is on a disk of 0 bytes, and no guest has a use for one: it is made anew. */
static int from_nothing(struct image_self *s, uint64_t size, struct sill_err *e)
{
	const struct sill_image_checking how = { .fd = s->fd,
						 .path = s->path,
						 .format = s->info.format };
	struct newfile n = { .fd = -1, .held = -1 };
	struct sill_image_check found = { 0 };
	int failed;

	if (s->info.format == SILL_DISK_RAW)
		return set_raw(s, size, e);
	/* A header may be damaged in just that field; that of vhd has a checksum. */
	if (s->info.format == SILL_DISK_QCOW2 && sill_image_check(&how, &found, e) < 0)
		return -1;
	if (found.errors != 0 || found.allocated != 0)
		return sill_err_set(e, SILL_ERR_HOST,
				    "'%.120s' says that its disk is empty, but there is data in it",
				    s->path);
	if (s->info.backing[0] != '\0' || s->info.has_data_file || s->info.snapshots != 0 ||
	    s->info.format == SILL_DISK_VHDX) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%.120s' is an empty disk", s->path);
		return sill_err_hint(e, "make it again, with the size it is to have");
	}
	failed = image_again(s, size, &n, e);
	return newfile_end(&n, failed, e);
}

/* +SIZE and -SIZE: from what it is. */
static int new_size(const struct request *r, uint64_t now, uint64_t *ret, struct sill_err *e)
{
	*ret = r->size;
	if (r->text[0] == '+' && __builtin_add_overflow(r->size, now, ret))
		return sill_err_set(e, SILL_ERR_LIMIT, "the size is too large");
	if (r->text[0] == '-' && (__builtin_sub_overflow(now, r->size, ret) || *ret == 0))
		return sill_err_set(e, SILL_ERR_STATE, "'%.120s' has only %llu bytes", r->path,
				    (unsigned long long)now);
	return 0;
}

static int resize(const struct request *r, struct sill_err *e)
{
	const char *path = r->path;
	uint64_t size = r->size;
	struct image_self s;
	int failed;

	if (r->format == SILL_DISK_RAW && image_check_raw(path, true, e) < 0)
		return -1;
	failed = image_self_init(&s, path, r->format, r->data_file, e);
	if (failed == 0)
		failed = new_size(r, s.info.size, &size, e);
	if (failed != 0) {
		image_self_fini(&s);
		return failed;
	}
	if (size < s.info.size && !r->shrink) {
		failed = sill_err_set(e, SILL_ERR_STATE,
				      "'%.120s' has %llu bytes: it would lose what is at its end",
				      path, (unsigned long long)s.info.size);
		(void)sill_err_hint(e, "--shrink, once the guest's partitions end before");
	} else if (size < s.info.size) {
		failed = shrink(&s, size, e);
	} else if (s.info.size == 0) {
		failed = from_nothing(&s, size, e);
	} else if (size > s.info.size) {
		failed = grow(&s, size, e);
	}
	image_self_fini(&s);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_resize;
	struct request r = { 0 };
	const char *word = NULL;
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &word },
		{ .name = "shrink", .flag = &r.shrink },
		{ .name = "data-file", .text = &r.data_file },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 2)
		return cmd_usage(v, "one file and one size are needed");
	if (image_arg_format(v, "format", word, &r.format) < 0 ||
	    image_arg_size(v, "size", argv[2] + (argv[2][0] == '+' || argv[2][0] == '-'), &r.size) <
		    0)
		return CMD_FAILED;
	r.path = argv[1];
	r.text = argv[2];
	return resize(&r, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_resize = {
	.name = "image resize",
	.args = "--format F [OPTION]... FILE [+|-]SIZE",
	.summary = "make the disk in an image larger, or smaller",
	.help = "What is new reads as zeroes. Images grow in place. What shrinks is copied and\n"
		"replaced, which needs the host's space for it; raw is cut. The guest's "
		"partitions\n"
		"are its own business: enlarge them afterwards, make them smaller before.\n"
		"\n"
		"  -f, --format F   " SILL_IMAGE_FORMATS "\n"
		"      --data-file FILE\n"
		"                   where the data are, if not in FILE itself; grows with it\n"
		"      --shrink     a smaller size is meant: what lies behind it is given up\n"
		"      +SIZE, -SIZE     so much more, or less, than now\n",
	.run = run,
};
