/* SPDX-License-Identifier: Apache-2.0 */
/* test_ram_host.c - what a zone of guest RAM asks the host's kernel for: huge pages, a node's pages, a file's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int fake_memfd_create(const char *name, unsigned flags);
static long fake_syscall(long nr, ...);

#define memfd_create fake_memfd_create
#define syscall      fake_syscall
#include "core/ram.c"
#undef memfd_create
#undef syscall

enum { MIB = 1 << 20 };

static struct {
	unsigned memfd_flags, memfds;
	unsigned binds;
	void *at;
	unsigned long size, mode, node;
	bool really;
} asked;

/* A host without huge pages makes a file of small ones. */
static int fake_memfd_create(const char *name, unsigned flags)
{
	asked.memfd_flags = flags;
	asked.memfds++;
	return memfd_create(name, MFD_CLOEXEC);
}

static long fake_syscall(long nr, ...)
{
	unsigned long max, flags;
	const unsigned long *nodes;
	va_list ap;

	assert_int_equal(nr, SYS_mbind);
	va_start(ap, nr);
	asked.at = va_arg(ap, void *);
	asked.size = va_arg(ap, unsigned long);
	asked.mode = va_arg(ap, unsigned);
	nodes = va_arg(ap, const unsigned long *);
	max = va_arg(ap, unsigned);
	flags = va_arg(ap, unsigned);
	va_end(ap);
	asked.node = nodes[0];
	asked.binds++;
	return asked.really ? syscall(nr, asked.at, asked.size, asked.mode, nodes, max, flags) : 0;
}

/* The line of /proc/self/numa_maps about the mapping that begins at @at. False: this kernel has none. */
static bool numa_line(const void *at, char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/numa_maps", "re");
	bool found = false;

	if (f == NULL)
		return false;
	while (!found && fgets(ret, (int)size, f) != NULL)
		found = strtoul(ret, NULL, 16) == (uintptr_t)at;
	(void)fclose(f);
	assert_true(found);
	return true;
}

static void zone__asks_for_huge_pages_of_its_size(void **state)
{
	static const struct {
		uint64_t size;
		unsigned shift;
	} rows[] = { { 0, 0 }, { 2 * MIB, 21 }, { 1ull << 30, 30 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct sill_memory_zone z = { .size = 4 * MIB,
						    .hugepages = true,
						    .hugepage_size = rows[i].size };
		struct sill_err e = { 0 };
		struct ram r;

		memset(&asked, 0, sizeof(asked));
		assert_int_equal(ram_map_zone(&r, &z, false, &e), 0);
		assert_int_equal(asked.memfds, 1);
		assert_true((asked.memfd_flags & MFD_HUGETLB) != 0);
		assert_int_equal(asked.memfd_flags >> MFD_HUGE_SHIFT, rows[i].shift);
		assert_int_equal(r.page, 0);
		ram_unmap(&r);
	}
}

static void zone__takes_its_pages_from_its_nodes(void **state)
{
	uint16_t first[] = { 0 }, some[] = { 1, 3 };
	char id[] = "a";
	struct sill_memory_zone z = {
		.id = id, .size = 4 * MIB, .host_numa_node = some, .host_numa_node_count = 2
	};
	struct sill_err e = { 0 };
	char line[512];
	struct ram r;

	(void)state;
	memset(&asked, 0, sizeof(asked));
	assert_int_equal(ram_map_zone(&r, &z, false, &e), 0);
	assert_int_equal(asked.binds, 1);
	assert_ptr_equal(asked.at, r.hva);
	assert_int_equal(asked.size, z.size);
	assert_int_equal(asked.mode, MPOL_BIND);
	assert_int_equal(asked.node, 1 << 1 | 1 << 3);
	ram_unmap(&r);
	/* And the host's own kernel says so. */
	z.host_numa_node = first;
	z.host_numa_node_count = 1;
	asked.really = true;
	if (ram_map_zone(&r, &z, false, &e) < 0)
		skip(); /* one without NUMA */
	r.hva[0] = 1;
	if (numa_line(r.hva, line, sizeof(line)))
		assert_non_null(strstr(line, " bind:0 "));
	ram_unmap(&r);
}

/* A file of @size bytes, each of them 7. */
static int make(size_t size)
{
	char path[] = "/tmp/sill-ram-XXXXXX";
	const int fd = mkstemp(path);
	uint8_t *p = malloc(size);

	assert_true(fd >= 0);
	assert_non_null(p);
	assert_int_equal(unlink(path), 0);
	memset(p, 7, size);
	assert_int_equal(write(fd, p, size), (ssize_t)size);
	free(p);
	return fd;
}

static void zone__is_its_file(void **state)
{
	char a[] = "a", b[] = "b", path[] = "/f";
	struct sill_memory_zone zone[] = {
		{ .id = a, .size = MIB, .file = path, .shared = true },
		{ .id = b, .size = MIB, .file = path },
	};
	const struct sill_memory_config c = { .size = 2 * MIB, .zones = zone, .zones_count = 2 };
	const int fd[2] = { make(MIB), make(MIB + 1) };
	struct sill_files files = { 0 };
	struct ram_zones z;
	struct sill_err e = { 0 };
	uint8_t byte;

	(void)state;
	memset(&asked, 0, sizeof(asked));
	for (unsigned i = 0; i < 2; i++) {
		const struct sill_file file = { .role = SILL_FILE_MEMORY,
						.id = zone[i].id,
						.fd = dup(fd[i]) };

		assert_int_equal(sill_files_add(&files, &file, &e), 0);
	}
	assert_int_equal(ram_zones_map(&z, &c, &files, &e), 0);
	assert_int_equal(asked.memfds, 0);
	assert_int_equal(sill_files_take(&files, SILL_FILE_MEMORY, a, 0), -1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(z.zone[i].hva[4096], 7);
		/* What is there already are no zeroes. */
		assert_int_equal(z.zone[i].page, 0);
		z.zone[i].hva[4096] = 9;
		assert_int_equal(pread(fd[i], &byte, 1, 4096), 1);
		assert_int_equal(byte, i == 0 ? 9 : 7);
	}
	ram_zones_unmap(&z);
	/* One that is not there, one that is too small. */
	assert_int_equal(ram_zones_map(&z, &c, &files, &e), -1);
	assert_string_equal(e.msg, "memory zone a: its file is not there");
	zone[1].file = NULL;
	assert_int_equal(ftruncate(fd[0], MIB - 1), 0);
	assert_int_equal(
		sill_files_add(
			&files,
			&(struct sill_file){ .role = SILL_FILE_MEMORY, .id = a, .fd = dup(fd[0]) },
			&e),
		0);
	e = (struct sill_err){ 0 };
	assert_int_equal(ram_zones_map(&z, &c, &files, &e), -1);
	assert_non_null(strstr(e.msg, "has 1048575 bytes, and it is to have 1048576"));
	assert_string_equal(e.hint, "`truncate -s 1024K FILE` makes it larger");
	sill_files_close(&files);
	for (unsigned i = 0; i < 2; i++)
		(void)close(fd[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zone__asks_for_huge_pages_of_its_size),
		cmocka_unit_test(zone__takes_its_pages_from_its_nodes),
		cmocka_unit_test(zone__is_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
