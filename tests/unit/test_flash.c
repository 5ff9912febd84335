/* SPDX-License-Identifier: Apache-2.0 */
/* test_flash.c - the variables' flash chip: commands, file, crashes. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/legacy/flash.h"
#include "sill/vm.h"
#include "varstore.c"

#define VARS_4M "/usr/share/OVMF/OVMF_VARS_4M.fd"
#define VARS_2M "/usr/share/OVMF/OVMF_VARS.fd"

enum { SIZE_4M = 0x84000, SIZE_2M = 0x20000 };

/* Sanitizers cost a factor of ten per access to the chip, and crashes are about order, not memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FEWER = 8 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { FEWER = 8 };
#else
enum { FEWER = 1 };
#endif
#else
enum { FEWER = 1 };
#endif

/* --- a chip on the bench ------------------------------------------------ */

struct bench {
	struct kit k;
	int fd;
	uint8_t *mem;
	/* show_array() */
	bool shown, refuse;
	unsigned shows;
	sem_t progress;
	struct varwriter w;
};

static int show_array(void *ctx, bool array)
{
	struct bench *b = ctx;

	if (b->refuse)
		return -1;
	assert_int_not_equal(b->shown, array);
	b->shown = array;
	b->shows++;
	return 0;
}

static void progress(void *ctx)
{
	struct kit *k = ctx;
	struct bench *b = (struct bench *)(void *)((char *)k - offsetof(struct bench, k));

	(void)sem_post(&b->progress);
}

static void chip_write(void *ctx, size_t off, uint8_t v)
{
	struct bench *b = ctx;

	struct io io = { .off = off, .size = 1, .write = true, .val = v };

	(void)dev_io(b->k.dev, 0, &io);
}

/* Takes @fd. */
static void open_flash(struct bench *b, int fd, size_t size, const struct flash_file_ops *ops,
		       void *file_ctx)
{
	const struct flash_config c = { .fd = fd,
					.size = size,
					.show_array = show_array,
					.ctx = b,
					.file_ops = ops,
					.file_ctx = file_ctx };

	*b = (struct bench){ .fd = fd, .shown = true };
	assert_int_equal(sem_init(&b->progress, 0, 0), 0);
	kit_open(&b->k, 0);
	b->k.env.progress = progress;
	kit_plug(&b->k, &flash_ops, &c, NO_GSI);
	b->mem = flash_memory(b->k.dev);
	b->w = (struct varwriter){ .mem = b->mem, .write = chip_write, .ctx = b };
	(void)varstore_layout(size, &b->w.l);
}

static void drain(struct bench *b)
{
	dev_stop(b->k.dev);
	while (!dev_drained(b->k.dev))
		(void)sem_wait(&b->progress);
}

static void close_flash(struct bench *b)
{
	drain(b);
	kit_close(&b->k);
	fd_close(&b->fd);
	(void)sem_destroy(&b->progress);
}

static int temp_file(void)
{
	char name[] = "/tmp/sill-flash-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	return fd;
}

/* A file with a fresh store, as shipped. */
static int fresh_file(size_t size)
{
	struct varstore_layout l = { 0 };
	uint8_t *img = malloc(size);
	int fd = temp_file();

	assert_non_null(img);
	assert_true(varstore_layout(size, &l));
	varstore_format(img, &l);
	assert_int_equal(fd_pwrite_full(fd, img, size, 0), 0);
	free(img);
	return fd;
}

static uint8_t *file_image(int fd, size_t size)
{
	uint8_t *img = malloc(size);

	assert_non_null(img);
	assert_int_equal(fd_pread_full(fd, img, size, 0), 0);
	return img;
}

static void cmd(struct bench *b, size_t off, uint8_t v)
{
	wr(&b->k, 0, off, 1, v);
}

static uint8_t look(struct bench *b, size_t off)
{
	return (uint8_t)rd(&b->k, 0, off, 1);
}

/* --- commands ----------------------------------------------------------- */

static void flash_probe__answers_as_ovmf_wants(void **state)
{
	struct bench b;

	(void)state;
	open_flash(&b, fresh_file(SIZE_4M), SIZE_4M, NULL, NULL);
	assert_int_equal(look(&b, 0x10), 0x8d);
	cmd(&b, 0x10, 0x50);
	assert_true(b.shown);
	assert_int_equal(look(&b, 0x10), 0x8d);
	cmd(&b, 0x10, 0x70);
	assert_false(b.shown); /* reads must reach the chip now */
	assert_int_equal(look(&b, 0x10), 0x00);
	assert_int_equal(look(&b, 0x20000), 0x00);
	cmd(&b, 0x10, 0xff);
	assert_true(b.shown);
	assert_int_equal(look(&b, 0x10), 0x8d);
	assert_int_equal(b.shows, 2);
	/* Later releases also look for write protection: bit 4 clear. */
	cmd(&b, 0x10, 0x10);
	cmd(&b, 0x10, 0x8d);
	cmd(&b, 0x10, 0x70);
	assert_int_equal(look(&b, 0x10) & 0x10, 0);
	cmd(&b, 0x10, 0xff);
	assert_int_equal(look(&b, 0x10), 0x8d);
	close_flash(&b);
}

static void flash_program__overwrites_a_byte_and_keeps_the_array_shown(void **state)
{
	struct bench b;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		cmd(&b, 0x100, i == 0 ? 0x10 : 0x40);
		cmd(&b, 0x100, i == 0 ? 0x00 : 0xa5); /* bits rise again */
		assert_int_equal(b.mem[0x100], i == 0 ? 0x00 : 0xa5);
	}
	/* A command as data, and the data's address counts. */
	cmd(&b, 0x200, 0x10);
	cmd(&b, 0x201, 0xff);
	cmd(&b, 0x201, 0x10);
	cmd(&b, 0x202, 0x70);
	assert_int_equal(b.mem[0x202], 0x70);
	assert_true(b.shown);
	assert_int_equal(b.shows, 0);
	close_flash(&b);
}

static void flash_erase__clears_one_block_when_confirmed(void **state)
{
	struct bench b;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	memset(b.mem + 0x3000, 0x11, 0x3000);
	cmd(&b, 0x4008, 0x20);
	cmd(&b, 0x4008, 0xd0);
	for (size_t i = 0x3000; i < 0x6000; i++)
		assert_int_equal(b.mem[i], i >= 0x4000 && i < 0x5000 ? 0xff : 0x11);
	/* Not confirmed: the second byte is a command of its own. */
	cmd(&b, 0x3000, 0x20);
	cmd(&b, 0x3000, 0x70);
	assert_int_equal(b.mem[0x3000], 0x11);
	assert_int_equal(look(&b, 0x3000), 0);
	cmd(&b, 0x3000, 0xff);
	close_flash(&b);
}

static void flash_id_and_cfi__are_minimal(void **state)
{
	struct bench b;

	(void)state;
	open_flash(&b, fresh_file(SIZE_4M), SIZE_4M, NULL, NULL);
	cmd(&b, 0, 0x90);
	assert_int_equal(look(&b, 0), 0x89);
	assert_int_equal(look(&b, 1), 0x18);
	assert_int_equal(look(&b, 2), 0);
	cmd(&b, 0x55, 0x98);
	assert_int_equal(rd(&b.k, 0, 0x10, 4), 0x01595251); /* QRY, 1 */
	assert_int_equal(look(&b, 0x27), 20);               /* 1 MiB holds 528 KiB */
	assert_int_equal((look(&b, 0x2d) | look(&b, 0x2e) << 8) + 1, SIZE_4M / 4096);
	assert_int_equal((look(&b, 0x2f) | look(&b, 0x30) << 8) * 256, 4096);
	assert_false(b.shown);
	cmd(&b, 0, 0x77); /* unknown: back to the array */
	assert_true(b.shown);
	close_flash(&b);
}

static void flash_io__of_more_than_a_byte_reads_and_does_not_write(void **state)
{
	struct bench b;
	struct io io = { .off = 8, .size = 4, .write = true, .val = 0x10101010 };

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	assert_int_equal(rd(&b.k, 0, 0x10, 4), 0xfff12b8d);
	assert_int_equal(rd(&b.k, 0, 0x10, 8), 0x4c8b7696fff12b8d);
	assert_int_equal(kit_access(&b.k, 0, &io), IO_BAD_SIZE);
	io = (struct io){ .off = SIZE_2M - 4, .size = 8 };
	assert_int_equal(kit_access(&b.k, 0, &io), IO_NO_REGISTER);
	close_flash(&b);
}

static void flash_show_array__may_be_refused(void **state)
{
	struct bench b;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	b.refuse = true;
	cmd(&b, 0x10, 0x70);
	assert_true(b.shown);
	b.refuse = false;
	cmd(&b, 0x10, 0x70); /* asked again */
	assert_false(b.shown);
	b.refuse = true;
	cmd(&b, 0x10, 0xff);
	assert_int_equal(look(&b, 0x10), 0x8d); /* slow, but right */
	b.refuse = false;
	dev_reset(b.k.dev);
	assert_true(b.shown);
	close_flash(&b);
}

/* --- the file ----------------------------------------------------------- */

static void flash_file__has_a_run_when_the_run_ends(void **state)
{
	struct bench b;
	uint8_t *img;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	cmd(&b, 0x1000, 0x10);
	cmd(&b, 0x1000, 0x42);
	cmd(&b, 0x5000, 0x20);
	cmd(&b, 0x5000, 0xd0);
	cmd(&b, 0x5001, 0x10);
	cmd(&b, 0x5001, 0x43);
	cmd(&b, 0x5001, 0xff);
	img = file_image(b.fd, SIZE_2M);
	assert_memory_equal(img, b.mem, SIZE_2M);
	assert_int_equal(img[0x1000], 0x42);
	assert_int_equal(img[0x5001], 0x43);
	free(img);
	close_flash(&b);
}

static void flash_file__has_a_run_that_never_ends_soon(void **state)
{
	struct bench b;
	uint8_t v;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	cmd(&b, 0x1000, 0x10);
	cmd(&b, 0x1000, 0x42);
	do
		assert_int_equal(sem_wait(&b.progress), 0);
	while (!dev_drained(b.k.dev));
	assert_int_equal(fd_pread_full(b.fd, &v, 1, 0x1000), 0);
	assert_int_equal(v, 0x42);
	close_flash(&b);
}

static void flash_stop__leaves_everything_in_the_file(void **state)
{
	struct stat st;
	struct bench b;
	uint8_t *img;
	int fd = fresh_file(SIZE_2M), again = dup(fd);

	(void)state;
	open_flash(&b, fd, SIZE_2M, NULL, NULL);
	cmd(&b, 0x1000, 0x10);
	cmd(&b, 0x1000, 0x42);
	drain(&b);
	assert_true(dev_drained(b.k.dev));
	close_flash(&b);
	img = file_image(again, SIZE_2M);
	assert_int_equal(img[0x1000], 0x42);
	free(img);
	assert_int_equal(fstat(again, &st), 0);
	assert_int_equal(st.st_size, SIZE_2M); /* as the distribution shipped it */

	/* Not even stopped: destroyed at once. */
	open_flash(&b, again, SIZE_2M, NULL, NULL);
	again = dup(again);
	assert_int_equal(b.mem[0x1000], 0x42);
	cmd(&b, 0x1001, 0x10);
	cmd(&b, 0x1001, 0x43);
	dev_destroy(b.k.dev);
	b.k.dev = NULL;
	img = file_image(again, SIZE_2M);
	assert_int_equal(img[0x1001], 0x43);
	free(img);
	kit_close(&b.k);
	fd_close(&b.fd);
	fd_close(&again);
}

static void flash_file__may_be_absent(void **state)
{
	struct bench b;

	(void)state;
	open_flash(&b, -1, SIZE_2M, NULL, NULL);
	assert_int_equal(b.mem[0], 0xff);
	cmd(&b, 0x10, 0x10);
	cmd(&b, 0x10, 0x42);
	cmd(&b, 0x10, 0xff);
	assert_int_equal(look(&b, 0x10), 0x42);
	close_flash(&b);
}

/* The board has read the file already: the device uses what it is given, and leaves it when it goes. */
static void flash_create__takes_what_was_read(void **state)
{
	struct sill_err e = { 0 };
	const int fd = fresh_file(SIZE_2M);
	struct flash_config c = { .fd = fd, .size = SIZE_2M };
	uint8_t *other = flash_read(-1, SIZE_2M, &e);
	struct kit k;

	(void)state;
	c.mem = flash_read(fd, SIZE_2M, &e);
	assert_non_null(c.mem);
	assert_non_null(other);
	assert_int_equal(other[SIZE_2M - 1], 0xff);
	assert_null(flash_read(fd, SIZE_4M, &e));
	assert_int_equal(e.code, SILL_ERR_HOST);
	kit_open(&k, 0);
	kit_plug(&k, &flash_ops, &c, NO_GSI);
	assert_ptr_equal(flash_memory(k.dev), c.mem);
	assert_memory_not_equal(c.mem, other, SIZE_2M);
	dev_stop(k.dev);
	kit_close(&k);
	assert_memory_not_equal(c.mem, other, SIZE_2M); /* still mapped */
	(void)munmap(c.mem, SIZE_2M);
	(void)munmap(other, SIZE_2M);
	(void)close(fd);
}

static void flash_create__refuses_bad_files(void **state)
{
	static const uint64_t bad[] = { 0, 4095, SIZE_2M + 512, FLASH_SIZE_MAX + 4096, SIZE_4M };
	struct kit k;
	int fd = fresh_file(SIZE_2M);

	(void)state;
	kit_open(&k, 0);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		const struct flash_config c = { .fd = fd, .size = bad[i] };
		struct sill_err e = { 0 };

		assert_null(dev_create(&flash_ops, "flash", &c, NO_GSI, &k.env, &e));
		assert_int_not_equal(e.code, SILL_ERR_NONE);
	}
	kit_close(&k);
	fd_close(&fd);
}

static void flash_create__takes_its_space_from_a_sparse_file(void **state)
{
	struct stat st;
	struct bench b;
	int fd = temp_file();

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE_2M), 0);
	open_flash(&b, fd, SIZE_2M, NULL, NULL);
	assert_int_equal(fstat(b.fd, &st), 0);
	assert_true(st.st_blocks * 512 >= SIZE_2M);
	assert_int_equal(st.st_size, SIZE_2M);
	close_flash(&b);
}

/* --- a host that fails -------------------------------------------------- */

struct bad_disk {
	int write_error, sync_error; /* errno to fail with; 0: works */
	size_t write_room;           /* bytes that still go through before write_error */
	unsigned failures;
};

static int bad_write(void *ctx, int fd, const void *p, size_t n, off_t off)
{
	struct bad_disk *d = ctx;
	const int error = __atomic_load_n(&d->write_error, __ATOMIC_SEQ_CST);

	if (error != 0 && n > d->write_room) {
		assert_int_equal(fd_pwrite_full(fd, p, d->write_room, off), 0);
		d->write_room = 0;
		(void)__atomic_add_fetch(&d->failures, 1, __ATOMIC_SEQ_CST);
		errno = error;
		return -1;
	}
	return fd_pwrite_full(fd, p, n, off);
}

static int bad_sync(void *ctx, int fd)
{
	struct bad_disk *d = ctx;
	const int error = __atomic_load_n(&d->sync_error, __ATOMIC_SEQ_CST);

	(void)fd;
	errno = error;
	return error != 0 ? -1 : 0;
}

static const struct flash_file_ops bad_disk_ops = { .write = bad_write, .sync = bad_sync };

static unsigned count_of(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void flash_full_disk__loses_nothing_once_there_is_room(void **state)
{
	struct bad_disk disk = { 0 };
	uint8_t data[3000], *img;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	unsigned failures;
	struct bench b;

	(void)state;
	assert_non_null(f);
	sill_log_to(f, LOG_INFO);
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, &bad_disk_ops, &disk);
	memset(data, 7, sizeof(data));
	assert_true(varwriter_set(&b.w, "Before", data, sizeof(data)));

	disk.write_room = 700; /* in the middle of a run */
	__atomic_store_n(&disk.write_error, ENOSPC, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 40; i++) { /* through a few reclaims */
		data[0] = (uint8_t)i;
		assert_true(varwriter_set(&b.w, "During", data, sizeof(data)));
	}
	assert_true(b.w.reclaims > 1);
	assert_true(dev_drained(b.k.dev)); /* a full disk does not keep a VM from ending */
	assert_memory_equal(varstore_find(b.mem, &b.w.l, "During", &n), data, sizeof(data));

	/* The retry timer does it, without the guest, and not only once. */
	failures = __atomic_load_n(&disk.failures, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&disk.failures, __ATOMIC_SEQ_CST) < failures + 2)
		assert_int_equal(sem_wait(&b.progress), 0);
	__atomic_store_n(&disk.write_error, 0, __ATOMIC_SEQ_CST);
	for (;;) {
		img = file_image(b.fd, SIZE_2M);
		if (memcmp(img, b.mem, SIZE_2M) == 0)
			break;
		free(img);
		assert_int_equal(sem_wait(&b.progress), 0);
	}
	free(img);
	drain(&b);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(count_of(text, "cannot be written: No space left"), 1);
	assert_int_equal(count_of(text, "written again"), 1);
	close_flash(&b);
	sill_log_to(NULL, LOG_INFO);
	assert_int_equal(fclose(f), 0);
	free(text);
}

static void flash_failed_sync__writes_again(void **state)
{
	struct bad_disk disk = { .sync_error = EIO };
	struct bench b;
	uint8_t v = 0;
	int again;

	(void)state;
	sill_log_to(fopen("/dev/null", "w"), LOG_ERROR);
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, &bad_disk_ops, &disk);
	cmd(&b, 0x1000, 0x10);
	cmd(&b, 0x1000, 0x42);
	cmd(&b, 0x1000, 0xff);
	do
		assert_int_equal(sem_wait(&b.progress), 0);
	while (!dev_drained(b.k.dev));
	/* The page cache forgot it, as it does after a failed write-back. */
	assert_int_equal(fd_pwrite_full(b.fd, &v, 1, 0x1000), 0);
	__atomic_store_n(&disk.sync_error, 0, __ATOMIC_SEQ_CST);
	again = dup(b.fd);
	close_flash(&b);
	assert_int_equal(fd_pread_full(again, &v, 1, 0x1000), 0);
	assert_int_equal(v, 0x42);
	fd_close(&again);
	sill_log_to(NULL, LOG_INFO);
}

/* --- the model of the firmware ------------------------------------------ */

static void varstore__accepts_what_the_distribution_ships(void **state)
{
	static const char *const path[] = { VARS_4M, VARS_2M,
					    "/usr/share/OVMF/OVMF_VARS_4M.ms.fd" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(path); i++) {
		auto_fd fd = open(path[i], O_RDONLY | O_CLOEXEC);
		struct varstore_layout l = { 0 };
		struct stat st;
		uint8_t *img, *mine;

		if (fd < 0) {
			print_message("%s is not installed\n", path[i]);
			skip();
		}
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(varstore_layout((size_t)st.st_size, &l));
		img = file_image(fd, l.size);
		assert_null(varstore_check(img, &l));
		if (i < 2) { /* the third comes with keys in it */
			mine = malloc(l.size);
			varstore_format(mine, &l);
			assert_memory_equal(mine, img, l.size);
			free(mine);
		} else {
			assert_true(varstore_count(img, &l) > 5);
		}
		free(img);
	}
}

static void varwriter__does_as_much_as_ovmf_was_seen_to(void **state)
{
	uint8_t data[30 * 1024];
	struct bench b;

	(void)state;
	memset(data, 0x5a, sizeof(data));
	open_flash(&b, fresh_file(SIZE_4M), SIZE_4M, NULL, NULL);
	for (unsigned i = 0; i < 14; i++)
		assert_true(varwriter_set(&b.w, "BigVariable", data, sizeof(data)));
	/* Measured with the real firmware: 1,201,552 bytes and 196 erases. */
	assert_in_range(b.w.programmed, 1190000, 1250000);
	assert_int_equal(b.w.erased, 196);
	assert_null(varstore_check(b.mem, &b.w.l));
	assert_int_equal(varstore_count(b.mem, &b.w.l), 1);
	close_flash(&b);
}

static void varstore_check__finds_damage(void **state)
{
	struct bench b;
	uint8_t *img;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	assert_true(varwriter_set(&b.w, "A", "1", 1));
	assert_true(varwriter_set(&b.w, "B", "2", 1));
	drain(&b);
	img = file_image(b.fd, SIZE_2M);
	assert_null(varstore_check(img, &b.w.l));
	assert_int_equal(varstore_count(img, &b.w.l), 2);
	static const struct {
		size_t off;
		uint8_t v;
	} damage[] = { { 0x10, 0 },
		       { 0x20, 1 },
		       { 0x48, 0 },
		       { 0x5d, 0xff },
		       { 0x64 + V_STATE, 0x3b },
		       { 0x64 + V_DATA_SIZE + 2, 1 },
		       { 0x64 + V_NAME_SIZE, 3 },
		       { 0xf000, 0 } };
	for (unsigned i = 0; i < ARRAY_LEN(damage); i++) {
		const uint8_t was = img[damage[i].off];

		img[damage[i].off] = damage[i].v;
		assert_non_null(varstore_check(img, &b.w.l));
		img[damage[i].off] = was;
	}
	free(img);
	close_flash(&b);
}

/* --- crashes ------------------------------------------------------------ */

enum { KEYS = 12, BIG = 12000 };

static const char *key_name(unsigned key)
{
	static const char *const name[KEYS] = {
		"Boot0000", "Boot0001", "BootOrder", "Timeout",       "ConIn", "ConOut",
		"Lang",     "PK",       "KEK",       "OsIndications", "MTC",   "SillTest"
	};

	return name[key];
}

/* What version @version of variable @key holds; deleted (0) every seventh time. */
static size_t value_of(unsigned key, uint32_t version, uint8_t *ret)
{
	uint32_t x = key * 2654435761u + version * 40503u + 1;
	const size_t n = version % 7 == 6 ? 0 : key == 0 ? 1 + x % BIG : 1 + x % 700;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		ret[i] = (uint8_t)(x >> 24);
	}
	return n;
}

static bool holds(const uint8_t *img, const struct varstore_layout *l, unsigned key,
		  uint32_t version)
{
	uint8_t want[BIG];
	const size_t n = value_of(key, version, want);
	size_t size = 0;
	const uint8_t *got = varstore_find(img, l, key_name(key), &size);

	if (version == 0 || n == 0)
		return got == NULL;
	return got != NULL && size == n && memcmp(got, want, n) == 0;
}

static void write_version(struct varwriter *w, unsigned key, uint32_t version)
{
	uint8_t value[BIG];
	const size_t n = value_of(key, version, value);

	assert_true(varwriter_set(w, key_name(key), n > 0 ? value : NULL, n));
}

/* Recover as the firmware does, and see that each variable has a version within its bounds. */
static void check_after_crash(uint8_t *img, const struct varstore_layout *l, const uint32_t *least,
			      const uint32_t *most, const char *when)
{
	const char *wrong;

	varstore_recover(img, l);
	wrong = varstore_check(img, l);
	if (wrong != NULL)
		fail_msg("%s: %s", when, wrong);
	for (unsigned key = 0; key < KEYS; key++) {
		bool found = false;

		for (uint32_t v = least[key]; v <= most[key] && !found; v++)
			found = holds(img, l, key, v);
		if (!found)
			fail_msg("%s: %s is not at version %u..%u", when, key_name(key), least[key],
				 most[key]);
	}
}

static uint32_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x >> 16);
}

struct message {
	uint8_t key, done;
	uint32_t version;
};

/* The child: firmware and chip in one process, until somebody kills it. */
struct victim {
	struct bench *b;
	unsigned long accesses, die_at;
};

static void victim_write(void *ctx, size_t off, uint8_t v)
{
	struct victim *t = ctx;

	if (t->accesses++ == t->die_at)
		(void)raise(SIGKILL);
	chip_write(t->b, off, v);
}

static void victim_run(int file, size_t size, int pipe_fd, unsigned long die_at, uint64_t seed,
		       const uint32_t *version)
{
	static struct bench b;
	struct victim t = { .b = &b, .die_at = die_at };

	open_flash(&b, dup(file), size, NULL, NULL);
	b.w.write = victim_write;
	b.w.ctx = &t;
	varwriter_boot(&b.w);
	for (unsigned i = 0; i < 2000; i++) {
		const unsigned key = next_random(&seed) % KEYS;
		struct message m = { .key = (uint8_t)key, .version = version[key] + 1 };

		/* Its own copy of the count: the parent learns by the pipe only. */
		((uint32_t *)(uintptr_t)version)[key]++;
		if (write(pipe_fd, &m, sizeof(m)) != sizeof(m))
			_exit(3);
		write_version(&b.w, key, m.version);
		m.done = 1;
		if (write(pipe_fd, &m, sizeof(m)) != sizeof(m))
			_exit(3);
	}
	_exit(0);
}

/* One child that dies; returns false when it got through all it had to do. */
static bool kill_once(int file, size_t size, bool by_itself, unsigned long reach, uint64_t *seed,
		      uint32_t *least, uint32_t *most)
{
	const unsigned long when = next_random(seed) % reach;
	struct message m;
	int pipe_fd[2], status;
	pid_t child;

	assert_int_equal(pipe(pipe_fd), 0);
	/* Room for every message: the child must never wait for us. */
	assert_true(fcntl(pipe_fd[1], F_SETPIPE_SZ, 1 << 18) >= 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(pipe_fd[0]);
		victim_run(file, size, pipe_fd[1], by_itself ? when : ~0ul, *seed, most);
	}
	(void)close(pipe_fd[1]);
	if (!by_itself) {
		const struct timespec ts = { .tv_nsec = (long)when * 30 };

		(void)nanosleep(&ts, NULL); /* any moment, in user space or in the kernel */
		assert_int_equal(kill(child, SIGKILL), 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
	while (read(pipe_fd[0], &m, sizeof(m)) == sizeof(m)) {
		most[m.key] = m.version;
		if (m.done)
			least[m.key] = m.version;
	}
	(void)close(pipe_fd[0]);
	(void)next_random(seed);
	return WIFSIGNALED(status);
}

static void ram_write(void *ctx, size_t off, uint8_t v)
{
	static uint8_t before;
	uint8_t *img = ctx;

	/* Enough of a chip for the model, which never programs a byte without a command. */
	if (before == 0x10) {
		img[off] = v;
		before = 0;
	} else if (before == 0x20) {
		memset(img + off, 0xff, BLOCK);
		before = 0;
	} else {
		before = v;
	}
}

/* A store that has seen so many compactions that its work block is nearly full. */
static void age(int fd, const struct varstore_layout *l)
{
	uint8_t *img = file_image(fd, l->size), data[3000] = { 0 };
	struct varwriter w = { .l = *l, .mem = img, .write = ram_write, .ctx = img };

	while (w.reclaims < 45)
		assert_true(varwriter_set(&w, "Old", data, sizeof(data)));
	assert_null(varstore_check(img, l));
	assert_int_equal(fd_pwrite_full(fd, img, l->size, 0), 0);
	free(img);
}

static void kill_many(const char *path, size_t size, unsigned times, unsigned long reach, bool aged)
{
	uint32_t least[KEYS] = { 0 }, most[KEYS] = { 0 };
	auto_fd from = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t seed = 88172645463325252ull + size;
	struct varstore_layout l = { 0 };
	unsigned killed = 0;
	uint8_t *img;
	int fd;

	if (from < 0) {
		print_message("%s is not installed\n", path);
		skip();
	}
	img = file_image(from, size);
	/* The page cache is all that matters here: no need to wait for a disk. */
	fd = memfd_create("vars", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_pwrite_full(fd, img, size, 0), 0);
	free(img);
	assert_true(varstore_layout(size, &l));
	if (aged)
		age(fd, &l);
	for (unsigned i = 0; killed < times; i++) {
		char when[64];

		killed += kill_once(fd, size, i % 2 == 0, reach, &seed, least, most);
		(void)snprintf(when, sizeof(when), "kill %u", i);
		img = file_image(fd, size);
		check_after_crash(img, &l, least, most, when);
		free(img);
		/* What it has now, it must keep. */
		for (unsigned key = 0; key < KEYS; key++) {
			img = file_image(fd, size);
			varstore_recover(img, &l);
			while (!holds(img, &l, key, least[key]))
				least[key]++;
			most[key] = least[key];
			free(img);
		}
	}
	(void)close(fd);
}

static void flash_kill_9__leaves_a_valid_4m_store_with_the_last_variable(void **state)
{
	(void)state;
	kill_many(VARS_4M, SIZE_4M, 64 / FEWER, 2000000, false);
}

static void flash_kill_9__leaves_a_valid_2m_store_with_the_last_variable(void **state)
{
	(void)state;
	kill_many(VARS_2M, SIZE_2M, 184 / FEWER, 700000, true);
}

/* A disk that may have written any of the sectors given to it since the last sync. */
struct event {
	enum { WRITE, SYNC_BEGIN, SYNC_END, START, DONE } kind;
	size_t a, b;   /* offset and size; number of the sync; key and version */
	uint8_t *data; /* owned */
};

struct recorder {
	pthread_mutex_t mutex;
	pthread_t vcpu;
	bool lazy; /* atomic: the background syncs never end */
	sem_t never;
	struct event *event;
	size_t count, room, syncs;
};

static size_t record(struct recorder *r, struct event e)
{
	(void)pthread_mutex_lock(&r->mutex);
	if (r->count == r->room) {
		r->room = r->room == 0 ? 1024 : 2 * r->room;
		r->event = realloc(r->event, r->room * sizeof(e));
		assert(r->event != NULL);
	}
	if (e.kind == SYNC_BEGIN)
		e.a = r->syncs++;
	r->event[r->count++] = e;
	(void)pthread_mutex_unlock(&r->mutex);
	return e.a;
}

static int record_write(void *ctx, int fd, const void *p, size_t n, off_t off)
{
	(void)fd;
	(void)record(ctx, (struct event){ WRITE, (size_t)off, n, copy_of(p, n) });
	return 0;
}

static int record_sync(void *ctx, int fd)
{
	struct recorder *r = ctx;
	const size_t n = record(r, (struct event){ .kind = SYNC_BEGIN });

	(void)fd;
	if (__atomic_load_n(&r->lazy, __ATOMIC_RELAXED) && !pthread_equal(pthread_self(), r->vcpu))
		(void)sem_wait(&r->never);
	else
		(void)record(r, (struct event){ .kind = SYNC_END, .a = n });
	return 0;
}

/* The image after the power failed behind event @cut, and what must and may be in it. */
static void power_cut(const struct recorder *r, size_t cut, uint64_t *seed, const uint8_t *first,
		      uint8_t *img, const struct varstore_layout *l, uint32_t *least,
		      uint32_t *most)
{
	const uint32_t eagerness = 1 + next_random(seed) % 7;
	size_t safe = 0;
	uint8_t *base = copy_of(first, l->size);

	/* Everything before the beginning of the last sync that ended is on the disk. */
	for (size_t i = 0; i < cut; i++)
		if (r->event[i].kind == SYNC_END)
			for (size_t j = safe; j < i; j++)
				if (r->event[j].kind == SYNC_BEGIN &&
				    r->event[j].a == r->event[i].a)
					safe = j;
	memset(least, 0, KEYS * sizeof(*least));
	memset(most, 0, KEYS * sizeof(*most));
	for (size_t i = 0; i < cut; i++) {
		const struct event *e = &r->event[i];

		if (e->kind == WRITE && i < safe)
			memcpy(base + e->a, e->data, e->b);
		else if (e->kind == START)
			most[e->a] = (uint32_t)e->b;
		else if (e->kind == DONE && i < safe)
			least[e->a] = (uint32_t)e->b;
	}
	/* Of each sector, the version at some moment since then. */
	memcpy(img, base, l->size);
	for (size_t i = safe; i < cut; i++) {
		const struct event *e = &r->event[i];

		for (size_t s = 0; e->kind == WRITE && s < e->b; s += 512)
			memcpy(base + e->a + s, e->data + s, 512);
		for (size_t s = 0; e->kind == WRITE && s < e->b; s += 512)
			if (next_random(seed) % 8 < eagerness)
				memcpy(img + e->a + s, base + e->a + s, 512);
	}
	free(base);
}

static void cut_power_often(size_t size, unsigned sets, unsigned cuts, bool lazy)
{
	struct recorder r = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			      .vcpu = pthread_self(),
			      .lazy = lazy };
	static const struct flash_file_ops ops = { .write = record_write, .sync = record_sync };
	uint32_t version[KEYS] = { 0 }, least[KEYS], most[KEYS];
	uint64_t seed = 0x9e3779b97f4a7c15ull + size;
	uint8_t *first, *img = malloc(size);
	struct varstore_layout l = { 0 };
	struct bench b;
	int fd = fresh_file(size);

	assert_int_equal(sem_init(&r.never, 0, 0), 0);
	assert_true(varstore_layout(size, &l));
	if (size == SIZE_2M)
		age(fd, &l);
	first = file_image(fd, size);
	open_flash(&b, fd, size, &ops, &r);
	varwriter_boot(&b.w);
	for (unsigned i = 0; i < sets; i++) {
		const unsigned key = next_random(&seed) % KEYS;

		version[key]++;
		(void)record(&r, (struct event){ .kind = START, .a = key, .b = version[key] });
		write_version(&b.w, key, version[key]);
		(void)record(&r, (struct event){ .kind = DONE, .a = key, .b = version[key] });
	}
	assert_true(b.w.reclaims > 1);
	__atomic_store_n(&r.lazy, false, __ATOMIC_RELAXED);
	(void)sem_post(&r.never);
	close_flash(&b);

	for (unsigned i = 0; i < cuts; i++) {
		const size_t cut = next_random(&seed) % (r.count + 1);
		char when[64];

		(void)snprintf(when, sizeof(when), "power cut after %zu of %zu", cut, r.count);
		power_cut(&r, cut, &seed, first, img, &l, least, most);
		check_after_crash(img, &l, least, most, when);
	}
	for (size_t i = 0; i < r.count; i++)
		free(r.event[i].data);
	free(r.event);
	free(first);
	free(img);
	(void)sem_destroy(&r.never);
}

static void flash_power_cut__leaves_a_valid_store_whatever_the_disk_kept(void **state)
{
	(void)state;
	cut_power_often(SIZE_2M, 500, 600 / FEWER, false);
	cut_power_often(SIZE_4M, 900, 64 / FEWER, false);
}

static void flash_power_cut__is_no_worse_while_a_sync_takes_for_ever(void **state)
{
	(void)state;
	cut_power_often(SIZE_2M, 500, 600 / FEWER, true);
}

/* --- state -------------------------------------------------------------- */

static void flash_load__brings_array_mode_and_file_along(void **state)
{
	struct bench a, b;
	uint8_t *saved, *img;
	size_t n;

	(void)state;
	open_flash(&a, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	assert_true(varwriter_set(&a.w, "Here", "1234", 4));
	cmd(&a, 0, 0x70);
	cmd(&a, 0x3000, 0x10);
	saved = kit_save(&a.k, &n);
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	assert_int_equal(kit_load(&b.k, saved, n), 0);
	assert_false(b.shown);
	assert_int_equal(look(&b, 0), 0);
	cmd(&b, 0x3000, 0x77); /* the byte that was awaited */
	assert_int_equal(b.mem[0x3000], 0x77);
	cmd(&b, 0, 0xff);
	assert_true(b.shown);
	assert_non_null(varstore_find(b.mem, &b.w.l, "Here", &n));
	img = file_image(b.fd, SIZE_2M);
	assert_memory_equal(img, b.mem, SIZE_2M);
	free(img);
	free(saved);
	close_flash(&a);
	close_flash(&b);
}

static void flash_load__refuses_damage_and_touches_nothing(void **state)
{
	struct bench b;
	uint8_t *saved, *img;
	size_t n;

	(void)state;
	open_flash(&b, fresh_file(SIZE_2M), SIZE_2M, NULL, NULL);
	saved = kit_save(&b.k, &n);
	for (size_t i = 0; i < 18; i++) {
		saved[i] ^= 0x40;
		assert_int_equal(kit_load(&b.k, saved, n), -1);
		saved[i] ^= 0x40;
	}
	memset(saved + 18, 0, n - 18);
	assert_int_equal(kit_load(&b.k, saved, n - 1), -1);
	assert_int_equal(kit_load(&b.k, saved, 17), -1);
	img = file_image(b.fd, SIZE_2M);
	assert_null(varstore_check(img, &b.w.l));
	assert_null(varstore_check(b.mem, &b.w.l));
	free(img);
	free(saved);
	close_flash(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flash_probe__answers_as_ovmf_wants),
		cmocka_unit_test(flash_program__overwrites_a_byte_and_keeps_the_array_shown),
		cmocka_unit_test(flash_erase__clears_one_block_when_confirmed),
		cmocka_unit_test(flash_id_and_cfi__are_minimal),
		cmocka_unit_test(flash_io__of_more_than_a_byte_reads_and_does_not_write),
		cmocka_unit_test(flash_show_array__may_be_refused),
		cmocka_unit_test(flash_file__has_a_run_when_the_run_ends),
		cmocka_unit_test(flash_file__has_a_run_that_never_ends_soon),
		cmocka_unit_test(flash_stop__leaves_everything_in_the_file),
		cmocka_unit_test(flash_file__may_be_absent),
		cmocka_unit_test(flash_create__takes_what_was_read),
		cmocka_unit_test(flash_create__refuses_bad_files),
		cmocka_unit_test(flash_create__takes_its_space_from_a_sparse_file),
		cmocka_unit_test(flash_full_disk__loses_nothing_once_there_is_room),
		cmocka_unit_test(flash_failed_sync__writes_again),
		cmocka_unit_test(varstore__accepts_what_the_distribution_ships),
		cmocka_unit_test(varwriter__does_as_much_as_ovmf_was_seen_to),
		cmocka_unit_test(varstore_check__finds_damage),
		cmocka_unit_test(flash_kill_9__leaves_a_valid_4m_store_with_the_last_variable),
		cmocka_unit_test(flash_kill_9__leaves_a_valid_2m_store_with_the_last_variable),
		cmocka_unit_test(flash_power_cut__leaves_a_valid_store_whatever_the_disk_kept),
		cmocka_unit_test(flash_power_cut__is_no_worse_while_a_sync_takes_for_ever),
		cmocka_unit_test(flash_load__brings_array_mode_and_file_along),
		cmocka_unit_test(flash_load__refuses_damage_and_touches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
