/* SPDX-License-Identifier: Apache-2.0 */
/* memfile.c - see memfile.h. */
#include "runner/host/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/lock.h"
#include "runner/host/pathfd.h"

/* A hugetlbfs of an older Linux makes none without a name. */
static int make_file(const struct sill_memory_zone *z, struct sill_err *e)
{
	int fd = open(z->file, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return sill_err_sys(e, errno, "make a file in '%s'", z->file);
	if (ftruncate(fd, (off_t)z->size) == 0)
		return fd;
	(void)sill_err_sys(e, errno, "make a file of %llu MiB in '%s'",
			   (unsigned long long)(z->size >> 20), z->file);
	(void)close(fd);
	return -1;
}

int memfile_open(const struct sill_memory_zone *z, struct sill_err *e)
{
	struct stat st;
	const int found = pathfd_find(z->file, &st);
	int fd = -1;

	if (found < 0)
		return sill_err_sys(e, errno, "open '%s'", z->file);
	if (S_ISDIR(st.st_mode)) {
		fd = make_file(z, e);
	} else if (!S_ISREG(st.st_mode)) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is neither a file nor a directory",
				   z->file);
	} else {
		fd = pathfd_open(found, z->file, (z->shared ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		if (fd < 0)
			(void)sill_err_sys(e, errno, "open '%s'", z->file);
	}
	(void)close(found);
	if (fd >= 0 && !S_ISDIR(st.st_mode) && lock_image(fd, z->shared, z->file, e) < 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}
