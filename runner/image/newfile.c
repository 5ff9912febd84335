/* SPDX-License-Identifier: Apache-2.0 */
/*
 * newfile.c - a file that appears when it is whole.
 *
 * O_TMPFILE, then linkat(2): up to then the file has no name, so that not even
 * kill -9 leaves anything behind. To take another file's place it gets a name
 * beside it for an instant, because a link replaces nothing; then the two names
 * are exchanged, so that what has come out can be looked at: if it is not the
 * file that we hold, it goes back. Where the file system has no O_TMPFILE it has
 * that name from the beginning, and a signal removes it.
 *
 * What it holds is the disk of somebody: it can be read by him alone, or by
 * whom the files it was made from could be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runner/image/verbs.h"
#include "runner/report/text.h"

#define ACL "system.posix_acl_access"

void image_access_add(struct image_access *a, int fd)
{
	mode_t mode = 0600;
	struct stat st;

	if (fstat(fd, &st) < 0)
		st = (struct stat){ 0 };
	/* What the mode of a device says is about the device. */
	if (S_ISREG(st.st_mode))
		mode = (st.st_mode & 0666) | 0600;
	/* With an ACL the group's bits are those of everybody it names. */
	if ((a->any && st.st_gid != a->group) || fgetxattr(fd, ACL, NULL, 0) > 0)
		mode &= 0606u | (mode & 06) << 3;
	a->mode = a->any ? a->mode & mode : mode;
	if (a->any && st.st_gid != a->group)
		a->mode &= 0606u | (a->mode & 06) << 3;
	a->group = st.st_gid;
	a->any = true;
}

/* At the end, so that nobody opens what is not whole, and so locks it. */
static void widen(const struct newfile *n)
{
	const mode_t mask = umask(0);
	mode_t mode = n->access.any ? n->access.mode : 0600;
	struct stat st;

	(void)umask(mask);
	if (fstat(n->fd, &st) < 0 || n->keep_mode)
		return;
	if (st.st_gid != n->access.group)
		mode &= 0606u | (mode & 06) << 3;
	mode &= ~mask;
	if (mode != (st.st_mode & 0777))
		(void)fchmod(n->fd, mode);
}

static int cannot_open(const struct newfile *n, int err, struct sill_err *e)
{
	return sill_err_sys(e, err, n->replace ? "make a file beside '%s'" : "create '%s'",
			    n->name);
}

static int open_named(struct newfile *n, struct sill_err *e)
{
	int err;

	if (place_beside(&n->at, n->temp) < 0)
		return cannot_open(n, errno, e);
	image_name_lock();
	n->fd = openat(n->at.dir, n->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = errno;
	if (n->fd < 0)
		n->temp[0] = '\0';
	image_name_unlock(n->fd < 0 ? -1 : n->at.dir, n->temp);
	if (n->fd < 0)
		return cannot_open(n, err, e);
	/* What the directory's default ACL names would come back with a wider mode. */
	(void)fremovexattr(n->fd, ACL);
	return 0;
}

static int begin(struct newfile *n, const char *path, bool replace, struct sill_err *e)
{
	struct stat st;

	*n = (struct newfile){ .fd = -1, .held = -1, .replace = replace };
	(void)text_clean(n->name, sizeof(n->name), path, strlen(path));
	image_catch_signals();
	if (place_init(&n->at, path) < 0)
		return cannot_open(n, errno, e);
	n->is_there = fstatat(n->at.dir, n->at.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
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
	n->fd = place_nameless(&n->at);
	if (n->fd >= 0) {
		(void)fremovexattr(n->fd, ACL);
		return 0;
	}
	if (errno == EOPNOTSUPP)
		return open_named(n, e);
	return cannot_open(n, errno, e);
}

/* Is @fd what has this name, beside the other one? */
static bool is_at(const struct newfile *n, const char *name, int fd)
{
	struct stat a, b;

	return fstatat(n->at.dir, name, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &b) == 0 &&
	       pathfd_same(&a, &b);
}

static int refuse_moved(const struct newfile *n, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is another file than it was a moment ago",
			   n->name);
	return sill_err_hint(e, "somebody has replaced it, and it was left alone");
}

/* The other names would go on with the old contents, and nobody would notice. */
static int refuse_links(const struct newfile *n, int old, const char *hint, struct sill_err *e)
{
	struct stat st;

	if (fstat(old, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", n->name);
	if (st.st_nlink <= 1)
		return 0;
	(void)sill_err_set(e, SILL_ERR_STATE,
			   "'%s' has %lu names (hard links), and only this one would get the new "
			   "image",
			   n->name, (unsigned long)st.st_nlink);
	return sill_err_hint(e, "%s", hint);
}

int newfile_open(struct newfile *n, const char *path, bool replace, const struct image_access *like,
		 struct sill_err *e)
{
	if (begin(n, path, replace, e) < 0)
		return -1;
	if (like != NULL)
		n->access = *like;
	/* Nobody's disk is taken away from under them. */
	if (n->is_there) {
		n->held = image_open_file(path, true, e);
		if (n->held < 0)
			return -1;
		if (!is_at(n, n->at.name, n->held))
			return refuse_moved(n, e);
		if (refuse_links(n, n->held,
				 "remove it first, if the others are to stay as they are", e) < 0)
			return -1;
		if (like != NULL)
			image_access_add(&n->access, n->held);
		n->old = n->held;
	}
	return open_nameless(n, e);
}

int newfile_open_own(struct newfile *n, const char *path, const char *shown, int own,
		     struct sill_err *e)
{
	if (begin(n, path, true, e) < 0)
		return -1;
	(void)text_clean(n->name, sizeof(n->name), shown, strlen(shown));
	n->old = own;
	if (!is_at(n, n->at.name, own))
		return refuse_moved(n, e);
	if (refuse_links(
		    n, own,
		    "give it a file of its own first: cp --reflink=auto FILE NEW && mv NEW FILE",
		    e) < 0)
		return -1;
	return open_nameless(n, e);
}

static void copy_xattr(int from, int to, const char *name, void *buf, size_t size)
{
	const ssize_t n = fgetxattr(from, name, buf, size);

	/* Those of the system need rights that not everybody has. */
	if (n >= 0)
		(void)!fsetxattr(to, name, buf, (size_t)n, 0);
}

/* Attributes and the ACL. Returns whether that has one that could not be copied. */
static bool copy_xattrs(int from, int to)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(from, names, sizeof(names));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		copy_xattr(from, to, names + i, value, sizeof(value));
	return fgetxattr(from, ACL, NULL, 0) > 0 && fgetxattr(to, ACL, NULL, 0) <= 0;
}

void newfile_like(struct newfile *n, int fd)
{
	struct stat st, ours;
	mode_t mode;

	if (fstat(fd, &st) < 0)
		return;
	if (fchown(n->fd, st.st_uid, st.st_gid) < 0)
		(void)!fchown(n->fd, (uid_t)-1, st.st_gid);
	n->keep_mode = true;
	mode = st.st_mode & 07777;
	if (fstat(n->fd, &ours) < 0)
		return;
	if (ours.st_uid != st.st_uid || ours.st_gid != st.st_gid)
		mode &= 0777u;
	(void)fchmod(n->fd,
		     mode & 07700u); /* with an ACL the next line would grant what it names */
	if (copy_xattrs(fd, n->fd) || ours.st_gid != st.st_gid)
		mode &= 07707u | (mode & 07) << 3;
	(void)fchmod(n->fd, mode);
}

static void drop(int *fd)
{
	if (*fd >= 0)
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

static int move(const struct newfile *n, const char *from, const char *to, unsigned flags)
{
	return renameat2(n->at.dir, from, n->at.dir, to, flags);
}

/* Where nothing was. */
static int give_free_name(struct newfile *n, struct sill_err *e)
{
	if ((n->temp[0] == '\0' ? place_link(&n->at, n->fd, n->at.name)
				: place_take(&n->at, n->temp)) < 0)
		return sill_err_sys(e, errno, "'%s'", n->name);
	n->temp[0] = '\0';
	return 0;
}

/* The new file has the name in @n->temp, and that becomes the old one's. */
static int swap(struct newfile *n, struct sill_err *e)
{
	if (move(n, n->temp, n->at.name, RENAME_EXCHANGE) == 0) {
		if (is_at(n, n->temp, n->old)) {
			(void)unlinkat(n->at.dir, n->temp, 0);
			n->temp[0] = '\0';
			return 0;
		}
		if (move(n, n->temp, n->at.name, RENAME_EXCHANGE) < 0) {
			(void)sill_err_sys(e, errno, "'%s'", n->name);
			(void)sill_err_hint(e,
					    "somebody has replaced it meanwhile; that is '%.60s' "
					    "now, in its directory",
					    n->temp);
			n->temp[0] = '\0'; /* it is not ours to remove */
			return -1;
		}
		return refuse_moved(n, e);
	}
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return sill_err_sys(e, errno, "'%s'", n->name);
	if (!is_at(n, n->at.name, n->old))
		return refuse_moved(n, e);
	if (move(n, n->temp, n->at.name, 0) < 0)
		return sill_err_sys(e, errno, "'%s'", n->name);
	n->temp[0] = '\0';
	return 0;
}

static int replace(struct newfile *n, struct sill_err *e)
{
	if (n->temp[0] == '\0') {
		if (place_beside(&n->at, n->temp) < 0)
			return sill_err_sys(e, errno, "a name beside '%s'", n->name);
		if (place_link(&n->at, n->fd, n->temp) < 0) {
			const int err = errno;

			n->temp[0] = '\0';
			return sill_err_sys(e, err, "a name beside '%s'", n->name);
		}
	}
	return swap(n, e);
}

static int give_name(struct newfile *n, struct sill_err *e)
{
	int failed;

	image_name_lock();
	failed = n->is_there ? replace(n, e) : give_free_name(n, e);
	image_name_unlock(n->temp[0] != '\0' ? n->at.dir : -1, n->temp);
	return failed;
}

static int commit(struct newfile *n, struct sill_err *e)
{
	widen(n);
	if (fsync(n->fd) < 0)
		return sill_err_sys(e, errno, "sync '%s'", n->name);
	if (image_interrupted())
		return sill_err_set(e, SILL_ERR_STATE, "interrupted; nothing was changed");
	if (give_name(n, e) < 0)
		return -1;
	(void)close(n->fd);
	n->fd = -1;
	drop(&n->held);
	return place_sync(&n->at) == 0
		       ? 0
		       : sill_err_sys(e, errno, "sync the directory of '%s'", n->name);
}

int newfile_end(struct newfile *n, int failed, struct sill_err *e)
{
	if (failed == 0)
		failed = commit(n, e);
	/* What the caller asked for wrongly needs no such words. */
	if (failed != 0 && n->fd >= 0 && e->code == SILL_ERR_HOST)
		(void)sill_err_hint(
			e, n->is_there ? "'%s' is as it was" : "no '%s' was left behind", n->name);
	if (n->temp[0] != '\0') {
		image_name_lock();
		(void)unlinkat(n->at.dir, n->temp, 0);
		n->temp[0] = '\0';
		image_name_unlock(-1, "");
	}
	drop(&n->fd);
	drop(&n->held);
	place_fini(&n->at);
	return failed;
}
