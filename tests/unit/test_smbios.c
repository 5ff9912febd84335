/* SPDX-License-Identifier: Apache-2.0 */
/* test_smbios.c - the structures as a reader walks them (DSP0134 3.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"
#include "firmware/smbios.h"

#define GIB (1ull << 30)

static struct buf b;

static struct smbios_facts facts(void)
{
	return (struct smbios_facts){ .version = "0.1.0",
				      .serial = "42",
				      .uuid = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
						0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff },
				      .sockets = 1,
				      .cores = 2,
				      .threads = 1,
				      .cpu_vendor = "GenuineIntel",
				      .cpu_brand = "Some CPU @ 2.00GHz",
				      .cpuid_eax = 0x000306c3,
				      .cpuid_edx = 0x178bfbff,
				      .cpu_mhz = 2000,
				      .low_end = 0x80000000,
				      .high_size = 2 * GIB,
				      .memory_size = 4 * GIB };
}

static void build(const struct smbios_facts *f)
{
	struct sill_err e = { 0 };

	buf_init(&b, SMBIOS_IMAGE_MAX);
	if (smbios_build(f, &b, &e) < 0)
		fail_msg("%s", e.msg);
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&b);
	return 0;
}

/* What follows the structure at @off: past its strings and the two NULs. */
static size_t next(size_t off)
{
	off += b.data[off + 1];
	while (b.data[off] != 0 || b.data[off + 1] != 0) {
		off++;
		assert_true(off + 1 < b.size);
	}
	return off + 2;
}

static unsigned count(unsigned type)
{
	unsigned n = 0;

	for (size_t off = 0; off < b.size; off = next(off))
		n += b.data[off] == type;
	return n;
}

/* The @n-th structure of a type; it must be there. */
static const uint8_t *find(unsigned type, unsigned n)
{
	static const uint8_t none[256];

	for (size_t off = 0; off < b.size; off = next(off))
		if (b.data[off] == type && n-- == 0)
			return b.data + off;
	fail_msg("no such structure of type %u", type);
	return none;
}

static const char *text(const uint8_t *s, unsigned field)
{
	const char *p = (const char *)s + s[1];

	if (s[field] == 0)
		return "";
	for (unsigned i = 1; i < s[field]; i++)
		p += strlen(p) + 1;
	return p;
}

static void smbios_build__has_every_type_once_and_an_end(void **state)
{
	static const uint8_t want[] = { 0, 1, 3, 4, 16, 17, 19, 19, 32, 127 };
	struct smbios_facts f = facts();
	uint16_t handles[ARRAY_LEN(want)];
	unsigned n = 0;

	(void)state;
	build(&f);
	for (size_t off = 0; off < b.size; off = next(off), n++) {
		assert_true(n < ARRAY_LEN(want));
		assert_int_equal(b.data[off], want[n]);
		handles[n] = ld16(b.data + off + 2);
		for (unsigned i = 0; i < n; i++)
			assert_int_not_equal(handles[i], handles[n]);
	}
	assert_int_equal(n, ARRAY_LEN(want));
}

static void smbios_build__describes_the_machine(void **state)
{
	/* 33221100-... : the first three fields are little-endian */
	static const uint8_t uuid[16] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	struct smbios_facts f = facts();
	const uint8_t *s;

	(void)state;
	build(&f);
	s = find(1, 0);
	assert_int_equal(s[1], 0x1b);
	assert_string_equal(text(s, 4), "Sill");
	assert_string_equal(text(s, 5), "Sill virtual machine");
	assert_string_equal(text(s, 6), "0.1.0");
	assert_string_equal(text(s, 7), "42");
	assert_memory_equal(s + 8, uuid, 16);
	assert_int_equal(s[0x18], 6);
	s = find(0, 0);
	assert_string_equal(text(s, 5), "0.1.0");
	assert_int_equal(s[0x13] & 0x10, 0x10); /* a virtual machine */
	s = find(3, 0);
	assert_string_equal(text(s, 7), "42");
}

static void smbios_build__describes_processors(void **state)
{
	struct smbios_facts f = facts();
	const uint8_t *s;

	(void)state;
	f.sockets = 2;
	f.cores = 300;
	f.threads = 2;
	f.cpus_present = 600;
	build(&f);
	s = find(4, 0);
	assert_int_equal(s[1], 0x30);
	assert_string_equal(text(s, 4), "CPU 0");
	assert_int_equal(s[6], 0xb3);
	assert_string_equal(text(s, 7), "GenuineIntel");
	assert_int_equal(ld32(s + 8), 0x000306c3);
	assert_int_equal(ld32(s + 12), 0x178bfbff);
	assert_string_equal(text(s, 0x10), "Some CPU @ 2.00GHz");
	assert_int_equal(ld16(s + 0x16), 2000);
	assert_int_equal(s[0x18], 0x41);
	assert_int_equal(s[0x23], 0xff);
	assert_int_equal(s[0x25], 0xff);
	assert_int_equal(ld16(s + 0x26), 0x1c);
	assert_int_equal(ld16(s + 0x2a), 300);
	assert_int_equal(ld16(s + 0x2e), 600);
	assert_int_equal(find(4, 1)[0x18], 0); /* its first processor is number 600 */
	assert_int_equal(count(4), 2);
}

static void smbios_build__splits_memory_into_dimms(void **state)
{
	static const struct {
		uint64_t size;
		unsigned dimms;
		uint64_t first_mib, last_mib;
	} rows[] = {
		{ 512 * (GIB / 1024), 1, 512, 512 }, { 4 * GIB, 1, 4096, 4096 },
		{ 16 * GIB, 1, 16384, 16384 },       { 20 * GIB, 2, 16384, 4096 },
		{ 1024 * GIB, 64, 16384, 16384 },    { 1025 * GIB, 33, 32768, 1024 },
		{ 4096 * GIB, 64, 65536, 65536 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct smbios_facts f = facts();
		const uint8_t *s;
		uint64_t total = 0;

		f.memory_size = rows[i].size;
		build(&f);
		for (unsigned n = 0; n < rows[i].dimms; n++) {
			uint64_t mib;

			s = find(17, n);
			assert_int_equal(ld16(s + 4), ld16(find(16, 0) + 2));
			mib = ld16(s + 0x0c) == 0x7fff ? ld32(s + 0x1c) : ld16(s + 0x0c);
			if (n == 0)
				assert_int_equal(mib, rows[i].first_mib);
			if (n == rows[i].dimms - 1)
				assert_int_equal(mib, rows[i].last_mib);
			total += mib << 20;
		}
		assert_int_equal(count(17), rows[i].dimms);
		assert_int_equal(total, rows[i].size);
		s = find(16, 0);
		assert_int_equal(ld16(s + 0x0d), rows[i].dimms);
		if (rows[i].size < 2048 * GIB) {
			assert_int_equal(ld32(s + 7), rows[i].size / 1024);
		} else {
			assert_int_equal(ld32(s + 7), 0x80000000);
			assert_int_equal(ld64(s + 0x0f), rows[i].size);
		}
		buf_fini(&b);
	}
}

static void smbios_build__maps_memory_as_it_is(void **state)
{
	struct smbios_facts f = facts();
	const uint8_t *s;

	(void)state;
	f.high_size = 8192 * GIB;
	f.memory_size = 8194 * GIB;
	build(&f);
	s = find(19, 0);
	assert_int_equal(ld32(s + 4), 0);
	assert_int_equal(ld32(s + 8), 0x80000000 / 1024 - 1);
	s = find(19, 1);
	assert_int_equal(ld32(s + 4), UINT32_MAX);
	assert_int_equal(ld64(s + 0x0f), 4 * GIB);
	assert_int_equal(ld64(s + 0x17), 8196 * GIB - 1);
	teardown(NULL);

	f.high_size = 0;
	build(&f);
	assert_int_equal(count(19), 1);
	teardown(NULL);

	f.more = (const struct smbios_range[]){ { 6 * GIB, GIB }, { 9 * GIB, 2 * GIB } };
	f.more_count = 2;
	build(&f);
	assert_int_equal(count(19), 3);
	s = find(19, 1);
	assert_int_equal(ld32(s + 4), 6 * GIB / 1024);
	assert_int_equal(ld32(s + 8), 7 * GIB / 1024 - 1);
	s = find(19, 2);
	assert_int_equal(ld32(s + 8), 11 * GIB / 1024 - 1);
	assert_int_not_equal(ld16(s + 2), ld16(find(19, 1) + 2));
}

/* Seven processors of twelve: two sockets of three cores of two threads. */
static void smbios_build__enables_the_cores_that_are_there(void **state)
{
	static const unsigned present[] = { 0, 1, 4, 5, 6, 7, 12 };
	static const unsigned enabled[][2] = { { 3, 3 }, { 1, 0 }, { 2, 0 }, { 3, 0 },
					       { 3, 0 }, { 3, 1 }, { 3, 3 } };
	struct smbios_facts f = facts();

	(void)state;
	f.sockets = 2;
	f.cores = 3;
	f.threads = 2;
	for (unsigned i = 0; i < ARRAY_LEN(present); i++) {
		f.cpus_present = present[i];
		build(&f);
		for (unsigned k = 0; k < 2; k++) {
			const uint8_t *s = find(4, k);

			assert_int_equal(s[0x18], enabled[i][k] != 0 ? 0x41 : 0);
			assert_int_equal(s[0x23], 3);
			if (enabled[i][k] == 0)
				continue; /* of a socket that is empty */
			assert_int_equal(s[0x24], enabled[i][k]);
			assert_int_equal(ld16(s + 0x2c), enabled[i][k]);
		}
		teardown(NULL);
	}
}

static void smbios_build__carries_oem_strings(void **state)
{
	static const char *const strings[] = { "one", "", "t\xc3wo\n" };
	struct smbios_facts f = facts();
	const uint8_t *s;

	(void)state;
	f.oem_strings = strings;
	f.oem_string_count = 3;
	build(&f);
	s = find(11, 0);
	assert_int_equal(s[4], 3);
	assert_memory_equal(s + s[1], "one\0 \0t?wo?\0", 13);
}

static void smbios_build__cuts_long_strings(void **state)
{
	char longer[SMBIOS_STRING_MAX + 2];
	struct smbios_facts f = facts();

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	f.product = longer;
	build(&f);
	assert_int_equal(strlen(text(find(1, 0), 5)), SMBIOS_STRING_MAX);
}

static void smbios_build__refuses_bad_facts(void **state)
{
	struct smbios_facts wrong[8];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		wrong[i] = facts();
	wrong[0].sockets = 0;
	wrong[1].cores = 0;
	wrong[2].threads = 0;
	wrong[3].sockets = 256;
	wrong[4].cores = 0xffff;
	wrong[4].threads = 2;
	wrong[5].memory_size = 0;
	wrong[6].oem_string_count = 65;
	wrong[7].low_end = 4 * GIB + 1;
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct sill_err e = { 0 };

		buf_init(&b, SMBIOS_IMAGE_MAX);
		assert_int_equal(smbios_build(&wrong[i], &b, &e), -1);
		assert_int_equal(e.code, SILL_ERR_INTERNAL);
		buf_fini(&b);
	}
}

static void smbios_build__says_when_it_does_not_fit(void **state)
{
	struct smbios_facts f = facts();
	struct sill_err e = { 0 };

	(void)state;
	buf_init(&b, 256);
	assert_int_equal(smbios_build(&f, &b, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
}

static void smbios_anchor__sums_to_zero(void **state)
{
	uint8_t a[SMBIOS_ANCHOR_SIZE];
	unsigned sum = 0;

	(void)state;
	smbios_anchor(0xf0018, 0x1234, a);
	for (unsigned i = 0; i < sizeof(a); i++)
		sum += a[i];
	assert_int_equal(sum & 0xff, 0);
	assert_memory_equal(a, "_SM3_", 5);
	assert_int_equal(a[6], 24);
	assert_int_equal(a[7], 3);
	assert_int_equal(ld32(a + 12), 0x1234);
	assert_int_equal(ld64(a + 16), 0xf0018);
}

static void smbios_build_absolute__puts_the_table_behind_the_anchor(void **state)
{
	struct smbios_facts f = facts();
	struct sill_err e = { 0 };
	size_t size;

	(void)state;
	build(&f);
	size = b.size;
	teardown(NULL);
	buf_init(&b, SMBIOS_IMAGE_MAX);
	assert_int_equal(smbios_build_absolute(&f, SMBIOS_ANCHOR_GPA, &b, &e), 0);
	assert_int_equal(b.size, size + 24);
	assert_int_equal(ld64(b.data + 16), 0xf0018);
	assert_int_equal(ld32(b.data + 12), size);
	assert_int_equal(b.data[24], 0);
	assert_int_equal(b.data[25], 0x18);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(smbios_build__has_every_type_once_and_an_end),
		T(smbios_build__describes_the_machine),
		T(smbios_build__describes_processors),
		T(smbios_build__splits_memory_into_dimms),
		T(smbios_build__maps_memory_as_it_is),
		T(smbios_build__enables_the_cores_that_are_there),
		T(smbios_build__carries_oem_strings),
		T(smbios_build__cuts_long_strings),
		T(smbios_build__refuses_bad_facts),
		T(smbios_build__says_when_it_does_not_fit),
		T(smbios_anchor__sums_to_zero),
		T(smbios_build_absolute__puts_the_table_behind_the_anchor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
