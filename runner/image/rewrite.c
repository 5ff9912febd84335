/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.c - an image made anew, in its own place.
 *
 * What cannot be changed in place without an instant at which the image is
 * neither the old nor the new one is copied: a new file beside it, on the
 * medium, then renamed over it. The old file stays locked until then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/image/verbs.h"

int image_self_init(struct image_self *s, const char *path, enum sill_disk_format format,
		    const char *data_file, struct sill_err *e)
{
	const struct sill_image_info *f = &s->info;

	*s = (struct image_self){ .path = path, .fd = -1, .data_fd = -1 };
	image_catch_signals();
	/* A link stays one: what is replaced is the file itself. */
	if (realpath(path, s->real) == NULL)
		return sill_err_sys(e, errno, "'%s'", path);
	s->fd = image_open_file(s->real, true, e);
	if (s->fd < 0 || sill_image_info(s->fd, path, format, &s->info, e) < 0)
		return -1;
	if (f->has_bitmaps) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' has bitmaps, which would get lost",
				   path);
		return sill_err_hint(e, "remove them with: qemu-img bitmap --remove");
	}
	return image_open_data_file(path, f, data_file, "data-file", &s->data_fd, s->data_path, e);
}

void image_self_fini(struct image_self *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	if (s->data_fd >= 0)
		(void)close(s->data_fd);
	s->fd = s->data_fd = -1;
}

struct sill_image *image_self_open(struct image_self *s, bool write, int base_fd, int base_data_fd,
				   struct sill_err *e)
{
	struct sill_image_source source = { .path = s->path,
					    .format = s->info.format,
					    .readonly = !write };

	if (image_open_below(s->path, &s->info, base_fd, base_data_fd, &source.backing, e) < 0)
		return NULL;
	if (image_open_data(s->data_fd, s->data_path, write, &source.data, e) < 0) {
		sill_image_close(source.backing);
		return NULL;
	}
	source.fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	if (source.fd < 0) {
		(void)sill_err_sys(e, errno, "'%s'", s->path);
		sill_image_close(source.backing);
		sill_image_close(source.data);
		return NULL;
	}
	return sill_image_open(&source, e);
}

static struct sill_image_options same_again(const struct sill_image_info *f, uint64_t size)
{
	const bool qcow2 = f->format == SILL_DISK_QCOW2;
	struct sill_image_options o = { .format = f->format, .size = size };

	if (f->format != SILL_DISK_RAW && !(f->format == SILL_DISK_VHD && f->fixed))
		o.block_size = f->block_size;
	o.fixed = f->fixed;
	if (f->format == SILL_DISK_VHDX) {
		o.sector_size = f->sector_size;
		o.physical_size = f->physical_size;
	}
	if (!qcow2)
		return o;
	o.version = f->version;
	o.refcount_bits = f->refcount_bits;
	o.subclusters = f->subclusters;
	o.lazy_refcounts = f->lazy_refcounts;
	o.data_file = f->has_data_file ? f->data_file : NULL;
	if (f->backing[0] == '\0')
		return o;
	o.backing = f->backing;
	o.backing_format = f->backing_format; /* said: it has been opened by it */
	return o;
}

/* What is new must be zeroes also where an image below is larger than this one was. */
static int hide_below(struct sill_image *to, uint64_t below, uint64_t from, uint64_t size,
		      struct sill_err *e)
{
	const uint64_t end = below < size ? below : size;

	return end > from ? sill_image_zero(to, from, end - from, true, e) : 0;
}

static int fill(struct image_self *s, struct sill_image *from, int fd, uint64_t size,
		const char *what, struct sill_err *e)
{
	struct sill_image_source source = { .path = s->path, .format = s->info.format };
	struct image_progress bar = { .what = what };
	struct sill_image_copy c = { .from = from,
				     .top_only = true,
				     .is_new = s->info.backing[0] == '\0',
				     .progress = image_progress,
				     .ctx = &bar };
	uint64_t below = 0;
	int failed;

	if (image_open_below(s->path, &s->info, -1, -1, &source.backing, e) < 0)
		return -1;
	if (source.backing != NULL)
		below = sill_image_size(source.backing);
	source.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	c.to = sill_image_open(&source, e);
	if (c.to == NULL)
		return -1;
	c.size = sill_image_size(from) < size ? sill_image_size(from) : size;
	failed = sill_image_copy(&c, e);
	image_progress_end(&bar);
	if (failed == 0)
		failed = hide_below(c.to, below, c.size, size, e);
	if (failed == 0)
		return sill_image_finish(c.to, e);
	sill_image_close(c.to);
	return failed;
}

int image_again(struct image_self *s, uint64_t size, struct newfile *n, struct sill_err *e)
{
	const struct sill_image_options o = same_again(&s->info, size);

	if (newfile_open_own(n, s->real, s->path, s->fd, e) < 0)
		return -1;
	newfile_like(n, s->fd);
	return newfile_create(n, &o, e);
}

int image_rewrite(struct image_self *s, struct sill_image *from, uint64_t size, const char *what,
		  struct sill_err *e)
{
	struct newfile n = { .fd = -1, .held = -1 };
	int failed = image_again(s, size, &n, e);

	if (failed == 0)
		failed = fill(s, from, n.fd, size, what, e);
	return newfile_end(&n, failed, e);
}

int image_refuse_packed(struct sill_image *from, uint64_t size, struct sill_err *e)
{
	struct sill_image_extent x;

	for (uint64_t at = 0; at < size; at += x.length) {
		if (sill_image_extent(from, at, size - at, 0, &x, e) < 0)
			return -1;
		if (!x.compressed)
			continue;
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "the image has compressed clusters, which would be unpacked");
		return sill_err_hint(e, "convert it if that is meant");
	}
	return 0;
}

int image_self_size_hint(const struct image_self *s, struct sill_err *e)
{
	struct sill_err unused = { 0 };
	struct sill_image_info *now = malloc(sizeof(*now));

	if (now != NULL && e->code == SILL_ERR_HOST &&
	    sill_image_info(s->fd, s->path, s->info.format, now, &unused) == 0 &&
	    now->size == s->info.size)
		(void)sill_err_hint(e, "'%.120s' has the size that it had", s->path);
	free(now);
	return -1;
}
