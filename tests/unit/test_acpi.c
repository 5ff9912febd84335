/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_acpi.c - the tables' bytes, and both ways of linking them. What is
 * inside the DSDT is looked at by tests/acpi/check with iasl and acpiexec.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"
#include "firmware/aml.h"
#include "tests/acpi/facts.h"

#define GPA  0xe0000ull
#define HEAD 64u

static struct facts_room room;
static struct acpi_tables t;
static struct buf image;

static const struct variant *variant(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		if (strcmp(variants[i].name, name) == 0)
			return &variants[i];
	fail_msg("no variant %s", name);
	return NULL;
}

static struct acpi_facts facts(const char *name)
{
	return facts_of(variant(name), &room);
}

static void build(const struct acpi_facts *f)
{
	struct sill_err e = { 0 };

	buf_init(&image, 1 << 20);
	if (acpi_build(&t, f, &e) < 0 || acpi_link_absolute(&t, GPA, &image, &e) < 0)
		fail_msg("%s", e.msg);
}

static int teardown(void **state)
{
	(void)state;
	acpi_tables_fini(&t);
	buf_fini(&image);
	return 0;
}

/* A place in guest memory, as the OS would look at it. */
static const uint8_t *at(uint64_t gpa, size_t n)
{
	assert_true(gpa >= GPA && gpa - GPA <= image.size && n <= image.size - (gpa - GPA));
	return image.data + (gpa - GPA);
}

static unsigned sum(const uint8_t *p, size_t n)
{
	unsigned s = 0;

	for (size_t i = 0; i < n; i++)
		s += p[i];
	return s & 0xff;
}

/* Find a table through RSDP and XSDT; NULL when it is not listed. */
static const uint8_t *find(const char *sig)
{
	const uint8_t *rsdp = at(GPA, 36), *xsdt = at(ld64(rsdp + 24), 36);
	unsigned n = (ld32(xsdt + 4) - 36) / 8;

	for (unsigned i = 0; i < n; i++) {
		uint64_t gpa = ld64(xsdt + 36 + 8 * (size_t)i);

		if (memcmp(at(gpa, 8), sig, 4) == 0)
			return at(gpa, ld32(at(gpa, 8) + 4));
	}
	return NULL;
}

static void acpi_link_absolute__makes_a_chain_of_valid_tables(void **state)
{
	static const char *const sigs[] = { "FACP", "APIC", "MCFG", "WAET", "SPCR" };
	const uint8_t *rsdp, *rsdt, *xsdt, *fadt, *dsdt, *facs;
	struct acpi_facts f = facts("plain-2");

	(void)state;
	build(&f);
	rsdp = at(GPA, 36);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_memory_equal(rsdp + 9, "SILL  ", 6);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(ld32(rsdp + 20), 36);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);

	xsdt = at(ld64(rsdp + 24), 36 + 8 * 5);
	rsdt = at(ld32(rsdp + 16), 36 + 4 * 5);
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_memory_equal(rsdt, "RSDT", 4);
	assert_int_equal(ld32(xsdt + 4), 36 + 8 * 5);
	assert_int_equal(ld32(rsdt + 4), 36 + 4 * 5);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t gpa = ld64(xsdt + 36 + 8 * (size_t)i);

		assert_int_equal(gpa, ld32(rsdt + 36 + 4 * (size_t)i));
		assert_memory_equal(at(gpa, 4), sigs[i], 4);
		assert_int_equal(sum(at(gpa, ld32(at(gpa, 8) + 4)), ld32(at(gpa, 8) + 4)), 0);
	}

	fadt = find("FACP");
	dsdt = at(ld64(fadt + 140), 36);
	assert_int_equal(ld32(fadt + 40), ld64(fadt + 140));
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_true(dsdt[8] >= 2); /* 64-bit integers */
	assert_int_equal(sum(dsdt, ld32(dsdt + 4)), 0);
	assert_int_equal(ld32(fadt + 36) % 64, 0);
	facs = at(ld32(fadt + 36), 64);
	assert_memory_equal(facs, "FACS\100\0\0\0\0\0\0\0", 12);
	assert_int_equal(facs[32], 2);
	assert_int_equal(ld64(fadt + 132), 0);
}

static void acpi_link_absolute__refuses_bad_addresses(void **state)
{
	static const uint64_t wrong[] = { 0xe0020, 1ull << 32, (1ull << 32) - 64 };
	struct acpi_facts f = facts("plain-1");

	(void)state;
	build(&f);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct sill_err e = { 0 };

		assert_int_equal(acpi_link_absolute(&t, wrong[i], &image, &e), -1);
		assert_int_equal(e.code, SILL_ERR_INTERNAL);
	}
}

static void gas_is(const uint8_t *p, unsigned bits, unsigned access, unsigned port)
{
	assert_int_equal(p[0], 1);
	assert_int_equal(p[1], bits);
	assert_int_equal(p[2], 0);
	assert_int_equal(p[3], access);
	assert_int_equal(ld64(p + 4), port);
}

static void fadt__describes_the_fixed_hardware(void **state)
{
	struct acpi_facts f = facts("plain-2");
	const uint8_t *p;

	(void)state;
	build(&f);
	p = find("FACP");
	assert_int_equal(ld32(p + 4), 276);
	assert_int_equal(p[8], 6);
	assert_int_equal(p[131], 3);
	assert_int_equal(ld16(p + 46), 9);
	assert_int_equal(ld32(p + 48), 0); /* no SMI_CMD: ACPI is always on */
	assert_int_equal(ld32(p + 52), 0);
	assert_int_equal(ld32(p + 56), 0x600);
	assert_int_equal(ld32(p + 64), 0x604);
	assert_int_equal(ld32(p + 76), 0x608);
	assert_int_equal(ld32(p + 80), 0x620);
	assert_int_equal(p[88], 4);
	assert_int_equal(p[89], 2);
	assert_int_equal(p[91], 4);
	assert_int_equal(p[92], 16);
	assert_true(ld16(p + 96) > 100 && ld16(p + 98) > 1000);
	assert_int_equal(p[108], 0x32);
	assert_int_equal(ld16(p + 109), 0x04); /* no VGA, no 8042, RTC there, MSI allowed */
	assert_int_equal(ld32(p + 112), 0x84a5);
	gas_is(p + 116, 8, 1, 0xcf9);
	assert_int_equal(p[128], 6);
	gas_is(p + 148, 32, 2, 0x600);
	gas_is(p + 172, 16, 2, 0x604);
	gas_is(p + 208, 32, 3, 0x608);
	gas_is(p + 220, 128, 1, 0x620);
	assert_int_equal(ld64(p + 248), 0); /* no sleep control */
}

static void fadt__follows_the_facts(void **state)
{
	struct acpi_facts f = facts("plain-255");
	const uint8_t *p;

	(void)state;
	f.has_i8042 = true;
	f.has_vga = true;
	f.has_rtc = false;
	f.pm_timer_32 = true;
	build(&f);
	p = find("FACP");
	assert_int_equal(ld16(p + 109), 0x22);
	assert_int_equal(ld32(p + 112), 0x84a5 | 1u << 8 | 1u << 18);
}

static void fadt__has_a_hardware_reduced_shape(void **state)
{
	struct acpi_facts f = facts("reduced");
	const uint8_t *p;

	(void)state;
	build(&f);
	p = find("FACP");
	assert_int_equal(ld32(p + 112), 1u << 20 | 1u << 10 | 1u << 0);
	assert_int_equal(ld32(p + 36), 0); /* no FACS */
	assert_int_equal(ld16(p + 46), 0);
	assert_int_equal(ld32(p + 56), 0);
	gas_is(p + 148, 32, 2, 0x600); /* the loader of Windows' hypervisor wants it */
	gas_is(p + 208, 32, 3, 0x608);
	gas_is(p + 244, 8, 1, 0x600);
	gas_is(p + 256, 8, 1, 0x600);
	for (unsigned i = 0; i < t.table_count; i++)
		assert_memory_not_equal(t.table[i].sig, "FACS", 4);
	p = find("APIC");
	assert_int_equal(ld32(p + 40), 0);
}

static void madt__lists_processors_and_interrupts(void **state)
{
	static const uint8_t want[] = {
		0, 0,  0xe0, 0xfe, 1, 0, 0,    0,             /* LAPIC base, PCAT_COMPAT */
		0, 8,  0,    0,    1, 0, 0,    0,             /* processor 0 */
		0, 8,  1,    1,    1, 0, 0,    0,             /* processor 1 */
		1, 12, 0,    0,    0, 0, 0xc0, 0xfe,          /* IOAPIC 0 ... */
		0, 0,  0,    0,                               /* ... from GSI 0 */
		2, 10, 0,    0,    2, 0, 0,    0,    0,    0, /* 0 -> 2 */
		2, 10, 0,    9,    9, 0, 0,    0,    0x0d, 0, /* SCI */
		4, 6,  0xff, 0,    0, 1,                      /* NMI, LINT1, all */
	};
	struct acpi_facts f = facts("plain-2");
	const uint8_t *p;

	(void)state;
	build(&f);
	p = find("APIC");
	assert_int_equal(p[8], 5);
	assert_int_equal(ld32(p + 4), 36 + sizeof(want));
	assert_memory_equal(p + 36, want, sizeof(want));
}

/* The flags of processor @uid; -1 when it is not listed. */
static long madt_flags(uint32_t uid)
{
	const uint8_t *p = find("APIC");
	const uint8_t *end = p + ld32(p + 4);

	for (p += 44; p < end; p += p[1]) {
		if (p[0] == 0 && p[2] == uid)
			return ld32(p + 4);
		if (p[0] == 9 && ld32(p + 12) == uid)
			return ld32(p + 8);
	}
	return -1;
}

static void madt__lists_absent_processors_only_when_they_can_come(void **state)
{
	struct acpi_facts f = facts("hotplug-2");

	(void)state;
	build(&f);
	assert_int_equal(madt_flags(0), 1);
	assert_int_equal(madt_flags(1), 2); /* online capable */
	(void)teardown(NULL);

	f.hotplug_cpu = false;
	build(&f);
	assert_int_equal(madt_flags(0), 1);
	assert_int_equal(madt_flags(1), -1);
}

static void madt__uses_x2apic_entries_for_high_ids(void **state)
{
	static const uint8_t nmi[12] = { 0x0a, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0 };
	struct acpi_facts f = facts("hotplug-288");
	const uint8_t *p;
	uint32_t last_low = 0, first_x2 = UINT32_MAX;

	(void)state;
	build(&f);
	p = find("APIC");
	for (const uint8_t *q = p + 44; q < p + ld32(p + 4); q += q[1]) {
		if (q[0] == 0)
			last_low = q[3];
		if (q[0] == 9 && first_x2 == UINT32_MAX)
			first_x2 = ld32(q + 4);
	}
	assert_true(last_low < 255);
	assert_true(first_x2 >= 255 && first_x2 != UINT32_MAX);
	assert_memory_equal(p + ld32(p + 4) - 12, nmi, 12);
}

static void mcfg__follows_the_ecam(void **state)
{
	struct acpi_facts f = facts("plain-1");
	const uint8_t *p;

	(void)state;
	f.ecam_base = 0xe0000000;
	f.bus_count = 64;
	build(&f);
	p = find("MCFG");
	assert_int_equal(ld32(p + 4), 60);
	assert_int_equal(ld64(p + 44), 0xe0000000);
	assert_int_equal(ld16(p + 52), 0);
	assert_int_equal(p[54], 0);
	assert_int_equal(p[55], 63);
}

static void mcfg__is_absent_without_an_ecam(void **state)
{
	struct acpi_facts f = facts("no-ecam");

	(void)state;
	build(&f);
	assert_null(find("MCFG"));
	assert_non_null(find("WAET"));
}

static void waet__says_the_pm_timer_is_good(void **state)
{
	struct acpi_facts f = facts("plain-1");
	const uint8_t *p;

	(void)state;
	build(&f);
	p = find("WAET");
	assert_int_equal(ld32(p + 4), 40);
	assert_int_equal(ld32(p + 36), 2);
}

static void spcr__describes_com1(void **state)
{
	static const uint8_t want[] = { 0, 0, 0, 0, 1, 8, 0,    1,    0xf8, 3,    0,
					0, 0, 0, 0, 0, 3, 4,    4,    0,    0,    0,
					7, 0, 1, 0, 2, 0, 0xff, 0xff, 0xff, 0xff, 0 };
	struct acpi_facts f = facts("plain-1");
	const uint8_t *p;

	(void)state;
	build(&f);
	p = find("SPCR");
	assert_int_equal(p[8], 2);
	assert_int_equal(ld32(p + 4), 80);
	assert_memory_equal(p + 36, want, sizeof(want));
	(void)teardown(NULL);

	f.has_serial = false;
	build(&f);
	assert_null(find("SPCR"));
}

static void srat__covers_processors_and_the_hotplug_area(void **state)
{
	struct acpi_facts f = facts("hotplug-2");
	const uint8_t *p;

	(void)state;
	f.memory = room.memory;
	f.memory_count = 3;
	room.cpus[1].node = 0x01020304;
	build(&f);
	p = find("SRAT");
	assert_int_equal(ld32(p + 4), 48 + 2 * 16 + 3 * 40);
	assert_int_equal(p[48 + 16], 0);
	assert_int_equal(p[48 + 16 + 2], 0x04);
	assert_int_equal(p[48 + 16 + 3], 1);
	assert_int_equal(ld32(p + 48 + 16 + 4), 1);
	assert_int_equal(p[48 + 16 + 9], 0x03);
	assert_int_equal(p[48 + 16 + 11], 0x01);
	p += 48 + 32 + 80;
	assert_int_equal(p[0], 1);
	assert_int_equal(p[1], 40);
	assert_int_equal(ld64(p + 8), 0x180000000);
	assert_int_equal(ld64(p + 16), 0x100000000);
	assert_int_equal(ld32(p + 28), 3);
}

/* ---- the loader ---- */

static uint8_t rsdp_file[ACPI_RSDP_SIZE], tables_file[ACPI_TABLES_SIZE];
static uint8_t loader_file[ACPI_LOADER_SIZE];

struct file {
	const char *name;
	uint8_t *p;
	uint32_t size;
	uint64_t gpa; /* 0: not allocated yet */
};

static struct file *named(struct file files[2], const uint8_t *name)
{
	assert_int_equal(name[55], 0);
	for (unsigned i = 0; i < 2; i++)
		if (strcmp((const char *)name, files[i].name) == 0)
			return &files[i];
	fail_msg("file '%s'", (const char *)name);
	return NULL;
}

static void run_pointer(struct file files[2], const uint8_t *c)
{
	struct file *f = named(files, c + 4), *to = named(files, c + 60);
	uint32_t off = ld32(c + 116);
	uint64_t v = 0;

	assert_true(c[120] == 4 || c[120] == 8);
	assert_true(off + c[120] <= f->size && to->gpa != 0);
	memcpy(&v, f->p + off, c[120]);
	assert_true(v < to->size);
	v += to->gpa;
	memcpy(f->p + off, &v, c[120]);
}

static void run_checksum(struct file files[2], const uint8_t *c)
{
	struct file *f = named(files, c + 4);
	uint32_t result = ld32(c + 60), start = ld32(c + 64), len = ld32(c + 68);

	assert_true(start + len <= f->size && result >= start && result < start + len);
	f->p[result] = (uint8_t)(f->p[result] - sum(f->p + start, len));
}

/* What a firmware does with the script. Returns the number of commands. */
static unsigned run_script(uint64_t rsdp_gpa, uint64_t tables_gpa)
{
	struct file files[2] = { { "etc/acpi/rsdp", rsdp_file, ACPI_RSDP_SIZE, 0 },
				 { "etc/acpi/tables", tables_file, ACPI_TABLES_SIZE, 0 } };
	unsigned n = 0;

	for (const uint8_t *c = loader_file; c < loader_file + ACPI_LOADER_SIZE; c += 128) {
		struct file *f;

		switch (ld32(c)) {
		case 0:
			for (unsigned i = 0; i < 128; i++)
				assert_int_equal(c[i], 0);
			continue;
		case 1:
			f = named(files, c + 4);
			f->gpa = f->p == rsdp_file ? rsdp_gpa : tables_gpa;
			assert_int_equal(c[64], f->p == rsdp_file ? 2 : 1);
			assert_true(ld32(c + 60) >= 16 && ld32(c + 60) <= 4096);
			break;
		case 2:
			run_pointer(files, c);
			break;
		case 3:
			run_checksum(files, c);
			break;
		default:
			fail();
		}
		n++;
	}
	return n;
}

/* Both ways must give the same bytes for the same addresses. */
static void acpi_link_loader__gives_what_absolute_linking_gives(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		struct acpi_facts f = facts_of(&variants[i], &room);
		struct sill_err e = { 0 };

		build(&f);
		assert_int_equal(acpi_link_loader(&t, rsdp_file, tables_file, loader_file, &e), 0);
		assert_true(run_script(GPA, GPA + HEAD) > 20);
		assert_memory_equal(rsdp_file, image.data, ACPI_RSDP_SIZE);
		assert_memory_equal(tables_file, image.data + HEAD, image.size - HEAD);
		for (size_t n = image.size - HEAD; n < ACPI_TABLES_SIZE; n++)
			assert_int_equal(tables_file[n], 0);
		(void)teardown(NULL);
	}
}

/* ---- facts ---- */

static void acpi_build__gives_the_same_bytes_twice(void **state)
{
	struct acpi_facts f = facts("all");
	struct acpi_tables other;
	struct sill_err e = { 0 };

	(void)state;
	build(&f);
	assert_int_equal(acpi_build(&other, &f, &e), 0);
	assert_int_equal(other.blob.size, t.blob.size);
	assert_memory_equal(other.blob.data, t.blob.data, t.blob.size);
	acpi_tables_fini(&other);
}

static void acpi_build__refuses_facts_that_contradict(void **state)
{
	struct acpi_facts good = facts("plain-2");
	struct acpi_facts wrong[11];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		wrong[i] = good;
	wrong[0].cpu_count = 0;
	wrong[1].cpu_count = 1025;
	wrong[2].memory_slots = 257;
	wrong[3].bus_count = 257;
	wrong[4].ecam_base = 0xf8000000;
	wrong[5].ecam_base = 1ull << 32;
	wrong[6].window32 = (struct acpi_range){ 0xf0000000, 0x10000001 };
	wrong[7].window64 = (struct acpi_range){ UINT64_MAX, 2 };
	wrong[8].removable = 1;
	wrong[9].lpc_slot = 32;
	wrong[10].lpc_slot = 30;
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct acpi_tables none;
		struct sill_err e = { 0 };

		if (acpi_build(&none, &wrong[i], &e) == 0)
			fail_msg("row %u was accepted", i);
		assert_int_equal(e.code, SILL_ERR_INTERNAL);
		assert_null(none.blob.data);
	}
	room.cpus[0].present = false;
	{
		struct acpi_tables none;
		struct sill_err e = { 0 };

		assert_int_equal(acpi_build(&none, &good, &e), -1);
	}
}

static void acpi_build__says_when_the_tables_do_not_fit(void **state)
{
	struct acpi_facts f = facts("all");
	struct acpi_tables none;
	struct sill_err e = { 0 };

	(void)state;
	f.cpu_count = 1024;
	f.memory_slots = 256;
	assert_int_equal(acpi_build(&none, &f, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_null(none.blob.data);
}

static void append_device(void *ctx, struct aml *scope)
{
	aml_device(scope, "TEST");
	aml_name_str(scope, "_HID", ctx);
	aml_close(scope);
}

static void append_rubbish(void *ctx, struct aml *scope)
{
	(void)ctx;
	aml_device(scope, "never closed");
}

static void acpi_build__appends_what_devices_say(void **state)
{
	static char id[] = "SILL0001";
	struct acpi_facts f = facts("plain-1");
	struct acpi_tables none;
	struct sill_err e = { 0 };

	(void)state;
	f.devices = append_device;
	f.devices_ctx = id;
	build(&f);
	assert_non_null(memmem(image.data, image.size, id, sizeof(id)));

	f.devices = append_rubbish;
	assert_int_equal(acpi_build(&none, &f, &e), -1);
	assert_int_equal(e.code, SILL_ERR_INTERNAL);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(acpi_link_absolute__makes_a_chain_of_valid_tables),
		T(acpi_link_absolute__refuses_bad_addresses),
		T(fadt__describes_the_fixed_hardware),
		T(fadt__follows_the_facts),
		T(fadt__has_a_hardware_reduced_shape),
		T(madt__lists_processors_and_interrupts),
		T(madt__lists_absent_processors_only_when_they_can_come),
		T(madt__uses_x2apic_entries_for_high_ids),
		T(mcfg__follows_the_ecam),
		T(mcfg__is_absent_without_an_ecam),
		T(waet__says_the_pm_timer_is_good),
		T(spcr__describes_com1),
		T(srat__covers_processors_and_the_hotplug_area),
		T(acpi_link_loader__gives_what_absolute_linking_gives),
		T(acpi_build__gives_the_same_bytes_twice),
		T(acpi_build__refuses_facts_that_contradict),
		T(acpi_build__says_when_the_tables_do_not_fit),
		T(acpi_build__appends_what_devices_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
