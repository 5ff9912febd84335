/* SPDX-License-Identifier: Apache-2.0 */
/* compact.c - sill image compact: give the host back what the image does not need. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "runner/image/verbs.h"

static uint64_t host_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t all_bytes(const struct image_self *s)
{
	return host_bytes(s->real) + (s->data_fd >= 0 ? host_bytes(s->data_path) : 0);
}

static int compact_copy(struct image_self *s, struct sill_err *e)
{
	struct sill_image *from = image_self_open(s, false, -1, -1, e);
	int failed = from == NULL ? -1 : image_refuse_packed(from, sill_image_size(from), e);

	if (failed == 0)
		failed = image_rewrite(s, from, sill_image_size(from), "compact", e);
	sill_image_close(from);
	return failed;
}

/* What nobody reads there: zeroes and what is not present. Only the host sees a difference. */
static int punch_data(const struct image_self *s, struct sill_image *i, struct sill_err *e)
{
	const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const uint64_t size = sill_image_size(i);
	struct sill_image_extent x;

	for (uint64_t at = 0; at < size; at += x.length) {
		if (sill_image_extent(i, at, size - at, 0, &x, e) < 0)
			return -1;
		if (!x.zero && x.present)
			continue;
		if (fallocate(s->data_fd, how, (off_t)at, (off_t)x.length) < 0)
			return sill_err_sys(e, errno, "punch holes into '%.150s'", s->data_path);
	}
	return 0;
}

/*
 * Holes where zeroes are: nothing that reads the file sees a difference. So for raw images, and for
 * data files, where a cluster has its place and stays there; the image itself has little besides.
 */
static int compact_in_place(struct image_self *s, struct sill_err *e)
{
	const bool outside = s->data_fd >= 0;
	struct image_progress bar = { .what = "compact" };
	struct sill_image *i = image_self_open(s, true, -1, -1, e);
	const struct sill_image_copy c = { .from = i,
					   .to = i,
					   .top_only = outside,
					   .punch_only = true,
					   .progress = image_progress,
					   .ctx = &bar };
	int failed;

	if (i == NULL)
		return -1;
	failed = sill_image_copy(&c, e);
	image_progress_end(&bar);
	/* What the image says of its data file is on the medium before that loses anything. */
	if (failed == 0 && outside)
		failed = sill_image_flush(i, e);
	if (failed == 0 && outside)
		failed = punch_data(s, i, e);
	if (failed == 0)
		return sill_image_finish(i, e);
	sill_image_close(i);
	if (e->code == SILL_ERR_HOST)
		(void)sill_err_hint(e, "'%.120s' reads as before", s->path);
	return failed;
}

static int compact(const char *path, enum sill_disk_format format, const char *data_file,
		   struct sill_err *e)
{
	struct image_self s;
	char before[32], after[32];
	uint64_t was = 0;
	int failed = image_self_init(&s, path, format, data_file, e);

	if (failed == 0 && s.info.fixed) {
		failed = sill_err_set(e, SILL_ERR_STATE,
				      "'%s' is a fixed disk, which keeps its space", path);
		(void)sill_err_hint(e, "convert it to a dynamic one");
	}
	if (failed == 0)
		was = all_bytes(&s);
	if (failed == 0)
		failed = format == SILL_DISK_RAW || s.data_fd >= 0 ? compact_in_place(&s, e)
								   : compact_copy(&s, e);
	if (failed == 0)
		(void)printf("%s on the host, %s before\n",
			     image_size_text(after, sizeof(after), all_bytes(&s)),
			     image_size_text(before, sizeof(before), was));
	image_self_fini(&s);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_compact;
	enum sill_disk_format format;
	const char *word = NULL, *data_file = NULL;
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &word },
		{ .name = "data-file", .text = &data_file },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed");
	if (image_arg_format(v, "format", word, &format) < 0)
		return CMD_FAILED;
	return compact(argv[1], format, data_file, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_compact = {
	.name = "image compact",
	.args = "--format F [--data-file FILE] FILE",
	.summary = "give the host back what an image does not need",
	.help = "Clusters and blocks that hold only zeroes go, and so does what nobody uses. A\n"
		"raw file gets holes in place; the others are copied and replaced, which needs\n"
		"the host's space for the result. Overlays are compacted by themselves; what is\n"
		"below them is not touched. Have the guest trim its file systems before.\n"
		"\n"
		"  -f, --format F   " SILL_IMAGE_FORMATS " (dynamic)\n"
		"      --data-file FILE\n"
		"                   where the data are, if not in FILE itself: it gets the holes\n",
	.run = run,
};
