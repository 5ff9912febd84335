/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c - a qcow2 image without a name, made on a disk's own. */
#include "runner/host/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/pathfd.h"
#include "sill/image.h"

/* Subclusters of 4 KiB: a small write copies no more than a page. */
enum { CLUSTER = 128 * 1024 };

/* A path, not one of the words. */
static bool is_path(const char *s)
{
	static const char *const words[] = { "off", "false", "on", "true", "ram" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(s, words[i]) == 0)
			return false;
	}
	return true;
}

uint64_t overlay_limit(const struct sill_disk_config *d)
{
	const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	if (!sill_disk_ephemeral(d))
		return 0;
	if (d->ephemeral_limit != 0 || is_path(d->ephemeral))
		return d->ephemeral_limit;
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 4 : 0;
}

/* Take its name away again, if the name is still the file's: others may rename things here. */
static void unname(const struct place *at, const char *name, int fd)
{
	struct stat ours, there;

	if (fstat(fd, &ours) == 0 && fstatat(at->dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    pathfd_same(&ours, &there))
		(void)unlinkat(at->dir, name, 0);
}

/* A file in the directory, without a name. -1: errno. */
static int open_nameless(const struct place *at)
{
	char name[NAME_MAX + 1];
	int fd = place_nameless(at);

	/* Not every file system can; then it has a name for a moment. */
	if (fd >= 0 || errno != EOPNOTSUPP || place_beside(at, name) < 0)
		return fd;
	fd = openat(at->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		unname(at, name, fd);
	return fd;
}

static int open_in(const char *dir, int dir_fd, struct sill_err *e)
{
	const struct place at = { .dir = dir_fd, .name = "sill" };
	const int fd = open_nameless(&at);

	return fd >= 0 ? fd : sill_err_sys(e, errno, "make a file in '%.150s'", dir);
}

/* In place of a name that nobody has: the name itself is never taken. */
static int open_as(const char *path, struct sill_err *e)
{
	struct stat st;
	struct place at;
	int fd = -1, err = 0;

	if (place_init(&at, path) < 0)
		err = errno;
	else if (fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		err = EEXIST;
	else if ((fd = open_nameless(&at)) < 0)
		err = errno;
	place_fini(&at);
	if (err == 0)
		return fd;
	(void)sill_err_sys(e, err, "make '%.150s'", path);
	return err == EEXIST ? sill_err_hint(e, "name a directory, or a file that is not there")
			     : -1;
}

static int open_layer(const struct sill_disk_config *d, struct sill_err *e)
{
	int dir, fd;

	if (is_path(d->ephemeral)) {
		dir = open(d->ephemeral, O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd = dir >= 0 ? open_in(d->ephemeral, dir, e) : open_as(d->ephemeral, e);
		if (dir >= 0)
			(void)close(dir);
		return fd;
	}
	fd = memfd_create("sill-disk", MFD_CLOEXEC);
	return fd >= 0 ? fd : sill_err_sys(e, errno, "memory for '%.150s'", d->path);
}

int overlay_make(const struct chain *c, const struct sill_disk_config *d, struct sill_err *e)
{
	const struct sill_image_options o = {
		.format = SILL_DISK_QCOW2,
		.size = c->size,
		.block_size = CLUSTER,
		.subclusters = true,
		.backing = "base", /* nobody follows it: the file has no name itself */
		.backing_format = c->layer[0].format,
	};
	int fd;

	if (c->count == SILL_MAX_LAYERS)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "ephemeral: more than %u images on top of each other",
				    SILL_MAX_LAYERS);
	fd = open_layer(d, e);
	if (fd < 0 || sill_image_create(fd, &o, e) == 0)
		return fd;
	sill_err_wrap(e, "its ephemeral layer in '%.100s'",
		      is_path(d->ephemeral) ? d->ephemeral : "ram");
	(void)close(fd);
	return -1;
}
