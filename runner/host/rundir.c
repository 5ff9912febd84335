/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rundir.c - see rundir.h.
 *
 * Who has the lock may remove the directory, so who has just got it looks whether the lock is still
 * the one by that name, and begins anew if not. The lock goes last of the files: a directory
 * without one belongs to nobody.
 */
#include "runner/host/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runner/host/lock.h"
#include "runner/host/proc.h"
#include "runner/host/replace.h"
#include "schema/store.h"

enum { TRIES = 16, MANIFEST_MAX = 4 << 20 };

static const char lock_name[] = "lock", pid_name[] = "pid", manifest_name[] = "manifest.yaml";

/* ---- where ---- */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int rundir_base(char ret[RUNDIR_BASE], struct sill_err *e)
{
	const char *ours = secure_getenv("SILL_RUNTIME_DIR"),
		   *user = secure_getenv("XDG_RUNTIME_DIR");
	const unsigned uid = (unsigned)geteuid();
	char own[32];
	int n;

	(void)snprintf(own, sizeof(own), "/run/user/%u", uid);
	if (ours != NULL && ours[0] == '/')
		n = snprintf(ret, RUNDIR_BASE, "%s", ours);
	else if (uid == 0)
		n = snprintf(ret, RUNDIR_BASE, "/run/sill");
	else if (user != NULL && user[0] == '/')
		n = snprintf(ret, RUNDIR_BASE, "%s/sill", user);
	else if (is_directory(own))
		n = snprintf(ret, RUNDIR_BASE, "%s/sill", own);
	else
		n = snprintf(ret, RUNDIR_BASE, "/tmp/sill-%u", uid);
	if (n >= 0 && n < RUNDIR_BASE)
		return 0;
	return sill_err_sys(e, ENAMETOOLONG, "the directory of running VMs");
}

bool rundir_is_name(const char *name)
{
	const size_t n = strlen(name);

	return n > 0 && n < sizeof(((struct rundir *)NULL)->name) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       n &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* What others could put names into is not used: they would choose what we lock, write and remove. */
static int open_own(int at, const char *name, const char *path, struct sill_err *e)
{
	const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		(void)sill_err_sys(e, errno, "'%s'", path);
		return -1;
	}
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return fd;
	(void)close(fd);
	(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is not this user's alone", path);
	return -1;
}

static int open_base(bool make, char path[RUNDIR_BASE], struct sill_err *e)
{
	if (rundir_base(path, e) < 0)
		return -1;
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST) {
		(void)sill_err_sys(e, errno, "make '%s'", path);
		return -1;
	}
	return open_own(AT_FDCWD, path, path, e);
}

/* ---- the lock ---- */

static bool is_still(int dir, const char *name, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static int refuse(const struct rundir *d, struct sill_err *e)
{
	char command[112];
	long pid;

	if (lock_holder(d->lock, &pid, command, sizeof(command)))
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' runs already: process %ld (%s)",
				   d->name, pid, command);
	else
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' runs already", d->name);
	return sill_err_hint(e, "two VMs of one name cannot run at once: stop it, or give this one "
				"another 'name'");
}

static void forget(struct rundir *d)
{
	if (d->lock >= 0)
		(void)close(d->lock);
	if (d->fd >= 0)
		(void)close(d->fd);
	d->lock = d->fd = -1;
}

/* 1: the lock is ours; 0: it was removed meanwhile; -1 and @e. */
static int try_lock(struct rundir *d, struct sill_err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool taken;

	if (mkdirat(d->base, d->name, 0700) < 0 && errno != EEXIST)
		return sill_err_sys(e, errno, "make '%s'", d->path);
	d->fd = openat(d->base, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		return errno == ENOENT ? 0 : sill_err_sys(e, errno, "'%s'", d->path);
	d->lock = openat(d->fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return errno == ENOENT ? 0 : sill_err_sys(e, errno, "'%s/lock'", d->path);
	taken = fcntl(d->lock, F_OFD_SETLK, &lock) == 0;
	if (!taken && errno != EAGAIN && errno != EACCES)
		return sill_err_sys(e, errno, "lock '%s/lock'", d->path);
	if (!is_still(d->fd, lock_name, d->lock) || !is_still(d->base, d->name, d->fd))
		return 0;
	return taken ? 1 : refuse(d, e);
}

static int take(struct rundir *d, struct sill_err *e)
{
	for (unsigned i = 0; i < TRIES; i++) {
		const int ret = try_lock(d, e);

		if (ret > 0)
			return 0;
		forget(d);
		if (ret < 0)
			return -1;
	}
	return sill_err_set(e, SILL_ERR_HOST, "'%s': others make and remove it", d->path);
}

/* Of a VM in the background, for who asks what has become of it. */
static const char *const kept[] = { "up.json",    "wanted.json",  "vm.log",    "vm.log.1",
				    "serial.log", "serial.log.1", "crash.json" };

static bool is_kept(const char *name)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(kept[i], name) == 0)
			return true;
	return false;
}

/* Everything but the lock, which is held, and what is kept. What is no file stays, and with it the directory. */
static void empty(int fd, bool keeps)
{
	const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const char *name;

	if (d == NULL) {
		if (copy >= 0)
			(void)close(copy);
		return;
	}
	while ((name = dir_next(d)) != NULL)
		if (strcmp(name, lock_name) != 0 && !(keeps && is_kept(name)))
			(void)unlinkat(fd, name, 0);
	(void)closedir(d);
}

static void remove_all(struct rundir *d)
{
	empty(d->fd, false);
	(void)unlinkat(d->fd, lock_name, 0);
	(void)unlinkat(d->base, d->name, AT_REMOVEDIR);
}

static int open_as(struct rundir *d, const char *name, bool keeps, struct sill_err *e)
{
	char base[RUNDIR_BASE], pid[24];
	int n;

	*d = (struct rundir){ .base = -1, .fd = -1, .lock = -1 };
	if (!rundir_is_name(name))
		return sill_err_set(e, SILL_ERR_HOST, "'%s' can be no directory", name);
	d->base = open_base(true, base, e);
	if (d->base < 0)
		return -1;
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	(void)snprintf(d->path, sizeof(d->path), "%s/%s", base, d->name);
	if (take(d, e) < 0) {
		(void)close(d->base);
		return -1;
	}
	d->there = true;
	d->keeps = keeps;
	empty(d->fd, keeps);
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* No room for it, and there is none for the manifest either, which says so. The name is taken. */
	(void)rundir_write(d, pid_name, pid, (size_t)n, &(struct sill_err){ 0 });
	return 0;
}

int rundir_open(struct rundir *d, const char *name, struct sill_err *e)
{
	return open_as(d, name, false, e);
}

int rundir_open_kept(struct rundir *d, const char *name, struct sill_err *e)
{
	return open_as(d, name, true, e);
}

void rundir_close(struct rundir *d)
{
	if (!d->there)
		return;
	if (d->keeps)
		empty(d->fd, true);
	else
		remove_all(d);
	forget(d);
	(void)close(d->base);
	d->there = false;
}

/* ---- what is in it ---- */

/* @lasts: it is on the disk when this returns. */
static int write_whole(const struct rundir *d, const char *file, const struct iovec *text,
		       bool lasts, struct sill_err *e)
{
	char beside[NAME_MAX];
	int fd, err = 0;

	(void)snprintf(beside, sizeof(beside), ".%.200s.new", file);
	fd = openat(d->fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sill_err_sys(e, errno, "'%s/%s'", d->path, file);
	if (file_write_all(fd, text->iov_base, text->iov_len) < 0 || (lasts && fsync(fd) < 0))
		err = errno;
	if (close(fd) < 0 && err == 0)
		err = errno;
	if (err == 0 && renameat(d->fd, beside, d->fd, file) < 0)
		err = errno;
	if (err == 0)
		return 0;
	(void)unlinkat(d->fd, beside, 0);
	return sill_err_sys(e, err, "'%s/%s'", d->path, file);
}

int rundir_write(const struct rundir *d, const char *file, const void *text, size_t n,
		 struct sill_err *e)
{
	return write_whole(d, file, &(struct iovec){ (void *)(uintptr_t)text, n }, true, e);
}

int rundir_write_soon(const struct rundir *d, const char *file, const void *text, size_t n,
		      struct sill_err *e)
{
	return write_whole(d, file, &(struct iovec){ (void *)(uintptr_t)text, n }, false, e);
}

int rundir_write_manifest(const struct rundir *d, const struct sill_config *c, struct sill_err *e)
{
	size_t n;
	char *text = store_save(c, &n, e);
	int ret = text != NULL ? rundir_write(d, manifest_name, text, n, e) : -1;

	free(text);
	return ret;
}

/* ---- for others ---- */

/* Who holds the lock @fd of the directory @dir, mostly as it says there; 0: nobody knows. */
static long owner(int dir, int fd)
{
	const int file = openat(dir, pid_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[24] = { 0 }, command[16];
	long pid = 0;

	if (file >= 0 && read(file, text, sizeof(text) - 1) > 0)
		pid = strtol(text, NULL, 10);
	if (file >= 0)
		(void)close(file);
	if (pid > 0 && lock_is_held_by(fd, pid))
		return pid;
	pid = 0;
	(void)lock_holder(fd, &pid, command, sizeof(command));
	return pid;
}

/* Does somebody hold the lock of the directory @dir? */
static bool is_alive(int dir, long *ret_pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	const int fd = openat(dir, lock_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	bool alive = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

	*ret_pid = alive ? owner(dir, fd) : 0;
	if (fd >= 0)
		(void)close(fd);
	return alive;
}

bool rundir_look(const char *name, struct rundir_vm *ret, bool *ret_runs)
{
	char base[RUNDIR_BASE];
	int fd, dir;

	*ret = (struct rundir_vm){ 0 };
	*ret_runs = false;
	if (!rundir_is_name(name) || rundir_base(base, &(struct sill_err){ 0 }) < 0)
		return false;
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	(void)snprintf(ret->path, sizeof(ret->path), "%s/%s", base, ret->name);
	dir = open_base(false, base, &(struct sill_err){ 0 });
	if (dir < 0)
		return false;
	fd = open_own(dir, name, ret->path, &(struct sill_err){ 0 });
	(void)close(dir);
	if (fd < 0)
		return false;
	*ret_runs = is_alive(fd, &ret->pid);
	(void)close(fd);
	return true;
}

/* Is it to be started again when it has ended (up/keeper.h)? */
static bool has_keeper(const char *name)
{
	char keeper[NAME_MAX];

	(void)snprintf(keeper, sizeof(keeper), "keep-%.200s", name);
	return rundir_is_name(name) && rundir_locker(keeper) != 0;
}

int rundir_find(const char *name, struct rundir_vm *ret, struct sill_err *e)
{
	char base[RUNDIR_BASE];
	bool runs;

	if (rundir_base(base, e) < 0)
		return -1;
	if (rundir_look(name, ret, &runs) && runs)
		return 0;
	(void)sill_err_set(e, SILL_ERR_STATE, "no VM named '%.63s' runs", name);
	if (has_keeper(name))
		return sill_err_hint(e, "it does not run just now, and is about to be started");
	return sill_err_hint(e, "of this user: looked in '%s'", base);
}

static char *read_all(const char *path, size_t *ret_n)
{
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	char *text = NULL;
	ssize_t got = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MANIFEST_MAX)
		text = malloc((size_t)st.st_size + 1);
	if (text != NULL)
		got = read(fd, text, (size_t)st.st_size);
	if (fd >= 0)
		(void)close(fd);
	if (got >= 0) {
		*ret_n = (size_t)got;
		text[got] = '\0';
		return text;
	}
	free(text);
	return NULL;
}

char *rundir_read(const struct rundir_vm *vm, const char *file, size_t *ret_n)
{
	char path[RUNDIR_PATH + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", vm->path, file);
	return read_all(path, ret_n);
}

int rundir_reach(const struct rundir_vm *vm, struct rundir *ret, struct sill_err *e)
{
	*ret = (struct rundir){
		.base = -1,
		.lock = -1,
		.fd = open(vm->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
	};
	if (ret->fd < 0)
		return sill_err_sys(e, errno, "'%s'", vm->path);
	memcpy(ret->path, vm->path, sizeof(ret->path));
	return 0;
}

int rundir_read_manifest(const struct rundir_vm *vm, struct sill_config *ret, struct sill_err *e)
{
	char path[RUNDIR_PATH + 16], *text;
	size_t n = 0;
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", vm->path, manifest_name);
	text = read_all(path, &n);
	if (text == NULL)
		return sill_err_set(e, SILL_ERR_HOST, "'%s' cannot be read", path);
	err = store_load(text, n, ret, e);
	free(text);
	return err;
}

/* Did it remove it? The lock is taken meanwhile, so that no VM of that name begins in it. */
static bool clean_one(int base, const char *name, const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct rundir d = { .base = base, .fd = -1, .lock = -1 };
	bool gone = false;

	(void)snprintf(d.name, sizeof(d.name), "%s", name);
	d.fd = open_own(base, name, path, &(struct sill_err){ 0 });
	if (d.fd >= 0)
		d.lock = openat(d.fd, lock_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (d.lock >= 0 && fcntl(d.lock, F_OFD_SETLK, &lock) == 0 &&
	    is_still(d.fd, lock_name, d.lock) && is_still(base, name, d.fd)) {
		remove_all(&d);
		gone = true;
	} else if (d.fd >= 0 && d.lock < 0) {
		gone = unlinkat(base, name, AT_REMOVEDIR) == 0; /* empty, or it stays */
	}
	forget(&d);
	return gone;
}

/* All names in the base: @fn gets the base, open, and the name. */
static void each_name(void (*fn)(void *ctx, int base, const char *path, const char *name),
		      void *ctx)
{
	char path[RUNDIR_BASE];
	const int base = open_base(false, path, &(struct sill_err){ 0 });
	const int copy = base >= 0 ? openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const char *name;

	while (d != NULL && (name = dir_next(d)) != NULL)
		if (rundir_is_name(name))
			fn(ctx, base, path, name);
	if (d != NULL)
		(void)closedir(d);
	else if (copy >= 0)
		(void)close(copy);
	if (base >= 0)
		(void)close(base);
}

struct looking {
	void (*fn)(void *ctx, const struct rundir_vm *vm, bool runs);
	void *ctx;
};

static void look_at(void *ctx, int base, const char *path, const char *name)
{
	const struct looking *l = ctx;
	struct rundir_vm vm;
	bool runs;

	(void)base;
	(void)path;
	if (rundir_look(name, &vm, &runs))
		l->fn(l->ctx, &vm, runs);
}

void rundir_each(void (*fn)(void *ctx, const struct rundir_vm *vm, bool runs), void *ctx)
{
	struct looking l = { fn, ctx };

	each_name(look_at, &l);
}

bool rundir_forget(const char *name)
{
	char path[RUNDIR_BASE];
	const int base = open_base(false, path, &(struct sill_err){ 0 });
	bool gone;

	if (base < 0)
		return false;
	gone = rundir_is_name(name) && clean_one(base, name, path);
	(void)close(base);
	return gone;
}

int rundir_lock(const char *name, struct sill_err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[RUNDIR_BASE], file[NAME_MAX];
	const int base = open_base(true, path, e);
	int fd, err;

	if (base < 0)
		return -1;
	(void)snprintf(file, sizeof(file), ".%.200s", name);
	fd = openat(base, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = fd < 0 ? errno : 0;
	(void)close(base);
	if (fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0)
		return fd;
	if (fd >= 0) {
		err = errno;
		(void)close(fd);
	}
	if (err == EAGAIN || err == EACCES)
		return sill_err_set(e, SILL_ERR_STATE, "another `sill %s` is at work", name);
	return sill_err_sys(e, err, "lock '%s/%s'", path, file);
}

/* Its file, open; -1: there is none. */
static int open_lock(const char *name, int *ret_base, char file[NAME_MAX])
{
	char path[RUNDIR_BASE];
	struct sill_err unused = { 0 };

	*ret_base = open_base(false, path, &unused);
	(void)snprintf(file, NAME_MAX, ".%.200s", name);
	return *ret_base < 0 ? -1 : openat(*ret_base, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

static long holder(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

long rundir_locker(const char *name)
{
	char file[NAME_MAX];
	int base;
	const int fd = open_lock(name, &base, file);
	const long pid = holder(fd);

	if (fd >= 0)
		(void)close(fd);
	if (base >= 0)
		(void)close(base);
	return pid;
}

void rundir_unlock(const char *name)
{
	char file[NAME_MAX];
	int base;
	const int fd = open_lock(name, &base, file);

	if (fd >= 0 && holder(fd) == 0)
		(void)unlinkat(base, file, 0);
	if (fd >= 0)
		(void)close(fd);
	if (base >= 0)
		(void)close(base);
}

struct cleaning {
	void (*fn)(void *ctx, const char *name);
	void *ctx;
	unsigned count;
};

static void clean_name(void *ctx, int base, const char *path, const char *name)
{
	struct cleaning *c = ctx;

	if (has_keeper(name) || !clean_one(base, name, path))
		return;
	c->count++;
	if (c->fn != NULL)
		c->fn(c->ctx, name);
}

unsigned rundir_clean(void (*fn)(void *ctx, const char *name), void *ctx)
{
	struct cleaning c = { fn, ctx, 0 };

	each_name(clean_name, &c);
	return c.count;
}
