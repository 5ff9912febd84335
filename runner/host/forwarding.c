/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwarding.c - see forwarding.h.
 *
 * That the file (leftover.h) is there says what the flag was, and what it is. See is_wanted() for what is in it.
 */
#include "runner/host/forwarding.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/leftover.h"
#include "runner/host/subnet.h"

static const struct {
	const char *kind, *family, *file;
	char off, on;
} flags[] = {
	[FORWARDING_IPV4] = { "forwarding", "ipv4", "forwarding", '0', '1' },
	[FORWARDING_IPV6] = { "forwarding6", "ipv6", "force_forwarding", '0', '1' },
	[FORWARDING_BELIEVE] = { "accept_ra", "ipv6", "accept_ra", '1', '2' },
	[FORWARDING_ROUTER6] = { "router6", "ipv6", "forwarding", '0', '1' },
	[FORWARDING_ALL_IPV6] = { "forwarding6-all", "ipv6", "forwarding", '0', '1' },
};
_Static_assert(sizeof(flags) / sizeof(flags[0]) == FORWARDING_FLAGS, "one of each");

static int open_flag(enum forwarding_flag flag, const char *interface, int how)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%.15s/%s", flags[flag].family,
		       interface, flags[flag].file);
	return open(path, how | O_CLOEXEC);
}

/* Its value, or '\0': it cannot be read. */
static char get(enum forwarding_flag flag, const char *interface)
{
	const int fd = open_flag(flag, interface, O_RDONLY);
	char c = '\0';

	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = '\0';
	if (fd >= 0)
		(void)close(fd);
	return c;
}

static int set(enum forwarding_flag flag, const char *interface, char c)
{
	const int fd = open_flag(flag, interface, O_WRONLY);
	const ssize_t n = fd >= 0 ? write(fd, &c, 1) : -1;

	if (fd >= 0)
		(void)close(fd);
	return n == 1 ? 0 : -1;
}

bool forwarding_is_there(enum forwarding_flag flag, const char *interface)
{
	return get(flag, interface) != '\0';
}

bool forwarding_is_on(enum forwarding_flag flag, const char *interface)
{
	return get(flag, interface) == flags[flag].on;
}

int forwarding_set(enum forwarding_flag flag, const char *interface, struct sill_err *e)
{
	const char c = get(flag, interface);

	/* One that is neither is as the host wants it. */
	if ((c != flags[flag].off && c != '\0') || set(flag, interface, flags[flag].on) == 0)
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

bool forwarding_holds(const struct forwarding *f, enum forwarding_flag flag, const char *interface)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->list[i].flag == flag && strcmp(f->list[i].name, interface) == 0)
			return true;
	return false;
}

int forwarding_hold(struct forwarding *f, enum forwarding_flag flag, const char *interface,
		    struct sill_err *e)
{
	struct forwarded *w = &f->list[f->count];
	char path[LEFTOVER_PATH];

	if (forwarding_holds(f, flag, interface))
		return 0;
	if (f->count == FORWARDING_MAX || !leftover_path(path, f->dir, flags[flag].kind, interface))
		return sill_err_set(e, SILL_ERR_HOST, "'%s': too many interfaces", interface);
	/* Not off, and not by one of us: the host wants it so. */
	if (get(flag, interface) != flags[flag].off && access(path, F_OK) < 0)
		return 0;
	w->fd = leftover_make(f->dir, path, e);
	if (w->fd < 0)
		return -1;
	if (flag == FORWARDING_IPV4 && get(flag, interface) == flags[flag].off &&
	    forwarding_is_on(flag, "all") && pwrite(w->fd, "1", 1, 0) != 1) {
		(void)sill_err_sys(e, errno, "'%s'", path);
		(void)close(w->fd);
		return -1;
	}
	w->flag = flag;
	(void)snprintf(w->name, sizeof(w->name), "%s", interface);
	f->count++; /* from here on, forwarding_fini() sees to it */
	return 0;
}

int forwarding_start(const struct forwarding *f, struct sill_err *e)
{
	for (unsigned i = 0; i < f->count; i++)
		if (forwarding_set(f->list[i].flag, f->list[i].name, e) < 0)
			return -1;
	return 0;
}

/*
 * The whole host forwards by now, and did not when it began: somebody else (Docker, a VPN) counts on each interface
 * since. The file has a letter where the host did forward, and this interface did not.
 */
static bool is_wanted(enum forwarding_flag flag, int fd)
{
	char c;

	return flag == FORWARDING_IPV4 && forwarding_is_on(flag, "all") && pread(fd, &c, 1, 0) == 0;
}

/* Nobody else needs it. What somebody has changed since stays as it is. */
static bool put_back(enum forwarding_flag flag, int fd, const char *path, const char *interface)
{
	if (!is_wanted(flag, fd) && get(flag, interface) == flags[flag].on &&
	    set(flag, interface, flags[flag].off) < 0)
		return false; /* no right to: the file stays for who has it */
	(void)unlink(path);
	return true;
}

/* In the opposite order. */
void forwarding_fini(struct forwarding *f)
{
	const int lock = f->count > 0 ? networks_lock_to_clean() : -1;
	char path[LEFTOVER_PATH];

	for (unsigned i = f->count; i-- > 0;) {
		const struct forwarded *w = &f->list[i];

		if (lock >= 0 && leftover_path(path, f->dir, flags[w->flag].kind, w->name) &&
		    leftover_is_ours(w->fd))
			(void)put_back(w->flag, w->fd, path, w->name);
		(void)close(w->fd);
	}
	f->count = 0;
	if (lock >= 0)
		(void)close(lock);
}

#define UNDO(name, flag)                                                  \
	static bool name(int fd, const char *path, const char *interface) \
	{                                                                 \
		return put_back(flag, fd, path, interface);               \
	}

UNDO(undo_ipv4, FORWARDING_IPV4)
UNDO(undo_ipv6, FORWARDING_IPV6)
UNDO(undo_believe, FORWARDING_BELIEVE)
UNDO(undo_router6, FORWARDING_ROUTER6)
UNDO(undo_all_ipv6, FORWARDING_ALL_IPV6)

void forwarding_clean(const char *dir, leftover_told *fn, void *ctx)
{
	static bool (*const undo[])(int fd, const char *path,
				    const char *interface) = { undo_ipv4, undo_ipv6, undo_believe,
							       undo_router6, undo_all_ipv6 };

	_Static_assert(sizeof(undo) / sizeof(undo[0]) == FORWARDING_FLAGS, "one of each");

	for (unsigned i = FORWARDING_FLAGS; i-- > 0;)
		leftover_each(dir, &(struct leftover_kind){ flags[i].kind, undo[i], fn, ctx });
}
