/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_corefile.c - a core file as debuggers read it: of a VM of this file, whose functions have other names here, and
 * core.c is built with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
#define sill_vm_freeze kit_freeze
#define sill_vm_thaw kit_thaw
#define sill_vm_ram_ranges kit_ram_ranges
#define sill_vm_mapped_ranges kit_mapped_ranges
#define core_write kit_core_write
#include "runner/snapshot/core.c"
/* clang-format on */

enum { LOW = 4 * PAGE, HIGH = 2 * PAGE, PIECES = 70000 };
#define HIGH_GPA 0x100000000ull
#define TEXT     0xffffffff81000000ull

static struct {
	unsigned char low[LOW], high[HIGH];
	struct sill_mapped_range *mapped;
	unsigned count, thawed;
} kit;

int kit_freeze(struct sill_vm *vm, enum sill_picture what, void **ret, size_t *ret_size,
	       struct sill_err *e)
{
	(void)vm;
	(void)e;
	assert_int_equal(what, SILL_PICTURE_NOTES);
	*ret = strdup("the notes");
	*ret_size = 10;
	return *ret != NULL ? 0 : -1;
}

void kit_thaw(struct sill_vm *vm)
{
	(void)vm;
	kit.thawed++;
}

unsigned kit_ram_ranges(struct sill_vm *vm, struct sill_ram_range *ret, unsigned room)
{
	(void)vm;
	assert_true(room >= 2);
	ret[0] = (struct sill_ram_range){ 0, LOW, kit.low, -1, 0 };
	ret[1] = (struct sill_ram_range){ HIGH_GPA, HIGH, kit.high, -1, 0 };
	return 2;
}

unsigned kit_mapped_ranges(struct sill_vm *vm, uint64_t least, struct sill_mapped_range *ret,
			   unsigned room)
{
	unsigned n = 0;

	(void)vm;
	for (unsigned i = 0; i < kit.count; i++) {
		if (kit.mapped[i].size < least)
			continue;
		if (n < room)
			ret[n] = kit.mapped[i];
		n++;
	}
	return n;
}

static unsigned char *file; /* what was written */
static Elf64_Ehdr head;

static void dump(bool linear)
{
	char dir[] = "/tmp/sill-core.XXXXXX", path[64];
	const struct sparse_told nobody = { 0 };
	struct sill_err e = { 0 };
	off_t size;
	int fd;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/core", dir);
	assert_int_equal(core_write(NULL, path, linear, &nobody, &e), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size = lseek(fd, 0, SEEK_END);
	free(file);
	file = malloc((size_t)size);
	assert_non_null(file);
	assert_int_equal(pread(fd, file, (size_t)size, 0), size);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	memcpy(&head, file, sizeof(head));
	assert_memory_equal(head.e_ident, ELFMAG, SELFMAG);
	assert_int_equal(head.e_type, ET_CORE);
}

static Elf64_Phdr part(unsigned i)
{
	Elf64_Phdr p;

	assert_true(i < head.e_phnum);
	memcpy(&p, file + head.e_phoff + i * sizeof(p), sizeof(p));
	return p;
}

static void is_load(unsigned i, uint64_t address, uint64_t gpa, uint64_t size)
{
	const Elf64_Phdr p = part(i);
	const unsigned char *is = gpa < HIGH_GPA ? kit.low + gpa : kit.high + (gpa - HIGH_GPA);

	assert_int_equal(p.p_type, PT_LOAD);
	assert_int_equal(p.p_align, 0); /* else crash does not know it for what it is */
	assert_int_equal(p.p_vaddr, address);
	assert_int_equal(p.p_paddr, gpa);
	assert_int_equal(p.p_filesz, size);
	assert_int_equal(p.p_memsz, size);
	assert_int_equal(p.p_offset % PAGE, 0);
	assert_memory_equal(file + p.p_offset, is, size);
}

static int set_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LOW; i++)
		kit.low[i] = (unsigned char)(i % 251 + i / PAGE);
	for (unsigned i = 0; i < HIGH; i++)
		kit.high[i] = (unsigned char)(i % 241 + 7);
	kit.mapped = calloc(PIECES, sizeof(*kit.mapped));
	kit.count = kit.thawed = 0;
	return kit.mapped != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(kit.mapped);
	free(file);
	file = NULL;
	return 0;
}

static void add(uint64_t address, uint64_t gpa, uint64_t size)
{
	kit.mapped[kit.count++] = (struct sill_mapped_range){ address, gpa, size };
}

static void core__has_memory_by_its_physical_address(void **state)
{
	(void)state;
	add(TEXT, PAGE, PAGE); /* nobody has asked for it */
	dump(false);
	assert_int_equal(head.e_phnum, 3);
	assert_int_equal(part(0).p_type, PT_NOTE);
	assert_int_equal(part(0).p_filesz, 10);
	assert_string_equal((char *)file + part(0).p_offset, "the notes");
	is_load(1, 0, 0, LOW);
	is_load(2, HIGH_GPA, HIGH_GPA, HIGH);
	assert_int_equal(kit.thawed, 1);
}

static void core__has_memory_where_the_kernel_has_it(void **state)
{
	(void)state;
	add(TEXT, PAGE, 2 * PAGE);
	add(0xffffc90000000000, 0xfee00000, PAGE);           /* a device's */
	add(0xffff888000000000, LOW - PAGE, HIGH_GPA - LOW); /* some memory, no more; */
	add(0xffff888100000000, HIGH_GPA - PAGE, 2 * PAGE);  /* some before that; */
	add(0xffff900000000000, 0, HIGH_GPA + HIGH);         /* and all of it at once */
	dump(true);
	assert_int_equal(head.e_phnum, 3 + 5);
	assert_string_equal((char *)file + part(0).p_offset, "the notes");
	is_load(1, 0, 0, LOW);
	is_load(2, HIGH_GPA, HIGH_GPA, HIGH);
	is_load(3, TEXT, PAGE, 2 * PAGE);
	is_load(4, 0xffff888000000000, LOW - PAGE, PAGE);
	is_load(5, 0xffff888100001000, HIGH_GPA, PAGE);
	is_load(6, 0xffff900000000000, 0, LOW);
	is_load(7, 0xffff900000000000 + HIGH_GPA, HIGH_GPA, HIGH);
}

/* A header of ELF counts up to 65,535. */
static void core__leaves_small_pieces_out_when_they_are_too_many(void **state)
{
	(void)state;
	add(TEXT, 0, 2 * PAGE);
	while (kit.count < PIECES)
		add(0xffffc90000000000 + (uint64_t)kit.count * 2 * PAGE, PAGE, PAGE);
	dump(true);
	assert_int_equal(head.e_phnum, 4);
	is_load(3, TEXT, 0, 2 * PAGE);
	/* So, too, when there are too many of them only in what is memory. */
	kit.count = 1;
	while (kit.count < 40000)
		add(0xffffc90000000000 + (uint64_t)kit.count * PAGE, 0, HIGH_GPA + PAGE);
	dump(true);
	assert_int_equal(head.e_phnum, 3);
}

struct spot {
	char dir[32], path[64];
	unsigned told, names;
};

static unsigned count_names(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2; /* itself, and what it is in */
}

static bool look(void *ctx, uint64_t done, uint64_t size)
{
	struct spot *p = ctx;

	(void)done;
	(void)size;
	p->told++;
	p->names += count_names(p->dir);
	return true;
}

/* So kill -9 leaves nothing. One that is there is seen before the guest stands still. */
static void core__has_a_name_when_it_is_whole(void **state)
{
	struct spot p = { .dir = "/tmp/sill-core.XXXXXX" };
	const struct sparse_told told = { .fn = look, .ctx = &p };
	struct sill_err e = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(p.dir));
	(void)snprintf(p.path, sizeof(p.path), "%s/core", p.dir);
	memset(kit.low, 7, sizeof(kit.low));
	assert_int_equal(core_write(NULL, p.path, false, &told, &e), 0);
	assert_true(p.told > 0);
	assert_int_equal(p.names, 0);
	assert_int_equal(count_names(p.dir), 1);
	assert_int_equal(stat(p.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	kit.thawed = 0;
	assert_int_equal(core_write(NULL, p.path, false, &told, &e), -1);
	assert_int_equal(e.sys, EEXIST);
	assert_int_equal(kit.thawed, 0);
	assert_int_equal(unlink(p.path), 0);
	assert_int_equal(symlink("elsewhere", p.path), 0);
	assert_int_equal(core_write(NULL, p.path, false, &told, &e), -1);
	assert_int_equal(unlink(p.path), 0);
	assert_int_equal(rmdir(p.dir), 0);
}

/* As a full disk. */
static void core__leaves_nothing_where_there_is_no_room(void **state)
{
	struct spot p = { .dir = "/tmp/sill-core.XXXXXX" };
	const struct sparse_told nobody = { 0 };
	const struct rlimit little = { 2 * PAGE, RLIM_INFINITY };
	struct rlimit before;
	struct sill_err e = { 0 };
	int ret;

	(void)state;
	assert_non_null(mkdtemp(p.dir));
	(void)snprintf(p.path, sizeof(p.path), "%s/core", p.dir);
	memset(kit.low, 7, sizeof(kit.low));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	kit.thawed = 0;
	ret = core_write(NULL, p.path, false, &nobody, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(ret, -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(kit.thawed, 1);
	assert_int_equal(rmdir(p.dir), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(core__has_memory_by_its_physical_address),
		TEST(core__has_memory_where_the_kernel_has_it),
		TEST(core__leaves_small_pieces_out_when_they_are_too_many),
		TEST(core__has_a_name_when_it_is_whole),
		TEST(core__leaves_nothing_where_there_is_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
