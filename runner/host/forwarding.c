/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwarding.c - see forwarding.h.
 *
 * A file is called forwarding.NAMESPACE.INTERFACE: the network namespace's inode, since a name
 * means another interface in another one. It is empty: that it is there says all, 0 before and
 * 1 after. Who sees to it holds networks_lock(), so that nobody takes a file that another removes.
 */
#include "runner/host/forwarding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/proc.h"
#include "runner/host/subnet.h"

enum { PATH = 320 };

static int open_flag(const char *interface, int how)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%.15s/forwarding", interface);
	return open(path, how | O_CLOEXEC);
}

/* 0, 1, or -1: it cannot be read. */
static int get(const char *interface)
{
	const int fd = open_flag(interface, O_RDONLY);
	char c = 0;
	const bool got = fd >= 0 && read(fd, &c, 1) == 1;

	if (fd >= 0)
		(void)close(fd);
	return got ? c != '0' : -1;
}

static int set(const char *interface, bool on)
{
	const int fd = open_flag(interface, O_WRONLY);
	const ssize_t n = fd >= 0 ? write(fd, on ? "1" : "0", 1) : -1;

	if (fd >= 0)
		(void)close(fd);
	return n == 1 ? 0 : -1;
}

bool forwarding_is_on(const char *interface)
{
	return get(interface) == 1;
}

int forwarding_set(const char *interface, struct sill_err *e)
{
	if (get(interface) == 1 || set(interface, true) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "forwarding on '%s'", interface);
	return sill_err_hint(e, "that takes CAP_NET_ADMIN and a /proc/sys/net that can be written "
				"to; or leave out nat");
}

static bool prefix(char *dst, size_t size)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) < 0)
		return false;
	(void)snprintf(dst, size, "forwarding.%llu.", (unsigned long long)st.st_ino);
	return true;
}

static bool path_of(char dst[PATH], const char *dir, const char *interface)
{
	char before[48];

	if (!prefix(before, sizeof(before)))
		return false;
	(void)snprintf(dst, PATH, "%s/%s%s", dir, before, interface);
	return true;
}

int forwarding_init(struct forwarding *f, const char *dir, struct sill_err *e)
{
	*f = (struct forwarding){ 0 };
	if (strlen(dir) >= sizeof(f->dir))
		return sill_err_sys(e, ENAMETOOLONG, "'%s'", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return sill_err_sys(e, errno, "make '%s'", dir);
	(void)snprintf(f->dir, sizeof(f->dir), "%s", dir);
	return 0;
}

/* The file is on the disk before the flag is set. */
static int make_file(const char *dir, const char *path, struct sill_err *e)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	const int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && dir_fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0 && fsync(dir_fd) == 0) {
		(void)close(dir_fd);
		return fd;
	}
	(void)sill_err_sys(e, errno, "'%s'", path);
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool is_held(const struct forwarding *f, const char *interface)
{
	for (unsigned i = 0; i < f->count; i++)
		if (strcmp(f->list[i].name, interface) == 0)
			return true;
	return false;
}

int forwarding_hold(struct forwarding *f, const char *interface, struct sill_err *e)
{
	struct forwarded *w = &f->list[f->count];
	char path[PATH];

	if (is_held(f, interface))
		return 0;
	if (f->count == FORWARDING_MAX || !path_of(path, f->dir, interface))
		return sill_err_set(e, SILL_ERR_HOST, "'%s': too many interfaces", interface);
	/* On, and not by one of us: the host wants it. */
	if (get(interface) == 1 && access(path, F_OK) < 0)
		return 0;
	w->fd = make_file(f->dir, path, e);
	if (w->fd < 0)
		return -1;
	(void)snprintf(w->name, sizeof(w->name), "%s", interface);
	f->count++; /* from here on, forwarding_fini() sees to it */
	return 0;
}

int forwarding_start(const struct forwarding *f, struct sill_err *e)
{
	for (unsigned i = 0; i < f->count; i++)
		if (forwarding_set(f->list[i].name, e) < 0)
			return -1;
	return 0;
}

enum outcome { NEEDED, NO_RIGHT, PUT_BACK };

/* If nobody else needs it. */
static enum outcome put_back(int fd, const char *path, const char *interface)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return NEEDED;
	if (get(interface) == 1 && set(interface, false) < 0)
		return NO_RIGHT; /* the file stays for who has it */
	(void)unlink(path);
	return PUT_BACK;
}

void forwarding_fini(struct forwarding *f)
{
	const int lock = f->count > 0 ? networks_lock(&(struct sill_err){ 0 }) : -1;
	char path[PATH];

	for (unsigned i = 0; i < f->count; i++) {
		if (lock >= 0 && path_of(path, f->dir, f->list[i].name))
			(void)put_back(f->list[i].fd, path, f->list[i].name);
		(void)close(f->list[i].fd);
	}
	f->count = 0;
	if (lock >= 0)
		(void)close(lock);
}

static void clean(DIR *d, const char *dir, forwarding_fn fn, void *ctx)
{
	const char *name;
	char before[48], path[PATH];
	enum outcome now;

	if (!prefix(before, sizeof(before)))
		return;
	while ((name = dir_next(d)) != NULL) {
		const char *interface = name + strlen(before);
		int fd;

		if (strncmp(name, before, strlen(before)) != 0 ||
		    strlen(interface) >= IF_NAMESIZE || !path_of(path, dir, interface))
			continue;
		fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		now = put_back(fd, path, interface);
		(void)close(fd);
		if (fn != NULL && now != NEEDED)
			fn(ctx, interface, now == PUT_BACK);
	}
}

void forwarding_clean(const char *dir, forwarding_fn fn, void *ctx)
{
	DIR *d = opendir(dir);
	int lock;

	if (d == NULL)
		return;
	lock = networks_lock(&(struct sill_err){ 0 });
	if (lock >= 0) {
		clean(d, dir, fn, ctx);
		(void)close(lock);
	}
	(void)closedir(d);
}
