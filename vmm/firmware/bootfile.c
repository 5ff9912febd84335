/* SPDX-License-Identifier: Apache-2.0 */
/* bootfile.c - see bootfile.h. */
#include "firmware/bootfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <zlib.h>

#include "base/le.h"

#define PAGE 4096ull

int bootfile_place_top(uint64_t lo, uint64_t hi, uint64_t size, uint64_t *ret_gpa,
		       struct sill_err *e)
{
	uint64_t top = hi;

	if (size > top)
		goto no_room;
	top = (top - size) & ~(PAGE - 1);
	if (lo > hi || top < lo)
		goto no_room;
	*ret_gpa = top;
	return 0;
no_room:
	return sill_err_set(e, SILL_ERR_LIMIT,
			    "%llu bytes do not fit between 0x%llx and 0x%llx of guest memory",
			    (unsigned long long)size, (unsigned long long)lo,
			    (unsigned long long)hi);
}

/* --- what a file is that is no kernel ------------------------------------ */

enum {
	ARM64_MAGIC = 0x38, /* Linux Documentation/arch/arm64/booting.rst */
	PE_POINTER = 0x3c,
	PE_X86_64 = 0x8664,
	PE_ARM64 = 0xaa64,
	LOOK = 64, /* bytes of what is packed: up to the magic and behind it */
};

static bool has(const uint8_t *p, size_t size, size_t off, const char *magic, size_t len)
{
	return size >= off + len && memcmp(p + off, magic, len) == 0;
}

static bool is_arm64(const uint8_t *p, size_t size)
{
	return has(p, size, ARM64_MAGIC, "ARM\x64", 4);
}

static const struct {
	size_t off;
	const char *magic;
	size_t len;
	const char *what, *hint;
} known[] = {
	{ 0, "070701", 6, "an initramfs", "it belongs to initramfs" },
	{ 0, "070702", 6, "an initramfs", "it belongs to initramfs" },
	{ 0, "\x28\xb5\x2f\xfd", 4, "compressed (zstd)", "unpack it: zstdcat FILE >vmlinux" },
	{ 0,
	  "\xfd"
	  "7zXZ",
	  5, "compressed (xz)", "unpack it: xzcat FILE >vmlinux" },
	{ 0, "BZh", 3, "compressed (bzip2)", "unpack it: bzcat FILE >vmlinux" },
	{ 0, "\x04\x22\x4d\x18", 4, "compressed (lz4)", "unpack it: lz4cat FILE >vmlinux" },
	{ 0, "\x02\x21\x4c\x18", 4, "compressed (lz4)", "unpack it: lz4cat FILE >vmlinux" },
	{ 0, "\x89LZO", 4, "compressed (lzop)", "unpack it: lzop -dc FILE >vmlinux" },
	{ 0, "\x27\x05\x19\x56", 4, "a U-Boot image",
	  "take the bzImage or vmlinux that it was made of" },
	{ 0, "QFI\xfb", 4, "a disk image (qcow2)", "it belongs to disk; firmware starts it" },
	{ 0, "vhdxfile", 8, "a disk image (vhdx)", "it belongs to disk; firmware starts it" },
	{ 0x8001, "CD001", 5, "a CD image", "it belongs to disk, as raw; firmware starts it" },
	{ 40, "_FVH", 4, "firmware", "firmware goes under firmware.code" },
	{ 510, "\x55\xaa", 2, "a disk, or what starts from one",
	  "a disk belongs to disk; firmware starts it" },
};

/* The first bytes of what is packed. False: damaged. */
static bool unpack(const uint8_t *p, size_t size, uint8_t head[LOOK])
{
	z_stream z = { .next_in = (z_const Bytef *)(uintptr_t)p,
		       .avail_in = size < PAGE ? (uInt)size : PAGE,
		       .next_out = head,
		       .avail_out = LOOK };

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) /* 16: with gzip's header */
		return false;
	(void)inflate(&z, Z_SYNC_FLUSH);
	(void)inflateEnd(&z);
	return z.avail_out == 0;
}

static int refuse_gzip(const uint8_t *p, size_t size, struct sill_err *e)
{
	uint8_t head[LOOK] = { 0 };

	if (unpack(p, size, head) && is_arm64(head, LOOK))
		return sill_err_set(
			e, SILL_ERR_HOST,
			"is neither a bzImage nor an ELF: it is a compressed kernel for "
			"arm64");
	if (memcmp(head, "0707", 4) == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "is neither a bzImage nor an ELF: it is a compressed initramfs");
		return sill_err_hint(e, "it belongs to initramfs");
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "is neither a bzImage nor an ELF: it is %s",
			   memcmp(head, "\177ELF", 4) == 0 ? "a compressed ELF (gzip)"
							   : "compressed (gzip)");
	return sill_err_hint(e, "unpack it: zcat FILE >vmlinux");
}

/* A program for firmware. A bzImage is one as well, and has been told from it. */
static int refuse_efi(const uint8_t *p, size_t size, struct sill_err *e)
{
	const uint32_t pe = size >= PE_POINTER + 4 ? ld32(p + PE_POINTER) : 0;
	unsigned machine = 0;

	if (pe <= size && size - pe >= 6 && memcmp(p + pe, "PE\0\0", 4) == 0)
		machine = ld16(p + pe + 4);
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "is neither a bzImage nor an ELF: it is an EFI program%s",
			   machine == PE_X86_64  ? ""
			   : machine == PE_ARM64 ? " for arm64"
						 : " for another processor");
	return machine == PE_X86_64
		       ? sill_err_hint(e,
				       "firmware starts it from a disk; here, take the vmlinuz it "
				       "was made of")
		       : -1;
}

int bootfile_refuse(const void *file, size_t size, struct sill_err *e)
{
	const uint8_t *p = file;

	if (is_arm64(p, size))
		return sill_err_set(e, SILL_ERR_HOST,
				    "is neither a bzImage nor an ELF: it is a kernel for arm64");
	if (has(p, size, 0, "\x1f\x8b", 2))
		return refuse_gzip(p, size, e);
	if (has(p, size, 0, "MZ", 2))
		return refuse_efi(p, size, e);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!has(p, size, known[i].off, known[i].magic, known[i].len))
			continue;
		(void)sill_err_set(e, SILL_ERR_HOST, "is neither a bzImage nor an ELF: it is %s",
				   known[i].what);
		return sill_err_hint(e, "%s", known[i].hint);
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "is neither a bzImage nor an ELF");
	return sill_err_hint(e, "Debian's are in /boot: vmlinuz-...");
}
