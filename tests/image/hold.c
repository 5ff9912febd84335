/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c - a library that is loaded before libc, for storage that takes its time.
 *
 * The SILL_HOLD_NTH-th call (first: 1) of one of the functions named in SILL_HOLD writes
 * a byte to the descriptor SILL_HOLD_SAY and returns no sooner than SILL_HOLD_GO can be
 * read from, whatever signals come.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct iovec;

static int number(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? (int)strtoull(text, NULL, 10) : -1;
}

static void hold(const char *name)
{
	static atomic_int calls;
	const char *names = getenv("SILL_HOLD");
	const int say = number("SILL_HOLD_SAY"), go = number("SILL_HOLD_GO");
	char byte = 'x';

	if (names == NULL || say < 0 || go < 0)
		return;
	for (const char *p = names; (p = strstr(p, name)) != NULL; p += strlen(name)) {
		const char after = p[strlen(name)];

		if ((p != names && p[-1] != ',') || (after != ',' && after != '\0'))
			continue;
		if (atomic_fetch_add(&calls, 1) + 1 != number("SILL_HOLD_NTH"))
			return;
		(void)!write(say, &byte, 1);
		while (read(go, &byte, 1) < 0 && errno == EINTR)
			continue;
		return;
	}
}

#define HOLD(ret, name, takes, gives)                                     \
	ret name takes;                                                   \
	ret name takes                                                    \
	{                                                                 \
		ret(*real) takes = (ret(*) takes)dlsym(RTLD_NEXT, #name); \
                                                                          \
		hold(#name);                                              \
		return real gives;                                        \
	}

HOLD(ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
HOLD(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
HOLD(ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
HOLD(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
HOLD(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t at, int how),
     (fd, v, n, at, how))
HOLD(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
HOLD(int, posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n))
HOLD(int, ftruncate, (int fd, off_t n), (fd, n))
HOLD(int, fsync, (int fd), (fd))
HOLD(int, fdatasync, (int fd), (fd))
HOLD(int, linkat, (int a, const char *from, int b, const char *to, int how), (a, from, b, to, how))
HOLD(int, renameat2, (int a, const char *from, int b, const char *to, unsigned how),
     (a, from, b, to, how))
