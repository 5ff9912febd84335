/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebase.c - sill image rebase: an overlay on top of another image than before.
 *
 * What the two images below have in common stays below; what differs, and the
 * overlay does not hide, is written into the overlay, as it was. That is on the
 * medium before the header names the new one, and changes nothing with the old
 * one below: however it ends, the overlay reads as before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/chain.h"
#include "runner/image/verbs.h"

enum { PIECE = 1024 * 1024 };

struct job {
	struct image_self self;
	struct sill_image *top, *old, *new; /* owned; old and new NULL: there is none */
	uint8_t *a, *b;                     /* owned: PIECE each */
	uint32_t grain;                     /* what the overlay can hide a piece of */
};

/* @n bytes of what is below; zeroes behind its end. */
static int read_below(struct sill_image *i, uint8_t *p, size_t n, uint64_t off, struct sill_err *e)
{
	const uint64_t end = i != NULL ? sill_image_size(i) : 0;
	const size_t there = off >= end ? 0 : n < end - off ? n : (size_t)(end - off);

	memset(p + there, 0, n - there);
	return there == 0 ? 0 : sill_image_read(i, p, there, off, e);
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* A run of pieces that differ. */
static int keep(struct job *j, uint64_t off, const uint8_t *p, size_t n, struct sill_err *e)
{
	/* An image on top of nothing has no way to say "zeroes": nothing is what it says then. */
	if (j->old != NULL && is_zero(p, n))
		return sill_image_zero(j->top, off, n, true, e);
	return sill_image_write(j->top, p, n, off, e);
}

static int keep_piece(struct job *j, uint64_t off, size_t n, struct sill_err *e)
{
	size_t from = 0, at = 0;

	if (read_below(j->old, j->a, n, off, e) < 0 || read_below(j->new, j->b, n, off, e) < 0)
		return -1;
	while (at < n) {
		const size_t grain = n - at < j->grain ? n - at : j->grain;

		if (memcmp(j->a + at, j->b + at, grain) == 0) {
			if (at > from && keep(j, off + from, j->a + from, at - from, e) < 0)
				return -1;
			from = at + grain;
		}
		at += grain;
	}
	return n > from ? keep(j, off + from, j->a + from, n - from, e) : 0;
}

/* How far from @off on is nothing below, if anything; 0: there may be data. */
static int zero_run(struct sill_image *i, uint64_t off, uint64_t n, uint64_t *ret,
		    struct sill_err *e)
{
	struct sill_image_extent x;

	*ret = n;
	if (i == NULL || off >= sill_image_size(i))
		return 0;
	if (n > sill_image_size(i) - off)
		n = sill_image_size(i) - off;
	if (sill_image_extent(i, off, n, SILL_IMAGE_MAX_DEPTH, &x, e) < 0)
		return -1;
	*ret = x.zero ? x.length : 0;
	return 0;
}

static int keep_run(struct job *j, uint64_t off, uint64_t end, struct sill_err *e)
{
	while (off < end) {
		uint64_t a, b, n = end - off;

		if (zero_run(j->old, off, n, &a, e) < 0 || zero_run(j->new, off, n, &b, e) < 0)
			return -1;
		if (a != 0 && b != 0) {
			off += a < b ? a : b;
			continue;
		}
		n = PIECE - off % PIECE;
		n = n < end - off ? n : end - off;
		if (keep_piece(j, off, (size_t)n, e) < 0)
			return -1;
		off += n;
	}
	return 0;
}

static int keep_all(struct job *j, struct sill_err *e)
{
	const uint64_t size = sill_image_size(j->top);
	struct image_progress bar = { .what = "rebase" };
	struct sill_image_extent x;
	int failed = 0;

	for (uint64_t at = 0; at < size && failed == 0; at += x.length) {
		/* Pieces, so that a signal does not have to wait long. */
		const uint64_t n = size - at < 64 * PIECE ? size - at : 64 * PIECE;

		failed = sill_image_extent(j->top, at, n, 0, &x, e);
		if (failed == 0 && !image_progress(&bar, at, size))
			failed = sill_err_set(e, SILL_ERR_STATE, "interrupted");
		if (failed == 0 && !x.present)
			failed = keep_run(j, at, at + x.length, e);
	}
	image_progress_end(&bar);
	return failed;
}

static int as_before(const struct job *j, struct sill_err *e)
{
	if (e->code == SILL_ERR_HOST)
		(void)sill_err_hint(e, "'%.120s' reads as before, on top of what it was",
				    j->self.path);
	return -1;
}

/* The overlay is on the medium then, and closed in any case. */
static int write_top(struct job *j, struct sill_err *e)
{
	int failed = keep_all(j, e);

	if (failed == 0)
		failed = sill_image_finish(j->top, e);
	else
		sill_image_close(j->top);
	return failed == 0 ? 0 : as_before(j, e);
}

/* Everything that has to be open for a rebase that keeps the contents. */
static int prepare(struct job *j, const struct image_want *base, struct sill_err *e)
{
	j->grain =
		j->self.info.subclusters ? j->self.info.block_size / 32 : j->self.info.block_size;
	j->grain = j->grain < PIECE ? j->grain : PIECE;
	j->a = malloc(PIECE);
	j->b = malloc(PIECE);
	if (j->a == NULL || j->b == NULL)
		return sill_err_sys(e, ENOMEM, "rebase");
	j->top = image_self_open(&j->self, true, -1, -1, e);
	if (j->top == NULL || image_open_below(j->self.path, &j->self.info, -1, -1, &j->old, e) < 0)
		return -1;
	if (base->path == NULL)
		return 0;
	j->new = image_open(base, e);
	return j->new == NULL ? -1 : 0;
}

static int contents(struct job *j, const struct image_want *base, struct sill_err *e)
{
	int failed = prepare(j, base, e);

	if (failed != 0)
		sill_image_close(j->top);
	else
		failed = write_top(j, e);
	sill_image_close(j->old);
	sill_image_close(j->new);
	free(j->a);
	free(j->b);
	return failed;
}

static int name_it(const struct job *j, const char *name, enum sill_disk_format format,
		   struct sill_err *e)
{
	if (sill_image_set_backing(j->self.fd, j->self.path, name, format, e) == 0)
		return 0;
	return as_before(j, e);
}

static int rebase(const char *path, const struct image_want *base, const char *data_file,
		  bool unsafe, struct sill_err *e)
{
	struct job j = { .self = { .fd = -1, .data_fd = -1 } };
	char name[PATH_MAX];
	int failed;

	if (base->path != NULL && base->format == SILL_DISK_RAW && !unsafe &&
	    image_check_raw(base->path, true, e) < 0)
		return -1;
	failed = image_self_init(&j.self, path, SILL_DISK_QCOW2, data_file, e);
	/* All of such a disk is in the data file, for others to read without us. */
	if (failed == 0 && j.self.info.data_raw && base->path != NULL)
		failed = sill_err_set(e, SILL_ERR_STATE,
				      "'%.100s' has a raw data file: there is nothing below that",
				      path);

	if (failed == 0 && base->path != NULL)
		failed = chain_check_loop(path, base->path, base->path, e);
	if (failed == 0 && base->path != NULL)
		failed = image_header_name(path, base->path, name, e);
	if (failed == 0 && !unsafe)
		failed = contents(&j, base, e);
	if (failed == 0)
		failed = name_it(&j, base->path != NULL ? name : NULL, base->format, e);
	image_self_fini(&j.self);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_rebase;
	struct image_want base = { .follow = true };
	bool unsafe = false, none = false;
	const char *format = NULL, *data_file = NULL;
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "backing", .letter = 'b', .text = &base.path },
		{ .name = "backing-format", .letter = 'F', .text = &format },
		{ .name = "no-backing", .flag = &none },
		{ .name = "data-file", .text = &data_file },
		{ .name = "unsafe", .letter = 'u', .flag = &unsafe },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed: the overlay");
	if (none == (base.path != NULL))
		return cmd_usage(v, "either --backing FILE or --no-backing is needed");
	if (!none && image_arg_base_format(v, "backing-format", format, &base.format) < 0)
		return CMD_FAILED;
	base.above = argv[1];
	return rebase(argv[1], &base, data_file, unsafe, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_rebase = {
	.name = "image rebase",
	.args = "[--unsafe] --backing NEW --backing-format F TOP",
	.summary = "put an overlay on top of another image",
	.help = "TOP reads as before: where the image that was below it and NEW differ, the old\n"
		"contents are written into TOP. Interrupted, it is still on top of the old one.\n"
		"\n"
		"  -b, --backing NEW        what TOP is to be made on top of\n"
		"  -F, --backing-format F   raw or qcow2\n"
		"      --no-backing         nothing: TOP becomes an image of its own\n"
		"      --data-file FILE     where TOP has its data, if not in itself\n"
		"  -u, --unsafe             change the name in the header only; right when the "
		"image\n"
		"                           below was moved or renamed, else it spoils TOP\n",
	.run = run,
};
