/* SPDX-License-Identifier: Apache-2.0 */
/*
 * newfile.c - a file that appears when it is whole.
 *
 * O_TMPFILE, then linkat(2): up to then the file has no name, so that not even
 * kill -9 leaves anything behind. To take another file's place it gets a name
 * beside it for an instant, because a link replaces nothing and a rename does.
 * Where the file system has no O_TMPFILE it has that name from the beginning,
 * and a signal is noted so that we come by here to remove it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/image/image.h"
#include "runner/report/text.h"

static volatile sig_atomic_t interrupted;

static void note(int sig)
{
	(void)sig;
	interrupted = 1;
}

bool image_interrupted(void)
{
	return interrupted != 0;
}

void image_catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;

		/* The second one kills: whoever waits for a dead disk wants out. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
			const struct sigaction ours = { .sa_handler = note,
							.sa_flags = (int)SA_RESETHAND };

			(void)sigaction(signals[i], &ours, NULL);
		}
	}
}

/* A name beside the final one that nobody has. */
static int temp_name(struct newfile *n, struct sill_err *e)
{
	const char *slash = strrchr(n->path, '/');
	const char *base = slash != NULL ? slash + 1 : n->path;
	uint32_t salt;
	int len;

	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		return sill_err_sys(e, errno, "random numbers");
	len = snprintf(n->temp, sizeof(n->temp), "%s/.%.180s.%08x", n->dir, base, salt);
	if (len > 0 && len < (int)sizeof(n->temp))
		return 0;
	n->temp[0] = '\0';
	return sill_err_sys(e, ENAMETOOLONG, "'%s'", n->name);
}

static int cannot_open(const struct newfile *n, int err, struct sill_err *e)
{
	return sill_err_sys(e, err, n->replace ? "make a file beside '%s'" : "create '%s'",
			    n->name);
}

static int open_named(struct newfile *n, struct sill_err *e)
{
	int err;

	if (temp_name(n, e) < 0)
		return -1;
	n->fd = open(n->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (n->fd >= 0)
		return 0;
	err = errno;
	n->temp[0] = '\0';
	return cannot_open(n, err, e);
}

static int begin(struct newfile *n, const char *path, bool replace, struct sill_err *e)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	*n = (struct newfile){ .fd = -1, .held = -1, .path = path, .replace = replace };
	(void)text_clean(n->name, sizeof(n->name), path, strlen(path));
	if (slash == path)
		(void)snprintf(n->dir, sizeof(n->dir), "/");
	else if (slash != NULL && slash - path < (int)sizeof(n->dir))
		(void)snprintf(n->dir, sizeof(n->dir), "%.*s", (int)(slash - path), path);
	else
		(void)snprintf(n->dir, sizeof(n->dir), ".");
	n->is_there = lstat(path, &st) == 0;
	if (n->is_there && !replace) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is there already", n->name);
		return sill_err_hint(e, "--force puts the new image in its place");
	}
	if (n->is_there && !S_ISREG(st.st_mode))
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is not a regular file: not replaced",
				    n->name);
	return 0;
}

static int open_nameless(struct newfile *n, struct sill_err *e)
{
	image_catch_signals();
	n->fd = open(n->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
	if (n->fd >= 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
		return open_named(n, e);
	return cannot_open(n, errno, e);
}

int newfile_open(struct newfile *n, const char *path, bool replace, struct sill_err *e)
{
	if (begin(n, path, replace, e) < 0)
		return -1;
	/* Nobody's disk is taken away from under them. */
	if (replace && access(path, F_OK) == 0) {
		n->held = image_open_file(path, true, e);
		if (n->held < 0)
			return -1;
	}
	return open_nameless(n, e);
}

int newfile_open_own(struct newfile *n, const char *path, const char *shown, struct sill_err *e)
{
	if (begin(n, path, true, e) < 0)
		return -1;
	(void)text_clean(n->name, sizeof(n->name), shown, strlen(shown));
	return open_nameless(n, e);
}

void newfile_like(struct newfile *n, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	(void)!fchown(n->fd, st.st_uid, st.st_gid);
	(void)fchmod(n->fd, st.st_mode & 07777);
}

static void drop(int *fd)
{
	if (*fd > 0)
		(void)close(*fd);
	*fd = -1;
}

int newfile_create(struct newfile *n, const struct sill_image_options *o, struct sill_err *e)
{
	if (sill_image_create(n->fd, o, e) == 0)
		return 0;
	if (e->code == SILL_ERR_HOST)
		sill_err_wrap(e, "'%s'", n->name);
	return -1;
}

static int link_to(const struct newfile *n, const char *path)
{
	char proc[64];

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", n->fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

static int give_name(struct newfile *n, struct sill_err *e)
{
	if (n->temp[0] == '\0') {
		if (link_to(n, n->path) == 0)
			return 0;
		if (errno != EEXIST || !n->replace)
			return sill_err_sys(e, errno, "'%s'", n->name);
		if (temp_name(n, e) < 0)
			return -1;
		if (link_to(n, n->temp) < 0) {
			const int err = errno;

			n->temp[0] = '\0';
			return sill_err_sys(e, err, "a name beside '%s'", n->name);
		}
	}
	if (renameat2(AT_FDCWD, n->temp, AT_FDCWD, n->path, n->replace ? 0 : RENAME_NOREPLACE) <
	    0) {
		/* NFS and 9p know no such flag. A link replaces nothing either. */
		if (errno != EINVAL || n->replace || link(n->temp, n->path) < 0)
			return sill_err_sys(e, errno, "'%s'", n->name);
		(void)unlink(n->temp);
	}
	n->temp[0] = '\0';
	return 0;
}

static int sync_dir(const struct newfile *n, struct sill_err *e)
{
	int fd = open(n->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;

	failed = fd < 0 || fsync(fd) < 0 ? errno : 0;
	if (fd >= 0)
		(void)close(fd);
	/* Some file systems have nothing to sync there. */
	return failed == 0 || failed == EINVAL
		       ? 0
		       : sill_err_sys(e, failed, "sync the directory of '%s'", n->name);
}

static int commit(struct newfile *n, struct sill_err *e)
{
	if (fsync(n->fd) < 0)
		return sill_err_sys(e, errno, "sync '%s'", n->name);
	if (image_interrupted())
		return sill_err_set(e, SILL_ERR_STATE, "interrupted; nothing was changed");
	if (give_name(n, e) < 0)
		return -1;
	(void)close(n->fd);
	n->fd = -1;
	drop(&n->held);
	return sync_dir(n, e);
}

int newfile_end(struct newfile *n, int failed, struct sill_err *e)
{
	if (failed == 0)
		failed = commit(n, e);
	/* What the caller asked for wrongly needs no such words. */
	if (failed != 0 && n->fd >= 0 && e->code == SILL_ERR_HOST)
		(void)sill_err_hint(
			e, n->is_there ? "'%s' is as it was" : "no '%s' was left behind", n->name);
	if (n->temp[0] != '\0')
		(void)unlink(n->temp);
	n->temp[0] = '\0';
	drop(&n->fd);
	drop(&n->held);
	return failed;
}
