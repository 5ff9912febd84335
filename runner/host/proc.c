/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - small readers. */
#include "runner/host/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dir_next(DIR *d)
{
	/* glibc's readdir() is safe for different streams, readdir_r() is obsolete. */
	const struct dirent *e = readdir(d); /* NOLINT(concurrency-mt-unsafe) */

	return e != NULL ? e->d_name : NULL;
}

bool number_after(const char *s, const char *prefix, uint64_t *ret_v)
{
	size_t len = strlen(prefix);
	char *end;

	if (strncmp(s, prefix, len) != 0)
		return false;
	errno = 0;
	*ret_v = strtoull(s + len, &end, 10);
	return end != s + len && errno == 0;
}

uint64_t proc_number(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[64];
	uint64_t v = 0;

	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) == NULL || !number_after(line, "", &v))
		v = 0;
	(void)fclose(f);
	return v;
}

bool proc_flag(const char *path)
{
	FILE *f = fopen(path, "re");
	int c;

	if (f == NULL)
		return false;
	c = fgetc(f);
	(void)fclose(f);
	return c == 'Y' || c == '1';
}

void proc_meminfo(const char *const *names, uint64_t *ret, size_t count)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	memset(ret, 0, count * sizeof(ret[0]));
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *colon = strchr(line, ':');

		if (colon == NULL)
			continue;
		*colon = '\0';
		for (size_t i = 0; i < count; i++) {
			if (strcmp(line, names[i]) == 0 && number_after(colon + 1, "", &ret[i]))
				ret[i] <<= 10;
		}
	}
	if (f != NULL)
		(void)fclose(f);
}
