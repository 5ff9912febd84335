/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - from a path to an image with all that is below it.
 *
 * A header may name any file of this host. So what it names is opened only for
 * a verb, or with an option, that says to follow it; for reading; and as the
 * format that the overlay states. Where old images state none it is an error: a
 * guest may have written the header of an overlay into its raw disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/chain.h"
#include "runner/host/lock.h"
#include "runner/host/pathfd.h"
#include "runner/image/image.h"
#include "runner/report/text.h"

static const char *shown(char *dst, size_t size, const char *s)
{
	return text_clean(dst, size, s, strlen(s));
}

/* 0, or -1 and @e: nothing else is opened, for there are devices that act by being opened. */
static int refuse_type(const char *path, const struct stat *st, struct sill_err *e)
{
	char name[200];

	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%s' is neither a file nor a block device",
			    shown(name, sizeof(name), path));
}

/* What @found is, opened and locked. */
static int open_found(int found, const char *path, const struct stat *st, bool write,
		      struct sill_err *e)
{
	/* For a block device O_EXCL means: and the host uses it for nothing else. */
	const int own = write && S_ISBLK(st->st_mode) ? O_EXCL : 0;
	char name[200];
	int fd;

	(void)shown(name, sizeof(name), path);
	if (refuse_type(path, st, e) < 0)
		return -1;
	fd = pathfd_open(found, path, (write ? O_RDWR : O_RDONLY) | own | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && errno == EBUSY && own != 0) {
		(void)lock_tell_owner(found, path, e);
		return -1;
	}
	if (fd < 0) {
		(void)sill_err_sys(e, errno, "open '%s'", name);
		return -1;
	}
	if (lock_image(fd, write, name, e) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int open_once(const char *path, bool write, struct sill_err *e)
{
	char name[200];
	struct stat st;
	const int found = pathfd_find(path, &st);
	int fd;

	if (found < 0)
		return sill_err_sys(e, errno, "open '%s'", shown(name, sizeof(name), path));
	fd = open_found(found, path, &st, write, e);
	(void)close(found);
	return fd;
}

int image_open_file(const char *path, bool write, struct sill_err *e)
{
	char name[200];

	for (int i = 0; i < LOCK_TRIES; i++) {
		const int fd = open_once(path, write, e);

		if (fd < 0 || !lock_is_late(fd, path))
			return fd;
		(void)close(fd);
	}
	return sill_err_set(e, SILL_ERR_HOST, "'%s' is replaced again and again",
			    shown(name, sizeof(name), path));
}

int image_resolve(const char *path, const char *name, char ret[PATH_MAX], struct sill_err *e)
{
	const char *slash = strrchr(path, '/'), *plain = chain_plain_name(name);
	char text[120];
	int n;

	if (plain == NULL || plain[0] == '\0') {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "'%.80s' names '%s', which is not a file's name", path,
				   shown(text, sizeof(text), name));
		return sill_err_hint(e, "only files and block devices can be opened");
	}
	if (plain[0] == '/' || plain != name || slash == NULL)
		n = snprintf(ret, PATH_MAX, "%s", plain);
	else
		n = snprintf(ret, PATH_MAX, "%.*s/%s", (int)(slash - path), path, plain);
	if (n < 0 || n >= PATH_MAX)
		return sill_err_set(e, SILL_ERR_LIMIT, "'%.80s' names a file with too long a name",
				    path);
	return 0;
}

int image_header_name(const char *top, const char *base, char ret[PATH_MAX], struct sill_err *e)
{
	/* "a:b.raw" would be the file b.raw of a protocol a. */
	const char *here = chain_plain_name(base) == base ? "" : "./";
	char name[200];
	int n;

	if (base[0] != '/' && strchr(top, '/') != NULL) {
		if (realpath(base, ret) == NULL)
			return sill_err_sys(e, errno, "'%s'", shown(name, sizeof(name), base));
		return 0;
	}
	n = snprintf(ret, PATH_MAX, "%s%s", here, base);
	if (n >= 0 && n < PATH_MAX)
		return 0;
	return sill_err_sys(e, ENAMETOOLONG, "'%s'", shown(name, sizeof(name), base));
}

static int look_at(int fd, const char *path, const enum sill_disk_format *format,
		   struct sill_image_info *ret, struct sill_err *e)
{
	enum sill_disk_format told;

	if (format == NULL && sill_image_tell(fd, &told, e) < 0)
		return -1;
	return sill_image_info(fd, path, format != NULL ? *format : told, ret, e);
}

int image_look(const char *path, const enum sill_disk_format *format, struct sill_image_info *ret,
	       struct sill_err *e)
{
	struct stat st;
	char name[200];
	int found = pathfd_find(path, &st), fd, failed = -1;

	(void)shown(name, sizeof(name), path);
	if (found < 0)
		return sill_err_sys(e, errno, "open '%s'", name);
	if (refuse_type(path, &st, e) == 0) {
		/* Not locked: a running VM's header may be looked at. */
		fd = pathfd_open(found, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		failed = fd < 0 ? sill_err_sys(e, errno, "open '%s'", name)
				: look_at(fd, name, format, ret, e);
		if (fd >= 0)
			(void)close(fd);
	}
	(void)close(found);
	return failed;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (stat(a, &x) < 0 || stat(b, &y) < 0)
		return false;
	return pathfd_same(&x, &y);
}

int image_check_loop(const struct image_trail *t, const char *name, const char *said,
		     struct sill_err *e)
{
	char from[120], to[120];

	for (const struct image_trail *k = t; k != NULL; k = k->above) {
		if (!same_file(k->path, name))
			continue;
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' names '%s', which is %s: a loop",
				   shown(from, sizeof(from), t->path), shown(to, sizeof(to), said),
				   k == t ? "itself" : "above it");
		return sill_err_hint(e, "no image can be made on itself: the name in it is wrong");
	}
	return 0;
}

static struct sill_image *open_level(const struct image_want *w, const struct image_trail *above,
				     struct sill_err *e);

static unsigned depth_of(const struct image_trail *t)
{
	unsigned n = 0;

	for (; t != NULL; t = t->above)
		n++;
	return n;
}

/* What the header @f of @path names; @fd: open already, -1: not. */
static int open_below(const struct image_trail *t, const struct sill_image_info *f, int fd,
		      int data_fd, struct sill_image **ret, struct sill_err *e)
{
	struct image_want below = { .format = f->backing_format,
				    .follow = true,
				    .access = t->access,
				    .salvage = t->salvage,
				    .fd_given = fd >= 0,
				    .fd = fd,
				    .data_fd = data_fd };
	const char *path = t->path;
	char name[PATH_MAX], text[120];

	if (image_resolve(path, f->backing, name, e) < 0 ||
	    image_check_loop(t, name, f->backing, e) < 0)
		return -1;
	if (depth_of(t) >= SILL_IMAGE_MAX_DEPTH)
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %u images on top of each other",
				    SILL_IMAGE_MAX_DEPTH);
	if (!f->has_backing_format && f->backing_format_said[0] != '\0') {
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "'%.80s' says that what is below it is a '%s' image", path,
				   shown(text, sizeof(text), f->backing_format_said));
		return sill_err_hint(e, "only raw and qcow2 can be below an image");
	}
	if (!f->has_backing_format) {
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "'%.80s' does not say which format '%s' below it has", path,
				   shown(text, sizeof(text), f->backing));
		return sill_err_hint(e, "say it once: sill image rebase --unsafe --backing FILE "
					"--backing-format F TOP");
	}
	below.path = name;
	*ret = open_level(&below, t, e);
	return *ret == NULL ? -1 : 0;
}

int image_open_named(const struct image_named *n, char ret_path[PATH_MAX], struct sill_err *e)
{
	char said[120], given[120];
	int fd;

	(void)shown(said, sizeof(said), n->said);
	if (n->given == NULL) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%.100s' %s '%s', which would be written to",
				   n->path, n->relation, said);
		return sill_err_hint(e, "if that is meant, add --%s and its name", n->option);
	}
	if (n->said[0] == '\0')
		(void)snprintf(ret_path, PATH_MAX, "%s", n->given);
	else if (image_resolve(n->path, n->said, ret_path, e) < 0)
		return -1;
	/* The person's name is the one to trust, in case one of the two changes. */
	if (same_file(ret_path, n->given)) {
		fd = image_open_file(n->given, true, e);
		if (fd < 0 || pathfd_leads_to(ret_path, fd))
			return fd;
		(void)close(fd);
	}
	return sill_err_set(e, SILL_ERR_STATE, "'%.80s' %s '%s', not %s '%s'", n->path, n->relation,
			    said, strrchr(n->relation, ' ') + 1,
			    shown(given, sizeof(given), n->given));
}

int image_open_data_file(const char *path, const struct sill_image_info *f, const char *data_file,
			 const char *option, int *ret_fd, char ret_path[PATH_MAX],
			 struct sill_err *e)
{
	const struct image_named n = { path, f->data_file, data_file, "has its data in", option };

	*ret_fd = -1;
	if (!f->has_data_file && data_file == NULL)
		return 0;
	if (!f->has_data_file) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%.100s' has its data itself", path);
		return sill_err_hint(e, "leave --%s out", option);
	}
	*ret_fd = image_open_named(&n, ret_path, e);
	return *ret_fd < 0 ? -1 : 0;
}

int image_open_data(int fd, const char *path, bool write, struct sill_image **ret,
		    struct sill_err *e)
{
	struct sill_image_source s = { .path = path, .format = SILL_DISK_RAW, .readonly = !write };

	*ret = NULL;
	if (fd < 0)
		return 0;
	s.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s.fd < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	*ret = sill_image_open(&s, e);
	return *ret == NULL ? -1 : 0;
}

static int open_data(const struct image_want *w, const char *name, struct sill_image **ret,
		     struct sill_err *e)
{
	struct sill_image_source s = { .format = SILL_DISK_RAW, .readonly = !w->write };
	char path[PATH_MAX];

	if (name[0] == '\0')
		return sill_err_set(e, SILL_ERR_HOST, "the image does not say where its data are");
	if (image_resolve(w->path, name, path, e) < 0)
		return -1;
	if (w->fd_given && w->data_fd >= 0)
		return image_open_data(w->data_fd, path, w->write, ret, e);
	s.path = path;
	s.fd = image_open_file(path, w->write, e);
	if (s.fd < 0)
		return -1;
	if (w->access != NULL)
		image_access_add(w->access, s.fd);
	*ret = sill_image_open(&s, e);
	return *ret == NULL ? -1 : 0;
}

static int may_follow(const struct image_want *w, const char *name, struct sill_err *e)
{
	char text[120];

	if (w->follow)
		return 0;
	(void)sill_err_set(e, SILL_ERR_STATE, "'%.100s' is made on top of '%s'", w->path,
			   shown(text, sizeof(text), name));
	return sill_err_hint(e, "%s", w->hint != NULL ? w->hint : "add --chain to read that too");
}

static int dup_file(int fd, const char *path, struct sill_err *e)
{
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		(void)sill_err_sys(e, errno, "'%s'", path);
	return copy;
}

static struct sill_image *open_level(const struct image_want *w, const struct image_trail *above,
				     struct sill_err *e)
{
	const struct image_trail here = {
		.path = w->path, .above = above, .access = w->access, .salvage = w->salvage
	};
	struct sill_image_source s = { .path = w->path,
				       .readonly = !w->write,
				       .salvage = w->salvage };
	struct sill_image_info *f = calloc(1, sizeof(*f));

	if (f == NULL)
		s.fd = -1;
	else if (w->fd_given)
		s.fd = dup_file(w->fd, w->path, e);
	else
		s.fd = image_open_file(w->path, w->write, e);
	if (f == NULL)
		(void)sill_err_sys(e, ENOMEM, "'%s'", w->path);
	if (s.fd >= 0 && w->access != NULL)
		image_access_add(w->access, s.fd);
	if (s.fd < 0 || look_at(s.fd, w->path, &w->format, f, e) < 0)
		goto fail;
	s.format = f->format;
	if (f->backing[0] != '\0' &&
	    (may_follow(w, f->backing, e) < 0 || open_below(&here, f, -1, -1, &s.backing, e) < 0))
		goto fail;
	if (f->has_data_file &&
	    (may_follow(w, f->data_file, e) < 0 || open_data(w, f->data_file, &s.data, e) < 0))
		goto fail;
	free(f);
	return sill_image_open(&s, e);

fail:
	sill_image_close(s.backing);
	if (s.fd >= 0)
		(void)close(s.fd);
	free(f);
	return NULL;
}

int image_open_below(const char *path, const struct sill_image_info *f, int base_fd,
		     int base_data_fd, struct sill_image **ret, struct sill_err *e)
{
	const struct image_trail t = { .path = path };

	*ret = NULL;
	return f->backing[0] == '\0' ? 0 : open_below(&t, f, base_fd, base_data_fd, ret, e);
}

struct sill_image *image_open(const struct image_want *w, struct sill_err *e)
{
	const struct image_trail above = { .path = w->above };

	return open_level(w, w->above != NULL ? &above : NULL, e);
}
