/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_flash.c - a guest that pokes the variables' flash chip in any way, and
 * a host file that must be what the guest reads whenever the chip is stopped.
 *
 * Input: records of 4 bytes { op, value, u16 offset }; op 0 writes a byte, 1
 * programs, 2 erases, 3 reads, 4 resets, 5 saves and loads, 6 has the host
 * fail or work again, 7 loads the rest of the input.
 */
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/le.h"
#include "devices/dev.h"
#include "devices/legacy/flash.h"
#include "sill/vm.h"

enum { SIZE = 32 * 1024 };

static struct dev *dev;
static const uint8_t *mem;
static int file;
static int host_error; /* atomic */
static sem_t progress;

static int on_write(void *ctx, int fd, const void *p, size_t n, off_t off)
{
	(void)ctx;
	errno = __atomic_load_n(&host_error, __ATOMIC_RELAXED);
	return errno != 0 ? -1 : fd_pwrite_full(fd, p, n, off);
}

static int on_sync(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	errno = __atomic_load_n(&host_error, __ATOMIC_RELAXED);
	return errno != 0 ? -1 : 0;
}

static void on_progress(void *ctx)
{
	(void)ctx;
	(void)sem_post(&progress);
}

static int show_array(void *ctx, bool array)
{
	(void)ctx;
	return array ? 0 : -(int)(mem[0] & 1);
}

static void set_up(void)
{
	static const struct flash_file_ops ops = { .write = on_write, .sync = on_sync };
	static struct dev_env env = { .progress = on_progress };
	struct flash_config c = { .size = SIZE, .show_array = show_array, .file_ops = &ops };
	struct sill_err e = { 0 };

	file = c.fd = memfd_create("vars", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, SIZE) < 0 || sem_init(&progress, 0, 0) < 0)
		abort();
	sill_log_to(NULL, LOG_ERROR - 1);
	dev = dev_create(&flash_ops, "flash", &c, NO_GSI, &env, &e);
	assert(dev != NULL);
	mem = flash_memory(dev);
}

static void write_byte(size_t off, uint8_t v)
{
	struct io io = { .off = off, .size = 1, .write = true, .val = v };

	(void)dev_io(dev, 0, &io);
}

static void read_some(size_t off, uint8_t v)
{
	struct io io = { .off = off, .size = (uint8_t)(1u << v % 4), .write = (v & 0x80) != 0 };

	(void)dev_io(dev, 0, &io);
}

static void save_and_load(void)
{
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;

	buf_init(&b, 2 * SIZE);
	save_init(&s, &b);
	(void)dev_save(dev, &s);
	load_init(&l, b.data, b.size);
	assert(dev_load(dev, &l, &e) == 0);
	buf_fini(&b);
}

/* The host works again: now the file must be what the guest has. */
static void compare(void)
{
	static uint8_t img[SIZE];

	__atomic_store_n(&host_error, 0, __ATOMIC_RELAXED);
	dev_stop(dev);
	if (fd_pread_full(file, img, SIZE, 0) < 0 || memcmp(img, mem, SIZE) != 0)
		abort();
}

static void load_input(const uint8_t *data, size_t size)
{
	struct sill_err e = { 0 };
	struct loader l;

	load_init(&l, data, size);
	(void)dev_load(dev, &l, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (dev == NULL)
		set_up();
	dev_reset(dev);
	for (; size >= 4; data += 4, size -= 4) {
		const size_t off = ld16(data + 2) % SIZE;

		switch (data[0] % 8) {
		case 0:
			write_byte(off, data[1]);
			break;
		case 1:
			write_byte(off, 0x10);
			write_byte(off, data[1]);
			break;
		case 2:
			write_byte(off, 0x20);
			write_byte(off, 0xd0);
			break;
		case 3:
			read_some(off, data[1]);
			break;
		case 4:
			dev_reset(dev);
			break;
		case 5:
			save_and_load();
			break;
		case 6:
			__atomic_store_n(&host_error, (data[1] & 1) != 0 ? ENOSPC : 0,
					 __ATOMIC_RELAXED);
			break;
		default:
			load_input(data + 4, size - 4);
			compare();
			return 0;
		}
	}
	compare();
	return 0;
}
