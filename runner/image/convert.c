/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c - sill image convert: the same disk in another format. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/image/verbs.h"

struct request {
	struct image_want in;
	const char *out;
	struct sill_image_options options;
	struct image_access access; /* of all that is read */
	unsigned workers;
	bool force, quiet, compress;
	/* qemu-img's: OUT is there; in any order, as we always do; what is too short to be a hole */
	bool target_is_there, out_of_order;
	const char *sparse;
};

/* Takes @fd. */
static int copy_into(const struct request *r, struct sill_image *from, int fd, bool is_new,
		     struct sill_err *e)
{
	struct sill_image_source s = { .fd = fd, .path = r->out, .format = r->options.format };
	struct image_progress bar = { .what = "convert", .quiet = r->quiet };
	struct sill_image_copy c = { .from = from,
				     .is_new = is_new,
				     .compress = r->compress,
				     .workers = r->workers,
				     .progress = image_progress,
				     .ctx = &bar };
	int failed;

	c.to = sill_image_open(&s, e);
	if (c.to == NULL)
		return -1;
	if (sill_image_size(c.to) < sill_image_size(from)) {
		sill_image_close(c.to);
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is smaller than the disk", r->out);
	}
	failed = sill_image_copy(&c, e);
	image_progress_end(&bar);
	if (failed == 0)
		return sill_image_finish(c.to, e);
	sill_image_close(c.to);
	return failed;
}

static int to_file(struct request *r, struct sill_image *from, struct sill_err *e)
{
	struct newfile n = { .fd = -1, .held = -1 };
	int failed = newfile_open(&n, r->out, r->force, &r->access, e);

	r->options.size = sill_image_size(from);
	if (failed == 0)
		failed = newfile_create(&n, &r->options, e);
	if (failed == 0)
		failed = copy_into(r, from, fcntl(n.fd, F_DUPFD_CLOEXEC, 0), true, e);
	return newfile_end(&n, failed, e);
}

/* What it held before is lost as soon as we begin: there is no other place. */
static int to_device(struct request *r, struct sill_image *from, struct sill_err *e)
{
	int fd;

	if (r->options.format != SILL_DISK_RAW || !(r->force || r->target_is_there)) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is a block device", r->out);
		return sill_err_hint(e, "--to raw --force overwrites it");
	}
	fd = image_open_file(r->out, true, e);
	return fd < 0 ? -1 : copy_into(r, from, fd, false, e);
}

static int convert(struct request *r, struct sill_err *e)
{
	struct sill_image *from;
	struct stat st;
	int failed;

	image_catch_signals();
	r->in.access = &r->access;
	if (r->in.format == SILL_DISK_RAW && image_check_raw(r->in.path, r->force, e) < 0)
		return -1;
	from = image_open(&r->in, e);
	if (from == NULL)
		return -1;
	if (stat(r->out, &st) == 0 && S_ISBLK(st.st_mode))
		failed = to_device(r, from, e);
	else if (r->target_is_there)
		failed = sill_err_set(e, SILL_ERR_STATE,
				      "-n is for block devices: a file is made anew");
	else
		failed = to_file(r, from, e);
	if (failed == 0)
		image_tell_lost(from, r->in.path, r->out);
	sill_image_close(from);
	return failed;
}

/* -S 0: no holes. Other sizes are a grain that is ours to choose. */
static int read_sparse(const struct verb *v, struct request *r)
{
	uint64_t n;

	if (r->sparse == NULL)
		return 0;
	if (strcmp(r->sparse, "0") != 0)
		return image_arg_size(v, "-S", r->sparse, &n);
	r->options.fixed =
		r->options.format == SILL_DISK_VHD || r->options.format == SILL_DISK_VHDX;
	r->options.prealloc = SILL_PREALLOC_FULL;
	return 0;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_convert;
	const char *from = NULL, *to = NULL, *workers = NULL;
	struct image_words w = { 0 };
	struct request r = { 0 };
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "from", .letter = 'f', .text = &from },
		{ .name = "to", .letter = 'O', .text = &to },
		{ .name = "chain", .flag = &r.in.follow },
		{ .name = "salvage", .flag = &r.in.salvage },
		{ .name = "workers", .letter = 'm', .text = &workers },
		{ .name = "force", .flag = &r.force },
		{ .name = "quiet", .letter = 'q', .flag = &r.quiet },
		{ .name = "compress", .letter = 'c', .flag = &r.compress },
		{ .name = "out-of-order", .letter = 'W', .flag = &r.out_of_order },
		{ .name = "target-is-there", .letter = 'n', .flag = &r.target_is_there },
		{ .name = "sparse-size", .letter = 'S', .text = &r.sparse },
		IMAGE_OPTIONS(w),
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 2)
		return cmd_usage(v, "two files are needed: IN and OUT");
	if (image_arg_format(v, "from", from, &r.in.format) < 0 ||
	    image_arg_format(v, "to", to, &r.options.format) < 0 ||
	    image_words_read(v, &w, &r.options) < 0 || read_sparse(v, &r) < 0 ||
	    (workers != NULL && image_arg_number(v, "workers", workers, 16, &r.workers) < 0))
		return CMD_FAILED;
	if (r.compress && r.options.format != SILL_DISK_QCOW2)
		return cmd_usage(v, "--compress is for qcow2");
	if (r.compress && r.options.prealloc != SILL_PREALLOC_OFF)
		return cmd_usage(v, "what is compressed cannot be preallocated");
	r.in.path = argv[1];
	r.out = argv[2];
	return convert(&r, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_convert = {
	.name = "image convert",
	.args = "--from F --to F [OPTION]... IN OUT",
	.summary = "copy an image into another format",
	.help = "OUT appears when it is whole and on the medium: an error or a signal on the way\n"
		"leaves nothing of it, and what was there before with --force. What reads as\n"
		"zeroes takes no space in OUT, unless it is preallocated or fixed. A block device\n"
		"is overwritten in place, with --to raw --force.\n"
		"\n"
		"  -f, --from F             " SILL_IMAGE_FORMATS "\n"
		"  -O, --to F               likewise\n"
		"      --chain              IN is made on top of other images, or has its data in\n"
		"                           another file: read those that its header names, too\n"
		"  -c, --compress           qcow2: clusters that get smaller by it; what is "
		"written\n"
		"                           later is not\n"
		"      --salvage            IN is damaged: copy what can be read, and say which "
		"bytes are\n"
		"                           lost; they are zeroes in OUT\n"
		"  -m, --workers N          threads, 1 to 8 (two per processor, at least 4)\n"
		"  -q, --quiet              no progress bar on a terminal\n"
		"      --force              put OUT in the place of a file that is there; take a "
		"raw IN\n"
		"                           as it is that looks like a packed file or an image of\n"
		"                           another program\n"
		"\n" IMAGE_OPTIONS_HELP,
	.run = run,
};
