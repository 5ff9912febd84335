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
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/chain.h"
#include "runner/image/verbs.h"

struct request {
	const char *top, *base, *data_file, *base_data_file;
	bool keep;
};

/* The base and its data file, locked for writing. Public to the functions below. */
struct base {
	char path[PATH_MAX], data_path[PATH_MAX];
	int fd, data_fd; /* owned; -1: not open, none */
	struct sill_image_info info;
};

static void base_fini(struct base *b)
{
	if (b->fd >= 0)
		(void)close(b->fd);
	if (b->data_fd >= 0)
		(void)close(b->data_fd);
}

/* base_fini() in any case. */
static int base_init(struct base *b, const struct image_self *top, const struct request *r,
		     struct sill_err *e)
{
	const struct image_named n = { top->path, top->info.backing, r->base, "is made on",
				       "base" };

	if (image_resolve(top->path, top->info.backing, b->path, e) < 0 ||
	    chain_check_loop(top->path, b->path, top->info.backing, e) < 0)
		return -1;
	b->fd = image_open_named(&n, b->path, e);
	if (b->fd < 0 || sill_image_info(b->fd, b->path, top->info.backing_format, &b->info, e) < 0)
		return -1;
	if (b->info.has_bitmaps)
		return sill_err_set(e, SILL_ERR_STATE, "'%.150s' has bitmaps, which would be wrong",
				    b->path);
	return image_open_data_file(b->path, &b->info, r->base_data_file, "base-data-file",
				    &b->data_fd, b->data_path, e);
}

/* To be written to. */
static struct sill_image *base_open(const struct base *b, struct sill_err *e)
{
	struct sill_image_source s = { .path = b->path, .format = b->info.format };

	if (image_open_below(b->path, &b->info, -1, -1, &s.backing, e) < 0)
		return NULL;
	if (image_open_data(b->data_fd, b->data_path, true, &s.data, e) < 0) {
		sill_image_close(s.backing);
		return NULL;
	}
	s.fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
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

/*
 * Nothing points into the data file any more: the host gets its space back. The file stays as long as it
 * was. Where that fails the space is lost, and nothing else.
 */
static void empty_data(const struct image_self *s)
{
	struct stat st;

	if (s->data_fd >= 0 && fstat(s->data_fd, &st) == 0 && S_ISREG(st.st_mode))
		(void)fallocate(s->data_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				(st.st_size | 0xffff) + 1); /* the last block in whole */
}

static int commit_locked(struct image_self *s, const struct request *r, struct base *b,
			 struct sill_err *e)
{
	struct newfile n = { .fd = -1, .held = -1 };
	struct sill_image *top, *base;
	/* Before anything is written: afterwards there may be no room for it. */
	int failed = r->keep ? 0 : image_again(s, s->info.size, &n, e);

	if (failed == 0) {
		top = image_self_open(s, false, b->fd, b->data_fd, e);
		base = top == NULL ? NULL : base_open(b, e);
		failed = base == NULL ? -1 : empty_into(top, base, e);
		if (base == NULL)
			sill_image_close(top);
	}
	if (r->keep)
		return failed;
	failed = newfile_end(&n, failed, e);
	if (failed == 0)
		empty_data(s);
	return failed;
}

static int commit(const struct request *r, struct sill_err *e)
{
	struct base b = { .fd = -1, .data_fd = -1 };
	struct image_self s;
	int failed = image_self_init(&s, r->top, SILL_DISK_QCOW2, r->data_file, e);

	if (failed == 0 && s.info.backing[0] == '\0')
		failed = sill_err_set(e, SILL_ERR_STATE, "'%s' is not made on top of anything",
				      r->top);
	if (failed == 0)
		failed = base_init(&b, &s, r, e);
	if (failed == 0)
		failed = commit_locked(&s, r, &b, e);
	base_fini(&b);
	image_self_fini(&s);
	return failed;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_commit;
	struct request r = { 0 };
	struct sill_err e = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "base", .letter = 'b', .text = &r.base },
		{ .name = "backing", .text = &r.base },
		{ .name = "keep", .flag = &r.keep },
		{ .name = "data-file", .text = &r.data_file },
		{ .name = "base-data-file", .text = &r.base_data_file },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, "one file is needed: the overlay");
	r.top = argv[1];
	return commit(&r, &e) == 0 ? CMD_DONE : cmd_error(&e);
}

const struct verb image_verb_commit = {
	.name = "image commit",
	.args = "--base BASE [OPTION]... TOP",
	.summary = "move what an overlay holds into the image it is made on top of",
	.help = "TOP is qcow2; BASE, what is below it, is raw or qcow2 and grows if it is "
		"smaller.\n"
		"TOP's header has to name the same file: it could name any, and BASE is written\n"
		"to. Afterwards TOP holds nothing. Other overlays on BASE are spoilt by this.\n"
		"Interrupted, TOP still reads as before: give the verb again.\n"
		"\n"
		"  -b, --base BASE             what TOP is made on\n"
		"      --keep                  leave TOP as it is\n"
		"      --data-file FILE        where TOP has its data, if not in itself\n"
		"      --base-data-file FILE   the same for what is below it\n",
	.run = run,
};
