/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vars.c - UEFI variable stores.
 *
 * A store begins with a firmware volume header (UEFI PI 1.7, volume 3, 3.2.1):
 * 16 zero bytes, a GUID, the volume's length at 32 and "_FVH" at 40.
 */
#include "runner/host/vars.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/pathfd.h"

enum { FV_LENGTH = 32, FV_SIGNATURE = 40, FV_HEAD = 48, STORE_MAX = 4 << 20 };

/* Replace the last @from in the file name of @path by @to. */
static bool replace(const char *path, const char *from, const char *to, char *ret, size_t size)
{
	const char *base = strrchr(path, '/'), *hit = NULL;
	int n;

	for (const char *p = base != NULL ? base : path; (p = strstr(p, from)) != NULL; p++)
		hit = p;
	if (hit == NULL)
		return false;
	n = snprintf(ret, size, "%.*s%s%s", (int)(hit - path), path, to, hit + strlen(from));
	return n > 0 && (size_t)n < size;
}

bool vars_template(const char *code, char *ret, size_t size)
{
	char plain[PATH_MAX], *base, *dot, *ext;

	ret[0] = '\0';
	if (!replace(code, "CODE", "VARS", ret, size) && !replace(code, "code", "vars", ret, size))
		return false;
	if (access(ret, R_OK) == 0)
		return true;
	/* OVMF_VARS_4M.secboot.fd is not shipped: drop the middle word. */
	(void)snprintf(plain, sizeof(plain), "%s", ret);
	base = strrchr(plain, '/');
	base = base != NULL ? base + 1 : plain;
	dot = strchr(base, '.');
	ext = strrchr(base, '.');
	if (dot == NULL || dot == ext)
		return false;
	memmove(dot, ext, strlen(ext) + 1);
	if (access(plain, R_OK) != 0)
		return false;
	(void)snprintf(ret, size, "%s", plain);
	return true;
}

bool vars_needs_smm(const char *path)
{
	static const char *const words[] = { ".secboot.", ".ms.", ".snakeoil." };
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(slash != NULL ? slash : path, words[i]) != NULL)
			return true;
	}
	return false;
}

bool vars_leads_to_smm(const char *path)
{
	char real[PATH_MAX];

	return vars_needs_smm(path) || (realpath(path, real) != NULL && vars_needs_smm(real));
}

int vars_check(int fd, const char *path, struct sill_err *e)
{
	unsigned char head[FV_HEAD];
	struct stat st;
	uint64_t length = 0;

	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "%s", path);
	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head + FV_SIGNATURE, "_FVH", 4) != 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is not a UEFI variable store", path);
		return sill_err_hint(e,
				     "move it away, and the next run creates it from the template");
	}
	for (int i = 7; i >= 0; i--)
		length = length << 8 | head[FV_LENGTH + i];
	if (length != (uint64_t)st.st_size) {
		(void)sill_err_set(
			e, SILL_ERR_HOST,
			"'%s' has %lld bytes, but its header says %llu: cut or not whole", path,
			(long long)st.st_size, (unsigned long long)length);
		return sill_err_hint(e,
				     "move it away, and the next run creates it from the template");
	}
	return 0;
}

/* Copy all of @from to @to and see to it that it is on the disk. */
static int copy(int from, int to, const char *path, const char *template, struct sill_err *e)
{
	char *buf = malloc(STORE_MAX);
	int ret = -1;
	ssize_t n;

	if (buf == NULL)
		return sill_err_sys(e, ENOMEM, "%s", path);
	n = pread(from, buf, STORE_MAX, 0);
	if (n < 0)
		(void)sill_err_sys(e, errno, "read '%s'", template);
	else if (pwrite(to, buf, (size_t)n, 0) != n)
		(void)sill_err_sys(e, errno != 0 ? errno : ENOSPC, "write '%s'", path);
	else if (fsync(to) < 0)
		(void)sill_err_sys(e, errno, "sync '%s'", path);
	else
		ret = 0;
	free(buf);
	return ret;
}

/* Under a name that nobody has, and then, whole, under its own. */
static int create_in(const struct place *at, const char *path, int from, const char *template,
		     struct sill_err *e)
{
	char temp[NAME_MAX + 1];
	int to, ret;

	to = place_beside(at, temp) == 0
		     ? openat(at->dir, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			      0600)
		     : -1;
	if (to < 0)
		return sill_err_sys(e, errno, "create '%s'", path);
	errno = 0;
	ret = copy(from, to, path, template, e);
	(void)close(to);
	/* A link, unlike a rename, does not replace what another run created meanwhile. */
	if (ret == 0 && linkat(at->dir, temp, at->dir, at->name, 0) < 0 && errno != EEXIST)
		ret = sill_err_sys(e, errno, "create '%s'", path);
	(void)unlinkat(at->dir, temp, 0);
	if (ret == 0)
		(void)place_sync(at);
	return ret;
}

static int create_from(const char *path, int from, const char *template, struct sill_err *e)
{
	struct place at;
	int ret;

	if (vars_check(from, template, e) < 0)
		return -1;
	if (place_init(&at, path) < 0)
		ret = sill_err_sys(e, errno, "create '%s'", path);
	else
		ret = create_in(&at, path, from, template, e);
	place_fini(&at);
	return ret;
}

int vars_create(const char *path, const char *template, struct sill_err *e)
{
	int from = open(template, O_RDONLY | O_CLOEXEC), ret;

	if (from < 0)
		return sill_err_sys(e, errno, "open '%s'", template);
	ret = create_from(path, from, template, e);
	(void)close(from);
	return ret;
}
