/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_fwcfg.c - a guest that pokes the firmware configuration device: any
 * access of any size, DMA descriptors anywhere, and states to load.
 *
 * Input: records of 8 bytes { op, off, size, pad, u32 value }; op 0 reads,
 * 1 writes, 2 puts the next 16 bytes into guest memory as a descriptor and
 * starts it, 3 resets, 4 saves and loads, 5 loads the rest of the input.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "devices/dev.h"
#include "devices/legacy/fwcfg.h"

enum { RAM_SIZE = 64 * 1024, RAM = 0x1000 };

static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static struct gmem *gmem;
static struct dev *dev;
static char filler = 'f';

static void fill(void *ctx, uint8_t *data, size_t size)
{
	memset(data, *(const char *)ctx, size);
}

static void written(void *ctx, const uint8_t *data, size_t size)
{
	*(char *)ctx = (char)data[size - 1];
}

static void set_up(void)
{
	static const struct fwcfg_file files[] = {
		{ .name = "etc/a", .data = "0123456789", .size = 10, .writable = false },
		{ .name = "etc/b", .size = 5000, .select = fill, .ctx = &filler },
		{ .name = "etc/c",
		  .size = 8,
		  .written = written,
		  .ctx = &filler,
		  .writable = true },
	};
	static const struct fwcfg_config c = { .files = files, .file_count = 3, .boot_cpus = 2 };
	static struct dev_env env;
	struct sill_err e = { 0 };

	gmem = gmem_create(NULL, &e);
	assert(gmem != NULL);
	if (gmem_add(gmem, RAM, RAM_SIZE, ram, GMEM_RAM, &e) < 0)
		abort();
	env.gmem = gmem;
	dev = dev_create(&fwcfg_ops, "fwcfg", &c, NO_GSI, &env, &e);
	assert(dev != NULL);
}

static void access_one(const uint8_t *p)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	struct io io = { .off = p[1] % FWCFG_PORT_COUNT,
			 .size = sizes[p[2] % 4],
			 .write = (p[0] & 1) != 0 };

	if (io.off + io.size > FWCFG_PORT_COUNT)
		return; /* the bus would have split it */
	if (io.write)
		io.val = io.size == 8 ? ld32(p + 4) : ld32(p + 4) & ((1ull << 8 * io.size) - 1);
	(void)dev_io(dev, 0, &io);
}

static void start_dma(uint32_t gpa)
{
	struct io io = { .off = 4, .size = 4, .write = true };

	(void)dev_io(dev, 0, &io);
	io = (struct io){ .off = 8, .size = 4, .write = true, .val = __builtin_bswap32(gpa) };
	(void)dev_io(dev, 0, &io);
}

static void save_and_load(void)
{
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;

	buf_init(&b, 1 << 20);
	save_init(&s, &b);
	(void)dev_save(dev, &s);
	load_init(&l, b.data, b.size);
	assert(dev_load(dev, &l, &e) == 0);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (dev == NULL)
		set_up();
	dev_reset(dev);
	while (size >= 8) {
		const uint8_t *p = data;
		struct sill_err e = { 0 };
		struct loader l;

		data += 8;
		size -= 8;
		switch (p[0] % 8) {
		case 2:
			if (size < 16)
				return 0;
			memcpy(ram + 256, data, 16);
			data += 16;
			size -= 16;
			start_dma(RAM + 256);
			break;
		case 3:
			dev_reset(dev);
			break;
		case 4:
			save_and_load();
			break;
		case 5:
			load_init(&l, data, size);
			(void)dev_load(dev, &l, &e);
			return 0;
		default:
			access_one(p);
			break;
		}
	}
	return 0;
}
