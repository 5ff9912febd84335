/* SPDX-License-Identifier: Apache-2.0 */
/* genid.c - derive a generation id. */
#include "runner/host/genid.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef unsigned __int128 u128;

/* FNV-1a, 128 bits: stable from release to release; nobody gains by a collision. */
static const u128 BASIS = (u128)0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;
static const u128 PRIME = (u128)1 << 88 | 0x13b;

static u128 hash_bytes(u128 h, const void *p, size_t n)
{
	const unsigned char *byte = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ byte[i]) * PRIME;
	return h;
}

/* With the NUL, so that "a" + "bc" is not "ab" + "c". */
static u128 hash_text(u128 h, const char *s)
{
	return hash_bytes(h, s != NULL ? s : "", s != NULL ? strlen(s) + 1 : 1);
}

static u128 hash_number(u128 h, uint64_t v)
{
	unsigned char byte[8];

	for (unsigned i = 0; i < 8; i++)
		byte[i] = (unsigned char)(v >> (8 * i));
	return hash_bytes(h, byte, sizeof(byte));
}

static u128 hash_disk(u128 h, const char *path, int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_BTIME, &st) < 0 ||
	    !S_ISREG(st.stx_mode))
		return hash_text(h, path);
	h = hash_number(h, st.stx_ino);
	if ((st.stx_mask & STATX_BTIME) == 0)
		return h;
	h = hash_number(h, (uint64_t)st.stx_btime.tv_sec);
	return hash_number(h, st.stx_btime.tv_nsec);
}

void genid_make(const struct sill_config *m, const int *disk_fds, char ret[GENID_TEXT])
{
	uint8_t id[16];
	int at = 0;
	u128 h = hash_text(hash_text(BASIS, m->name), m->platform.uuid);

	for (unsigned i = 0; i < m->disk_count; i++) {
		if (m->disk[i].readonly)
			continue;
		h = hash_disk(h, m->disk[i].path, disk_fds[i]);
		break;
	}
	for (unsigned i = 0; i < 16; i++)
		id[i] = (uint8_t)(h >> (8 * (15 - i)));
	/* Version 8, made by rules of one's own (RFC 9562, 5.8); never all zero. */
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x80);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	for (unsigned i = 0; i < 16; i++)
		at += snprintf(ret + at, (size_t)(GENID_TEXT - at), "%s%02x",
			       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
}
