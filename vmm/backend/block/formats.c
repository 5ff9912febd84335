/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formats.c - the formats there are, and which of them a file is.
 *
 * What a header says is told without believing it: no table is read, nothing is opened, and an image
 * too broken to be used can still be looked at.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "backend/block/format.h"

const struct blk_format *const blk_formats[SILL_DISK_FORMATS] = {
#define FORMAT(NAME, name) [SILL_DISK_##NAME] = &blk_format_##name,
#include "sill/formats.def"
#undef FORMAT
};

/* What the bytes look like; raw when like nothing. */
static enum sill_disk_format look_like(const struct blk_look *l)
{
	enum sill_disk_format like = SILL_DISK_RAW;
	unsigned best = 0;

	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++) {
		const unsigned is = blk_formats[i]->is != NULL ? blk_formats[i]->is(l) : 0;

		if (is > best) {
			best = is;
			like = (enum sill_disk_format)i;
		}
	}
	return like;
}

/* As many of @n bytes as the file has. -1 and errno. */
static ssize_t read_some(int fd, uint8_t *p, size_t n, uint64_t off)
{
	size_t done = 0;

	while (done < n) {
		const ssize_t k = pread(fd, p + done, n - done, (off_t)(off + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		if (k == 0)
			break;
		done += (size_t)k;
	}
	return (ssize_t)done;
}

/* l->front is to be freed in any case. */
static int look_init(struct blk_look *l, uint64_t *ret_host, struct sill_err *e)
{
	struct stat st;
	ssize_t n;

	if (fstat(l->fd, &st) < 0)
		return sill_err_sys(e, errno, "'%.150s'", l->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return sill_err_set(e, SILL_ERR_HOST,
				    "'%.150s': it is neither a file nor a block device", l->path);
	l->size = (uint64_t)st.st_size;
	*ret_host = (uint64_t)st.st_blocks * 512;
	if (S_ISBLK(st.st_mode) && ioctl(l->fd, BLKGETSIZE64, &l->size) < 0)
		return sill_err_sys(e, errno, "size of '%.150s'", l->path);
	l->front = malloc(LOOK_FRONT + 1);
	if (l->front == NULL)
		return sill_err_sys(e, ENOMEM, "'%.150s'", l->path);
	n = read_some(l->fd, l->front, LOOK_FRONT, 0);
	l->n = n > 0 ? (size_t)n : 0;
	memset(l->front + l->n, 0, LOOK_FRONT + 1 - l->n);
	if (n >= 0 && l->size >= LOOK_TAIL)
		n = read_some(l->fd, l->tail, LOOK_TAIL, l->size - LOOK_TAIL);
	if (n < 0)
		return sill_err_sys(e, errno, "read '%.150s'", l->path);
	l->like = look_like(l);
	return 0;
}

/* --- the way in ------------------------------------------------------------ */

static int look(struct blk_look *l, struct sill_image_info *ret, struct sill_err *e)
{
	struct sill_image_info *f = calloc(1, sizeof(*f));
	int failed;

	if (f == NULL)
		return sill_err_sys(e, ENOMEM, "'%.150s'", l->path);
	f->format = l->format;
	f->sector_size = 512;
	failed = look_init(l, &f->host_bytes, e);
	f->file_size = l->size;
	if (failed == 0)
		failed = blk_formats[l->format]->look(l, f, e);
	if (failed == 0)
		*ret = *f;
	free(l->front);
	free(f);
	return failed;
}

int sill_image_info(int fd, const char *path, enum sill_disk_format format,
		    struct sill_image_info *ret, struct sill_err *e)
{
	struct blk_look l = { .fd = fd, .path = path, .format = format };

	return look(&l, ret, e);
}

int sill_image_head(int fd, const char *path, enum sill_disk_format format,
		    struct sill_image_info *ret, struct sill_err *e)
{
	struct blk_look l = { .fd = fd, .path = path, .format = format, .to_use = true };

	return look(&l, ret, e);
}

int sill_image_tell(int fd, enum sill_disk_format *ret_format, struct sill_err *e)
{
	struct blk_look l = { .fd = fd, .path = "header" };
	uint64_t host;
	const int failed = look_init(&l, &host, e);

	if (failed == 0)
		*ret_format = l.like;
	free(l.front);
	return failed;
}
