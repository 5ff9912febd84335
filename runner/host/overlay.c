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

/* A file in a directory, without a name. */
static int open_in(const char *dir, struct sill_err *e)
{
	char *path = NULL;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Not every file system can; then it has a name for a moment. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		if (asprintf(&path, "%s/.sill-XXXXXX", dir) < 0)
			return sill_err_sys(e, ENOMEM, "'%.150s'", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(path);
		free(path);
	}
	return fd >= 0 ? fd : sill_err_sys(e, errno, "make a file in '%.150s'", dir);
}

/* A file of this name, which nobody else may have had before. */
static int open_as(const char *path, struct sill_err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		(void)sill_err_sys(e, errno, "make '%.150s'", path);
		return errno == EEXIST
			       ? sill_err_hint(e, "name a directory, or a file that is not there")
			       : -1;
	}
	(void)unlink(path);
	return fd;
}

static int open_layer(const struct sill_disk_config *d, struct sill_err *e)
{
	struct stat st;
	int fd;

	if (is_path(d->ephemeral))
		return stat(d->ephemeral, &st) == 0 && S_ISDIR(st.st_mode)
			       ? open_in(d->ephemeral, e)
			       : open_as(d->ephemeral, e);
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
