/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwarding.c - see forwarding.h.
 *
 * The file (leftover.h) is empty: that it is there says all, 0 before and 1 after.
 */
#include "runner/host/forwarding.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/leftover.h"
#include "runner/host/subnet.h"

static const char kind[] = "forwarding";

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

int forwarding_init(struct forwarding *f, const char *dir, struct sill_err *e)
{
	*f = (struct forwarding){ 0 };
	if (leftover_dir(dir, e) < 0)
		return -1;
	(void)snprintf(f->dir, sizeof(f->dir), "%s", dir);
	return 0;
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
	char path[LEFTOVER_PATH];

	if (is_held(f, interface))
		return 0;
	if (f->count == FORWARDING_MAX || !leftover_path(path, f->dir, kind, interface))
		return sill_err_set(e, SILL_ERR_HOST, "'%s': too many interfaces", interface);
	/* On, and not by one of us: the host wants it. */
	if (get(interface) == 1 && access(path, F_OK) < 0)
		return 0;
	w->fd = leftover_make(f->dir, path, e);
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

/* Nobody else needs it. */
static bool put_back(int fd, const char *path, const char *interface)
{
	(void)fd;
	if (get(interface) == 1 && set(interface, false) < 0)
		return false; /* no right to: the file stays for who has it */
	(void)unlink(path);
	return true;
}

void forwarding_fini(struct forwarding *f)
{
	const int lock = f->count > 0 ? networks_lock_to_clean() : -1;
	char path[LEFTOVER_PATH];

	for (unsigned i = 0; i < f->count; i++) {
		if (lock >= 0 && leftover_path(path, f->dir, kind, f->list[i].name) &&
		    leftover_is_ours(f->list[i].fd))
			(void)put_back(f->list[i].fd, path, f->list[i].name);
		(void)close(f->list[i].fd);
	}
	f->count = 0;
	if (lock >= 0)
		(void)close(lock);
}

void forwarding_clean(const char *dir, leftover_told *fn, void *ctx)
{
	leftover_each(dir, &(struct leftover_kind){ kind, put_back, fn, ctx });
}
