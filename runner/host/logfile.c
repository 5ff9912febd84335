/* SPDX-License-Identifier: Apache-2.0 */
/* logfile.c - the file of --log. */
#include "runner/host/logfile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/lock.h"

int logfile_open(struct logfile *l, const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

	l->rotated.dir_fd = -1;
	l->f = fd >= 0 ? fdopen(fd, "a") : NULL;
	if (l->f == NULL && fd >= 0)
		(void)close(fd);
	return l->f != NULL ? 0 : -1;
}

int logfile_begin(struct logfile *l, const char *path, struct sill_err *e)
{
	if (l->f == NULL)
		return 0;
	if (lock_refuse_image(fileno(l->f), path, e) < 0 ||
	    rotate_init(&l->rotated, fileno(l->f), path, e) < 0)
		return -1;
	logfile_look(l);
	return 0;
}

bool logfile_grows(const struct logfile *l)
{
	return l->f != NULL && l->rotated.dir_fd >= 0;
}

/* A process that has its output there goes on in the new file. */
static void follow(const struct stat *old, int fd)
{
	struct stat st;

	for (int std = STDOUT_FILENO; std <= STDERR_FILENO; std++)
		if (fstat(std, &st) == 0 && st.st_dev == old->st_dev && st.st_ino == old->st_ino)
			(void)dup3(fd, std, 0);
}

/* The stream's descriptor becomes the new file's: whoever writes just now writes to one of the two. */
void logfile_look(void *ctx)
{
	struct logfile *l = ctx;
	struct stat st;
	int fd;

	if (!logfile_grows(l) || fstat(fileno(l->f), &st) < 0 || st.st_size < LOGFILE_LIMIT)
		return;
	fd = rotate_next(&l->rotated, O_APPEND | O_NOCTTY);
	if (fd < 0)
		return;
	(void)dup3(fd, fileno(l->f), O_CLOEXEC);
	follow(&st, fd);
	(void)close(fd);
}

void logfile_close(struct logfile *l)
{
	if (l->f == NULL)
		return;
	rotate_fini(&l->rotated);
	(void)fclose(l->f);
	l->f = NULL;
}
