/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.c - the test disk as the host sees it.
 *
 *	pattern fill FILE	make it: DISK_SECTORS of the host's pattern
 *	pattern check FILE	is it as the payload's blk tests leave it?
 *	pattern same FILE	is it as it was made, but for the scratch sectors?
 */
#include "pattern.h"

#include <stdio.h>
#include <string.h>

static int fill(FILE *f)
{
	unsigned char sector[SECTOR_SIZE];

	for (unsigned s = 0; s < DISK_SECTORS; s++) {
		pattern_fill(SALT_HOST, s, 1, sector);
		if (fwrite(sector, sizeof(sector), 1, f) != 1)
			return -1;
	}
	return 0;
}

static int is_zero(const unsigned char *p, size_t n)
{
	while (n-- > 0)
		if (*p++ != 0)
			return 0;
	return 1;
}

static int sector_ok(unsigned s, const unsigned char *p, int untouched)
{
	if (untouched)
		return pattern_check(SALT_HOST, s, 1, p) < 0;
	if (s >= GUEST_FIRST && s < GUEST_FIRST + GUEST_COUNT)
		return pattern_check(SALT_GUEST, s, 1, p) < 0;
	if (s >= ZERO_FIRST && s < ZERO_FIRST + ZERO_COUNT)
		return is_zero(p, SECTOR_SIZE);
	return pattern_check(SALT_HOST, s, 1, p) < 0;
}

static int check(FILE *f, int untouched)
{
	unsigned char sector[SECTOR_SIZE];

	for (unsigned s = 0; s < SCRATCH_FIRST; s++) {
		if (fread(sector, sizeof(sector), 1, f) != 1)
			return -1;
		if (!sector_ok(s, sector, untouched)) {
			printf("sector %u is not as it should be\n", s);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int filling = argc == 3 && strcmp(argv[1], "fill") == 0;
	int same = argc == 3 && strcmp(argv[1], "same") == 0;
	FILE *f;
	int status;

	if (argc != 3 || (!filling && !same && strcmp(argv[1], "check") != 0)) {
		fprintf(stderr, "usage: pattern fill|check|same FILE\n");
		return 2;
	}
	f = fopen(argv[2], filling ? "w" : "r");
	if (f == NULL) {
		perror(argv[2]);
		return 1;
	}
	status = filling ? fill(f) : check(f, same);
	if (fclose(f) != 0)
		status = -1;
	return status < 0;
}
