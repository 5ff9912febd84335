/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smbios.c - see smbios.h. DMTF DSP0134 3.6.0, chapter 7; the entry point is 5.2.2.
 *
 * A structure is a formatted area (type, length, handle, fields) and its
 * strings; a string field holds 1 + the string's index, 0 for none. Handles are
 * type << 8 | index, so that a reader sees what points where.
 */
#include "firmware/smbios.h"

#include <stdio.h>
#include <string.h>

#include "base/le.h"

#define VERSION_MAJOR 3
#define VERSION_MINOR 0 /* what 3.0 defines is all we use; Windows and OVMF read it */
#define MAX_STRINGS   64u
#define MAX_SOCKETS   255u
#define MIB           (1ull << 20)
#define GIB           (1ull << 30)
#define KIB           (1ull << 10)

#define DIMM_MAX  (16 * GIB) /* a sane DIMM; grows when there would be more than MAX_DIMMS */
#define MAX_DIMMS 64u
#define HIGH_BASE (4 * GIB)

static uint16_t handle(unsigned type, unsigned index)
{
	return (uint16_t)(type << 8 | (index & 0xff));
}

/* One structure being made. */
struct record {
	struct buf *out; /* borrowed */
	uint8_t p[128];
	unsigned size;
	const char *strings[MAX_STRINGS]; /* borrowed */
	unsigned string_count;
};

static void record_init(struct record *r, struct buf *out, unsigned type, unsigned index,
			unsigned size)
{
	*r = (struct record){ .out = out, .size = size };
	r->p[0] = (uint8_t)type;
	r->p[1] = (uint8_t)size;
	st16(r->p + 2, handle(type, index));
}

/* Note a string; returns its number for the field. */
static uint8_t string(struct record *r, const char *s)
{
	if (s == NULL || *s == '\0' || r->string_count == MAX_STRINGS)
		return 0;
	r->strings[r->string_count++] = s;
	return (uint8_t)r->string_count;
}

/* At most SMBIOS_STRING_MAX characters, printable ASCII. */
static void string_write(struct buf *out, const char *s)
{
	for (unsigned i = 0; i < SMBIOS_STRING_MAX && s[i] != '\0'; i++)
		(void)buf_add8(out, s[i] >= 0x20 && s[i] < 0x7f ? (uint8_t)s[i] : '?');
	(void)buf_add8(out, 0);
}

static void record_write(const struct record *r)
{
	(void)buf_add(r->out, r->p, r->size);
	for (unsigned i = 0; i < r->string_count; i++)
		string_write(r->out, r->strings[i]);
	if (r->string_count == 0)
		(void)buf_add8(r->out, 0);
	(void)buf_add8(r->out, 0);
}

static const char *or_default(const char *s, const char *def)
{
	return s != NULL && *s != '\0' ? s : def;
}

static const char *maker(const struct smbios_facts *f)
{
	return or_default(f->manufacturer, "Sill");
}

/* Type 0: firmware information, 7.1. */
static void firmware(const struct smbios_facts *f, struct buf *out)
{
	struct record r;

	record_init(&r, out, 0, 0, 0x18);
	r.p[0x04] = string(&r, maker(f));
	r.p[0x05] = string(&r, or_default(f->version, "0"));
	st16(r.p + 0x06, 0xe800); /* the address a UEFI firmware does not have */
	r.p[0x08] = string(&r, "01/01/2024");
	r.p[0x09] = 0;
	st64(r.p + 0x0a, 1ull << 7); /* PCI */
	r.p[0x13] = 0x18;            /* UEFI, a virtual machine */
	r.p[0x14] = 0xff;            /* no release numbers */
	r.p[0x15] = 0xff;
	r.p[0x16] = 0xff;
	r.p[0x17] = 0xff;
	record_write(&r);
}

/* RFC 4122 order to SMBIOS order: the first three fields are little-endian (7.2.1). */
static void uuid_write(uint8_t *p, const uint8_t u[16])
{
	static const uint8_t from[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++)
		p[i] = u[from[i]];
}

/* Type 1: system information, 7.2. */
static void machine(const struct smbios_facts *f, struct buf *out)
{
	struct record r;

	record_init(&r, out, 1, 0, 0x1b);
	r.p[0x04] = string(&r, maker(f));
	r.p[0x05] = string(&r, or_default(f->product, "Sill virtual machine"));
	r.p[0x06] = string(&r, f->version);
	r.p[0x07] = string(&r, f->serial);
	uuid_write(r.p + 0x08, f->uuid);
	r.p[0x18] = 6; /* woken by the power switch */
	record_write(&r);
}

/* Type 3: enclosure, 7.4. */
static void chassis(const struct smbios_facts *f, struct buf *out)
{
	struct record r;

	record_init(&r, out, 3, 0, 0x16);
	r.p[0x04] = string(&r, maker(f));
	r.p[0x05] = 1; /* type: other */
	r.p[0x06] = string(&r, f->version);
	r.p[0x07] = string(&r, f->serial);
	r.p[0x09] = 3; /* boot-up, power, thermal state: safe */
	r.p[0x0a] = 3;
	r.p[0x0b] = 3;
	r.p[0x0c] = 2; /* security: unknown */
	record_write(&r);
}

static uint8_t family(const struct smbios_facts *f)
{
	const char *v = f->cpu_vendor != NULL ? f->cpu_vendor : "";

	if (strcmp(v, "GenuineIntel") == 0)
		return 0xb3; /* Xeon */
	if (strcmp(v, "AuthenticAMD") == 0)
		return 0x6b; /* Zen */
	return 2;            /* unknown */
}

static uint8_t byte_count(unsigned n)
{
	return n > 255 ? 0xff : (uint8_t)n; /* 0xff: see the 16-bit field */
}

/* Type 4: a processor socket, 7.5. */
static void socket(const struct smbios_facts *f, unsigned index, struct buf *out)
{
	unsigned per_socket = f->cores * f->threads, first = index * per_socket;
	bool populated = f->cpus_present == 0 || first < f->cpus_present;
	unsigned enabled = f->cores;
	unsigned mhz = f->cpu_mhz > 0xffff ? 0 : f->cpu_mhz;
	char name[16];
	struct record r;

	if (f->cpus_present > first && f->cpus_present - first < per_socket)
		enabled = (f->cpus_present - first + f->threads - 1) / f->threads;
	(void)snprintf(name, sizeof(name), "CPU %u", index & 0xff);
	record_init(&r, out, 4, index, 0x30);
	r.p[0x04] = string(&r, name);
	r.p[0x05] = 3; /* central processor */
	r.p[0x06] = family(f);
	r.p[0x07] = string(&r, f->cpu_vendor);
	st32(r.p + 0x08, f->cpuid_eax);
	st32(r.p + 0x0c, f->cpuid_edx);
	r.p[0x10] = string(&r, f->cpu_brand);
	st16(r.p + 0x14, (uint16_t)mhz);
	st16(r.p + 0x16, (uint16_t)mhz);
	r.p[0x18] = populated ? 0x41 : 0x00; /* socket populated, enabled */
	r.p[0x19] = 1;                       /* upgrade: other */
	st16(r.p + 0x1a, 0xffff);            /* no cache structures */
	st16(r.p + 0x1c, 0xffff);
	st16(r.p + 0x1e, 0xffff);
	r.p[0x23] = byte_count(f->cores);
	r.p[0x24] = byte_count(enabled);
	r.p[0x25] = byte_count(per_socket);
	/* 64-bit, multi-core, hardware threads */
	st16(r.p + 0x26,
	     (uint16_t)(0x04 | (f->cores > 1 ? 0x08 : 0) | (f->threads > 1 ? 0x10 : 0)));
	st16(r.p + 0x28, family(f));
	st16(r.p + 0x2a, (uint16_t)f->cores);
	st16(r.p + 0x2c, (uint16_t)enabled);
	st16(r.p + 0x2e, (uint16_t)per_socket);
	record_write(&r);
}

/* Type 11: OEM strings, 7.12. */
static void oem_strings(const struct smbios_facts *f, struct buf *out)
{
	struct record r;

	if (f->oem_string_count == 0)
		return;
	record_init(&r, out, 11, 0, 0x05);
	for (size_t i = 0; i < f->oem_string_count; i++)
		(void)string(&r, or_default(f->oem_strings[i], " "));
	r.p[0x04] = (uint8_t)r.string_count;
	record_write(&r);
}

/* Type 16: the memory array, 7.17. */
static void memory_array(uint64_t size, unsigned dimms, struct buf *out)
{
	struct record r;

	record_init(&r, out, 16, 0, 0x17);
	r.p[0x04] = 1; /* other */
	r.p[0x05] = 3; /* system memory */
	r.p[0x06] = 6; /* multi-bit ECC: nothing to report */
	if (size < 2048 * GIB) {
		st32(r.p + 0x07, (uint32_t)(size / KIB));
	} else {
		st32(r.p + 0x07, 0x80000000); /* see the extended field, in bytes */
		st64(r.p + 0x0f, size);
	}
	st16(r.p + 0x0b, 0xfffe); /* error information not provided */
	st16(r.p + 0x0d, (uint16_t)dimms);
	record_write(&r);
}

/* Type 17: a memory device, 7.18. */
static void dimm(unsigned index, uint64_t size, struct buf *out)
{
	uint64_t mib = (size + MIB - 1) / MIB;
	char name[16];
	struct record r;

	(void)snprintf(name, sizeof(name), "DIMM %u", index & 0xff);
	record_init(&r, out, 17, index, 0x28);
	st16(r.p + 0x04, handle(16, 0));
	st16(r.p + 0x06, 0xfffe);
	st16(r.p + 0x08, 0xffff); /* widths unknown */
	st16(r.p + 0x0a, 0xffff);
	if (mib < 0x7fff) {
		st16(r.p + 0x0c, (uint16_t)mib);
	} else {
		st16(r.p + 0x0c, 0x7fff); /* 32 GiB - 1 MiB and more: the extended field */
		st32(r.p + 0x1c, (uint32_t)mib);
	}
	r.p[0x0e] = 9; /* DIMM */
	r.p[0x10] = string(&r, name);
	r.p[0x12] = 7;            /* RAM */
	st16(r.p + 0x13, 1 << 1); /* other */
	r.p[0x17] = string(&r, "Sill");
	record_write(&r);
}

/* Type 19: where the array is mapped, 7.20. */
static void mapped_range(unsigned index, uint64_t base, uint64_t size, struct buf *out)
{
	uint64_t last_kib = (base + size) / KIB - 1;
	struct record r;

	record_init(&r, out, 19, index, 0x1f);
	if (last_kib < UINT32_MAX) {
		st32(r.p + 0x04, (uint32_t)(base / KIB));
		st32(r.p + 0x08, (uint32_t)last_kib);
	} else {
		st32(r.p + 0x04, UINT32_MAX);
		st32(r.p + 0x08, UINT32_MAX);
		st64(r.p + 0x0f, base);
		st64(r.p + 0x17, base + size - 1);
	}
	st16(r.p + 0x0c, handle(16, 0));
	r.p[0x0e] = 1; /* partition width */
	record_write(&r);
}

static void memory(const struct smbios_facts *f, struct buf *out)
{
	uint64_t each = DIMM_MAX, left = f->memory_size;
	unsigned dimms;

	while (left / each >= MAX_DIMMS && left > each * MAX_DIMMS)
		each *= 2;
	dimms = (unsigned)((left + each - 1) / each);

	memory_array(f->memory_size, dimms, out);
	for (unsigned i = 0; i < dimms; i++) {
		dimm(i, left < each ? left : each, out);
		left -= left < each ? left : each;
	}
	mapped_range(0, 0, f->low_end, out);
	if (f->high_size != 0)
		mapped_range(1, HIGH_BASE, f->high_size, out);
	for (size_t i = 0; i < f->more_count; i++)
		mapped_range(2 + (unsigned)i, f->more[i].base, f->more[i].size, out);
}

/* Type 32: boot information, 7.33: no errors. Type 127: the end. */
static void tail(struct buf *out)
{
	struct record r;

	record_init(&r, out, 32, 0, 0x0b);
	record_write(&r);
	record_init(&r, out, 127, 0, 0x04);
	record_write(&r);
}

static const char *facts_mistake(const struct smbios_facts *f)
{
	if (f->sockets == 0 || f->sockets > MAX_SOCKETS || f->cores == 0 || f->cores > 0xffff ||
	    f->threads == 0 || f->threads > 0xffff / f->cores)
		return "processors";
	if (f->oem_string_count > MAX_STRINGS)
		return "OEM strings";
	if (f->memory_size == 0 || f->memory_size > 1ull << 52 || f->low_end < KIB ||
	    f->low_end > HIGH_BASE || f->high_size > 1ull << 52)
		return "memory";
	return NULL;
}

int smbios_build(const struct smbios_facts *f, struct buf *table, struct sill_err *e)
{
	const char *mistake = facts_mistake(f);

	if (mistake != NULL || table->size != 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "SMBIOS: bad facts: %s",
				    mistake != NULL ? mistake : "buffer in use");
	firmware(f, table);
	machine(f, table);
	chassis(f, table);
	for (unsigned i = 0; i < f->sockets; i++)
		socket(f, i, table);
	oem_strings(f, table);
	memory(f, table);
	tail(table);
	if (table->failed || table->size > SMBIOS_IMAGE_MAX - SMBIOS_ANCHOR_SIZE)
		return sill_err_set(e, SILL_ERR_LIMIT, "SMBIOS: the tables are too large");
	return 0;
}

void smbios_anchor(uint64_t gpa, uint32_t size, uint8_t ret[SMBIOS_ANCHOR_SIZE])
{
	uint8_t sum = 0;

	memset(ret, 0, SMBIOS_ANCHOR_SIZE);
	memcpy(ret, "_SM3_", 5);
	ret[6] = SMBIOS_ANCHOR_SIZE;
	ret[7] = VERSION_MAJOR;
	ret[8] = VERSION_MINOR;
	ret[10] = 1;          /* entry point revision */
	st32(ret + 12, size); /* OVMF wants the exact size here, not a maximum */
	st64(ret + 16, gpa);
	for (unsigned i = 0; i < SMBIOS_ANCHOR_SIZE; i++)
		sum = (uint8_t)(sum + ret[i]);
	ret[5] = (uint8_t)-sum;
}

int smbios_build_absolute(const struct smbios_facts *f, uint64_t gpa, struct buf *image,
			  struct sill_err *e)
{
	uint8_t anchor[SMBIOS_ANCHOR_SIZE];

	if (smbios_build(f, image, e) < 0)
		return -1;
	smbios_anchor(gpa + SMBIOS_ANCHOR_SIZE, (uint32_t)image->size, anchor);
	buf_insert(image, 0, anchor, sizeof(anchor));
	if (image->failed)
		return sill_err_set(e, SILL_ERR_LIMIT, "SMBIOS: no room");
	return 0;
}
