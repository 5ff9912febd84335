/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.c - sill image commit: what an overlay holds goes into what is below it.
 *
 * The base is on the medium before the overlay is emptied, and until then the
 * overlay hides what is written below it: however it ends, the overlay reads
 * as before, and the verb may be given again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runner/image/image.h"

/* The base, to be written to. */
static struct sill_image *open_base(const char *path, int fd, const struct sill_image_info *top,
				    struct sill_err *e)
{
	struct sill_image_source s = { .path = path };
	struct sill_image_info f;

	if (sill_image_info(fd, path, top->backing_format, &f, e) < 0)
		return NULL;
	if (f.has_data_file || f.has_bitmaps) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' has bitmaps or a data file", path);
		return NULL;
	}
	s.format = top->backing_format;
	if (image_open_below(path, &f, -1, &s.backing, e) < 0)
		return NULL;
	s.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return sill_image_open(&s, e);
}

static int merge(struct sill_image *top, struct sill_image *base, struct sill_err *e)
{
	struct image_progress bar = { .what = "commit" };
	const struct sill_image_copy c = {
		.from = top, .to = base, .top_only = true, .progress = image_progress, .ctx = &bar
	};
	int failed = 0;

	if (sill_image_size(top) > sill_image_size(base))
		failed = sill_image_grow(base, sill_image_size(top), e);
	if (failed == 0)
		failed = sill_image_copy(&c, e);
	image_progress_end(&bar);
	return failed;
}

/* From @top into @base, which is on the medium then. Both are closed. */
static int empty_into(struct sill_image *top, struct sill_image *base, struct sill_err *e)
{
	int failed = merge(top, base, e);

	if (failed == 0)
		failed = sill_image_finish(base, e);
	else
		sill_image_close(base);
	sill_image_close(top);
	if (failed != 0)
		(void)sill_err_hint(e, "some of it may be below already, and the image reads as "
				       "before: give the command again");
	return failed;
}

static int commit(const char *path, bool keep, struct sill_err *e)
{
	struct newfile n = { .fd = -1, .held = -1 };
	struct sill_image *top, *base;
	char base_path[PATH_MAX];
	struct image_self s;
	int base_fd = -1, failed = image_self_init(&s, path, SILL_DISK_QCOW2, e);

	if (failed == 0 && s.info.backing[0] == '\0')
		failed = sill_err_set(e, SILL_ERR_STATE, "'%s' is not made on top of anything",
				      path);
	if (failed == 0)
		failed = image_resolve(s.path, s.info.backing, base_path, e);
	if (failed == 0) {
		base_fd = image_open_file(base_path, true, e);
		failed = base_fd < 0 ? -1 : 0;
	}
	/* Before anything is written: afterwards there may be no room for it. */
	if (failed == 0 && !keep)
		failed = image_again(&s, s.info.size, &n, e);
	if (failed == 0) {
		top = image_self_open(&s, false, base_fd, e);
		base = top == NULL ? NULL : open_base(base_path, base_fd, &s.info, e);
		failed = base == NULL ? -1 : empty_into(top, base, e);
		if (base == NULL)
			sill_image_close(top);
	}
	if (!keep)
		failed = newfile_end(&n, failed, e);
	if (base_fd >= 0)
		(void)close(base_fd);
	image_self_fini(&s);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_commit;
	struct sill_err e = { 0 };
	bool keep = false;
	const struct opt opts[] = {
		{.name = "keep", .flag = &keep}
	};
	int n = cmd_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed: the overlay");
	return commit(argv[1], keep, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_commit = {
	.name = "image commit",
	.args = "[--keep] TOP",
	.summary = "move what an overlay holds into the image it is made on top of",
	.help = "TOP is qcow2; what is below it, by its header, is raw or qcow2 and grows if it\n"
		"is smaller. Afterwards TOP holds nothing. Other overlays on the same image are\n"
		"spoilt by this. Interrupted, TOP still reads as before: give the verb again.\n"
		"\n"
		"      --keep   leave TOP as it is\n",
	.run = run,
};
