/* SPDX-License-Identifier: Apache-2.0 */
/* compact.c - sill image compact: give the host back what the image does not need. */
#include <errno.h>
#include <sys/stat.h>

#include "runner/image/image.h"

static uint64_t host_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* Compressed clusters would come out larger than they are. */
static int check_packed(struct sill_image *i, struct sill_err *e)
{
	const uint64_t size = sill_image_size(i);
	struct sill_image_extent x;

	for (uint64_t at = 0; at < size; at += x.length) {
		if (sill_image_extent(i, at, size - at, 0, &x, e) < 0)
			return -1;
		if (!x.compressed)
			continue;
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "the image has compressed clusters, which would be unpacked");
		return sill_err_hint(e, "convert it if that is meant");
	}
	return 0;
}

static int compact_copy(struct image_self *s, struct sill_err *e)
{
	struct sill_image *from = image_self_open(s, false, -1, e);
	int failed = from == NULL ? -1 : check_packed(from, e);

	if (failed == 0)
		failed = image_rewrite(s, from, sill_image_size(from), "compact", e);
	sill_image_close(from);
	return failed;
}

/* Holes where zeroes are: nothing that reads the file sees a difference. */
static int compact_raw(struct image_self *s, struct sill_err *e)
{
	struct image_progress bar = { .what = "compact" };
	struct sill_image *i = image_self_open(s, true, -1, e);
	struct sill_image_copy c = {
		.from = i, .to = i, .punch_only = true, .progress = image_progress, .ctx = &bar
	};
	int failed;

	if (i == NULL)
		return -1;
	failed = sill_image_copy(&c, e);
	image_progress_end(&bar);
	if (failed == 0)
		return sill_image_finish(i, e);
	sill_image_close(i);
	if (e->code == SILL_ERR_HOST)
		(void)sill_err_hint(e, "'%.120s' reads as before", s->path);
	return failed;
}

static int compact(const char *path, enum sill_disk_format format, struct sill_err *e)
{
	struct image_self s;
	char before[32], after[32];
	int failed = image_self_init(&s, path, format, e);

	if (failed == 0 && s.info.fixed) {
		failed = sill_err_set(e, SILL_ERR_STATE,
				      "'%s' is a fixed disk, which keeps its space", path);
		(void)sill_err_hint(e, "convert it to a dynamic one");
	}
	if (failed == 0)
		failed = format == SILL_DISK_RAW ? compact_raw(&s, e) : compact_copy(&s, e);
	if (failed == 0)
		(void)printf("%s on the host, %s before\n",
			     image_size_text(after, sizeof(after), host_bytes(s.real)),
			     image_size_text(before, sizeof(before), s.info.host_bytes));
	image_self_fini(&s);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_compact;
	enum sill_disk_format format;
	const char *word = NULL;
	struct sill_err e = { 0 };
	const struct opt opts[] = {
		{.name = "format", .letter = 'f', .text = &word}
	};
	int n = cmd_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed");
	if (image_arg_format(v, "format", word, &format) < 0)
		return CMD_FAILED;
	return compact(argv[1], format, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_compact = {
	.name = "image compact",
	.args = "--format F FILE",
	.summary = "give the host back what an image does not need",
	.help = "Clusters and blocks that hold only zeroes go, and so does what nobody uses. A\n"
		"raw file gets holes in place; the others are copied and replaced, which needs\n"
		"the host's space for the result. Overlays are compacted by themselves; what is\n"
		"below them is not touched. Have the guest trim its file systems before.\n"
		"\n"
		"  -f, --format F   raw, qcow2, vhd or vhdx (dynamic)\n",
	.run = run,
};
