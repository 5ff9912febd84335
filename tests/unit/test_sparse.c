/* SPDX-License-Identifier: Apache-2.0 */
/* test_sparse.c - a guest's memory as a file: what is in it, and what that costs the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "core/ram.h"
#include "runner/snapshot/sparse.h"

enum { MIB = 1 << 20, SIZE = 64 * MIB, BEFORE = 4096 };

/* What a guest has written: at the start, over the end of a piece, two pages with a hole between, at the end. */
static const struct {
	uint64_t off;
	size_t size;
} written[] = { { 0, 1 },
		{ 3 * MIB - 10, 20 },
		{ 20 * MIB, 4096 },
		{ 20 * MIB + 8192, 4096 },
		{ SIZE - 1, 1 } };

struct heard {
	uint64_t done, size;
	unsigned times;
	bool give_up;
};

static bool hear(void *ctx, uint64_t done, uint64_t size)
{
	struct heard *h = ctx;

	assert_true(done >= h->done && done <= size);
	h->done = done;
	h->size = size;
	h->times++;
	return !h->give_up;
}

static int new_file(void)
{
	const int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t taken(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Two ranges, as around the hole below 4 GiB: the second begins in the middle of a file that both are. */
static void make(struct ram *ram, struct sill_ram_range r[2], bool shared)
{
	const struct sill_memory_config c = { .size = SIZE, .shared = shared };
	struct sill_err e = { 0 };

	assert_int_equal(ram_map(ram, &c, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(written); i++)
		memset(ram->hva + written[i].off, (int)(1 + i), written[i].size);
	r[0] = (struct sill_ram_range){ 0, 16 * MIB, ram->hva, ram->fd, 0 };
	r[1] = (struct sill_ram_range){ 4ull << 30, SIZE - 16 * MIB, ram->hva + 16 * MIB, ram->fd,
					16 * MIB };
}

static void check_written(bool shared)
{
	struct heard h = { 0 };
	const struct sparse_told told = { hear, &h };
	struct sill_ram_range r[2];
	struct sill_err e = { 0 };
	struct ram ram;
	const int fd = new_file();
	uint64_t cost;
	uint8_t *file;

	make(&ram, r, shared);
	cost = shared ? taken(ram.fd) : 0;
	assert_int_equal(sparse_write(fd, BEFORE, r, 2, &told, &e), 0);
	if (shared)
		assert_int_equal(taken(ram.fd), cost);
	assert_true(taken(fd) < SIZE / 2); /* pages may be huge */
	assert_int_equal(h.done, SIZE);
	assert_int_equal(h.size, SIZE);
	assert_in_range(h.times, 2, 5);
	file = mmap(NULL, BEFORE + SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(file != MAP_FAILED);
	assert_int_equal(memcmp(file + BEFORE, ram.hva, SIZE), 0);
	(void)munmap(file, BEFORE + SIZE);
	(void)close(fd);
	ram_unmap(&ram);
}

static void sparse_write__of_private_memory(void **state)
{
	(void)state;
	check_written(false);
}

static void sparse_write__fills_no_hole_of_shared_memory(void **state)
{
	(void)state;
	check_written(true);
}

static void sparse_write__of_memory_that_nobody_has_touched(void **state)
{
	const struct sill_memory_config c = { .size = SIZE, .shared = true };
	const struct sparse_told told = { 0 };
	struct sill_err e = { 0 };
	struct sill_ram_range r;
	struct ram ram;
	const int fd = new_file();

	(void)state;
	assert_int_equal(ram_map(&ram, &c, &e), 0);
	r = (struct sill_ram_range){ 0, SIZE, ram.hva, ram.fd, 0 };
	assert_int_equal(sparse_write(fd, 0, &r, 1, &told, &e), 0);
	assert_int_equal(taken(ram.fd), 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), SIZE);
	(void)close(fd);
	ram_unmap(&ram);
}

static void sparse_write__gives_up_when_it_is_told_to(void **state)
{
	struct heard h = { .give_up = true };
	const struct sparse_told told = { hear, &h };
	struct sill_ram_range r[2];
	struct sill_err e = { 0 };
	struct ram ram;
	const int fd = new_file();

	(void)state;
	make(&ram, r, true);
	assert_int_equal(sparse_write(fd, 0, r, 2, &told, &e), -1);
	assert_int_equal(h.times, 1);
	assert_true(h.done < SIZE);
	(void)close(fd);
	ram_unmap(&ram);
}

static void sparse_read__is_what_was_written(void **state)
{
	const struct sparse_told told = { 0 };
	struct sill_ram_range r[2], into;
	struct sill_err e = { 0 };
	struct ram ram;
	const int fd = new_file();
	uint8_t *back = calloc(1, SIZE);

	(void)state;
	assert_non_null(back);
	make(&ram, r, true);
	assert_int_equal(sparse_write(fd, 0, r, 2, &told, &e), 0);
	into = (struct sill_ram_range){ 0, SIZE, back, -1, 0 };
	assert_int_equal(sparse_read(fd, 0, &into, &e), 0);
	assert_int_equal(memcmp(back, ram.hva, SIZE), 0);
	(void)close(fd);
	free(back);
	ram_unmap(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sparse_write__of_private_memory),
		cmocka_unit_test(sparse_write__fills_no_hole_of_shared_memory),
		cmocka_unit_test(sparse_write__of_memory_that_nobody_has_touched),
		cmocka_unit_test(sparse_write__gives_up_when_it_is_told_to),
		cmocka_unit_test(sparse_read__is_what_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
