/* SPDX-License-Identifier: Apache-2.0 */
/* fwcfg.c - see fwcfg.h. */
#include "devices/legacy/fwcfg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "devices/dev.h"

enum {
	REG_SELECTOR = 0,
	REG_DATA = 1,
	REG_DMA_HIGH = 4,
	REG_DMA_LOW = 8,
	REG_END = 12,

	KEY_SIGNATURE = 0x00,
	KEY_FEATURES = 0x01,
	KEY_CPUS = 0x05,
	KEY_BOOT_MENU = 0x0e,
	KEY_DIRECTORY = 0x19,
	KEY_FIRST_FILE = 0x20,
	KEY_MASK = 0x3fff,
	KEY_ARCH = 0x8000,

	FEATURES = 1 << 0 | 1 << 1,

	DMA_ERROR = 1 << 0,
	DMA_READ = 1 << 1,
	DMA_SKIP = 1 << 2,
	DMA_SELECT = 1 << 3,
	DMA_WRITE = 1 << 4,
	DMA_KEY_SHIFT = 16,
};

struct dma_desc {
	be32 control;
	be32 length;
	be64 address;
};

WIRE_SIZE(struct dma_desc, 16);
WIRE_AT(struct dma_desc, address, 8);

struct dir_entry {
	be32 size;
	be16 key;
	uint16_t reserved;
	char name[FWCFG_NAME_SIZE];
};

WIRE_SIZE(struct dir_entry, 64);
WIRE_AT(struct dir_entry, name, 8);

struct directory {
	be32 count;
	struct dir_entry entry[MAX_FWCFG_FILES];
};

WIRE_AT(struct directory, entry, 4);

struct file {
	char name[FWCFG_NAME_SIZE];
	uint8_t *data;  /* owned; what the guest reads */
	uint8_t *first; /* owned; what it is after reset; only for writable files */
	size_t size;
	void (*select)(void *ctx, uint8_t *data, size_t size);
	void (*written)(void *ctx, const uint8_t *data, size_t size);
	void *ctx; /* borrowed */
	bool writable;
};

struct fwcfg {
	struct file file[MAX_FWCFG_FILES]; /* sorted by name */
	unsigned file_count;
	struct directory directory;
	uint8_t features[4], cpus[2], boot_menu[2];

	uint16_t key;
	uint32_t at; /* offset in the selected item, at most its size */
	uint32_t dma_high;
};

struct item {
	const uint8_t *data;
	uint32_t size;
};

static struct file *file_of(struct fwcfg *s)
{
	const unsigned i = (s->key & KEY_MASK) - KEY_FIRST_FILE; /* wraps for the keys below */

	return (s->key & KEY_ARCH) == 0 && i < s->file_count ? &s->file[i] : NULL;
}

/* What is selected; size 0 when there is no such item. */
static struct item item_of(struct fwcfg *s)
{
	const struct file *f = file_of(s);

	if (f != NULL)
		return (struct item){ f->data, (uint32_t)f->size };
	if ((s->key & KEY_ARCH) != 0)
		return (struct item){ 0 };
	switch (s->key & KEY_MASK) {
	case KEY_SIGNATURE:
		return (struct item){ (const uint8_t *)"QEMU", 4 };
	case KEY_FEATURES:
		return (struct item){ s->features, sizeof(s->features) };
	case KEY_CPUS:
		return (struct item){ s->cpus, sizeof(s->cpus) };
	case KEY_BOOT_MENU:
		return (struct item){ s->boot_menu, sizeof(s->boot_menu) };
	case KEY_DIRECTORY:
		return (struct item){ (const uint8_t *)&s->directory,
				      4 + s->file_count * (uint32_t)sizeof(struct dir_entry) };
	default:
		return (struct item){ 0 };
	}
}

static void select_key(struct fwcfg *s, uint16_t key)
{
	const struct file *f;

	s->key = key;
	s->at = 0;
	f = file_of(s);
	if (f != NULL && f->select != NULL)
		f->select(f->ctx, f->data, f->size);
}

static uint8_t data_read(struct fwcfg *s)
{
	const struct item it = item_of(s);

	return s->at < it.size ? it.data[s->at++] : 0;
}

/* Each of these moves on in the item; -1 when the guest is to see the error bit. */
static int dma_read(struct dev *d, uint64_t gpa, uint32_t n)
{
	struct fwcfg *s = d->state;
	const struct item it = item_of(s);
	const uint32_t left = it.size - s->at;
	const uint32_t now = n < left ? n : left;

	if (n - now > FWCFG_ZEROES_MAX || !gmem_is_ram(d->env->gmem, gpa, n))
		return -1;
	if (now > 0 && gmem_write(d->env->gmem, gpa, it.data + s->at, now) < 0)
		return -1;
	s->at += now;
	return gmem_zero(d->env->gmem, gpa + now, n - now);
}

static int dma_write(struct dev *d, uint64_t gpa, uint32_t n)
{
	struct fwcfg *s = d->state;
	const struct file *f = file_of(s);

	if (f == NULL || !f->writable || n > f->size - s->at ||
	    gmem_read(d->env->gmem, gpa, f->data + s->at, n) < 0)
		return -1;
	s->at += n;
	if (f->written != NULL)
		f->written(f->ctx, f->data, f->size);
	return 0;
}

static void dma_skip(struct fwcfg *s, uint32_t n)
{
	const uint32_t left = item_of(s).size - s->at;

	s->at += n < left ? n : left;
}

static void dma_run(struct dev *d, uint64_t desc_gpa)
{
	struct fwcfg *s = d->state;
	struct dma_desc desc;
	uint32_t control, length;
	int ret = 0;

	if (gmem_read(d->env->gmem, desc_gpa, &desc, sizeof(desc)) < 0) {
		log_guest(&d->bucket, d->id, "the firmware's request is not in memory");
		return;
	}
	control = be32_get(desc.control);
	length = be32_get(desc.length);
	if ((control & DMA_SELECT) != 0)
		select_key(s, (uint16_t)(control >> DMA_KEY_SHIFT));
	if ((control & DMA_READ) != 0)
		ret = dma_read(d, be64_get(desc.address), length);
	else if ((control & DMA_WRITE) != 0)
		ret = dma_write(d, be64_get(desc.address), length);
	else if ((control & DMA_SKIP) != 0)
		dma_skip(s, length);

	desc.control = be32_of(ret < 0 ? DMA_ERROR : 0);
	if (gmem_write(d->env->gmem, desc_gpa, &desc.control, sizeof(desc.control)) < 0)
		log_guest(&d->bucket, d->id, "the firmware's request is in read-only memory");
}

static enum io_result fwcfg_write(struct dev *d, const struct io *io)
{
	struct fwcfg *s = d->state;
	uint64_t gpa;

	switch (io->off) {
	case REG_SELECTOR:
		if (io->size != 2)
			return IO_BAD_SIZE;
		select_key(s, (uint16_t)io->val);
		return IO_DONE;
	case REG_DATA:
		return io->size == 1 ? IO_DONE : IO_BAD_SIZE;
	case REG_DMA_HIGH:
		if (io->size != 4)
			return IO_BAD_SIZE;
		s->dma_high = __builtin_bswap32((uint32_t)io->val);
		return IO_DONE;
	case REG_DMA_LOW:
		if (io->size != 4)
			return IO_BAD_SIZE;
		gpa = (uint64_t)s->dma_high << 32 | __builtin_bswap32((uint32_t)io->val);
		s->dma_high = 0;
		dma_run(d, gpa);
		return IO_DONE;
	default:
		return IO_NO_REGISTER;
	}
}

static enum io_result fwcfg_io(struct dev *d, unsigned region, struct io *io)
{
	static const uint8_t signature[REG_END - REG_DMA_HIGH] = "QEMU CFG";

	(void)region;
	if (io->write)
		return fwcfg_write(d, io);
	if (io->off == REG_DATA) {
		if (io->size != 1)
			return IO_BAD_SIZE;
		io->val = data_read(d->state);
		return IO_DONE;
	}
	if (io->off < REG_DMA_HIGH || io->off + io->size > REG_END)
		return IO_NO_REGISTER;
	io->val = 0;
	memcpy(&io->val, signature + (io->off - REG_DMA_HIGH), io->size);
	return IO_DONE;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int file_add(struct fwcfg *s, const struct fwcfg_file *c, struct sill_err *e)
{
	struct file *f = &s->file[s->file_count];

	if (c->name[0] == '\0' || strlen(c->name) >= sizeof(f->name) || c->size == 0 ||
	    c->size > FWCFG_FILE_MAX)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "file '%s': the name or the size (%zu) is out of range",
				    c->name, c->size);
	*f = (struct file){
		.size = c->size,
		.select = c->select,
		.written = c->written,
		.ctx = c->ctx,
		.writable = c->writable,
	};
	memcpy(f->name, c->name, strlen(c->name));
	s->file_count++;
	f->data = calloc(1, c->size);
	if (c->writable)
		f->first = calloc(1, c->size);
	if (f->data == NULL || (c->writable && f->first == NULL))
		return sill_err_sys(e, ENOMEM, "file '%s'", c->name);
	if (c->data != NULL) {
		memcpy(f->data, c->data, c->size);
		if (f->first != NULL)
			memcpy(f->first, c->data, c->size);
	}
	return 0;
}

static int directory_make(struct fwcfg *s, struct sill_err *e)
{
	qsort(s->file, s->file_count, sizeof(s->file[0]), by_name);
	s->directory.count = be32_of(s->file_count);
	for (unsigned i = 0; i < s->file_count; i++) {
		struct dir_entry *entry = &s->directory.entry[i];

		if (i > 0 && by_name(&s->file[i - 1], &s->file[i]) == 0)
			return sill_err_set(e, SILL_ERR_INTERNAL, "file '%s' is given twice",
					    s->file[i].name);
		entry->size = be32_of((uint32_t)s->file[i].size);
		entry->key = be16_of((uint16_t)(KEY_FIRST_FILE + i));
		memcpy(entry->name, s->file[i].name, sizeof(entry->name));
	}
	return 0;
}

static void fwcfg_fini(struct dev *d)
{
	struct fwcfg *s = d->state;

	for (unsigned i = 0; i < s->file_count; i++) {
		free(s->file[i].data);
		free(s->file[i].first);
	}
}

void fwcfg_set_cpus(struct dev *d, uint16_t count)
{
	struct fwcfg *s = d->state;

	dev_take(d);
	st16(s->cpus, count);
	dev_drop(d);
}

static int fwcfg_init(struct dev *d, struct sill_err *e)
{
	struct fwcfg *s = d->state;
	const struct fwcfg_config *c = d->config;

	st32(s->features, FEATURES);
	st16(s->cpus, c->boot_cpus);
	st16(s->boot_menu, c->boot_menu);
	if (c->file_count > MAX_FWCFG_FILES)
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %d files for the firmware",
				    MAX_FWCFG_FILES);
	for (size_t i = 0; i < c->file_count; i++)
		if (file_add(s, &c->files[i], e) < 0)
			goto fail;
	if (directory_make(s, e) < 0)
		goto fail;
	return 0;

fail:
	fwcfg_fini(d);
	return -1;
}

static void fwcfg_reset(struct dev *d)
{
	struct fwcfg *s = d->state;

	s->key = KEY_SIGNATURE;
	s->at = 0;
	s->dma_high = 0;
	for (unsigned i = 0; i < s->file_count; i++)
		if (s->file[i].first != NULL)
			memcpy(s->file[i].data, s->file[i].first, s->file[i].size);
}

/* The guest may be in the middle of a file: what can change is part of the state. */
static bool changes(const struct file *f)
{
	return f->writable || f->select != NULL;
}

static int fwcfg_save(struct dev *d, struct saver *out)
{
	struct fwcfg *s = d->state;

	save_begin(out, SAVE_TAG('f', 'w', 'c', 'f'), 1);
	save_u16(out, s->key);
	save_u32(out, s->at);
	save_u32(out, s->dma_high);
	for (unsigned i = 0; i < s->file_count; i++)
		if (changes(&s->file[i])) {
			save_u32(out, (uint32_t)s->file[i].size);
			save_bytes(out, s->file[i].data, s->file[i].size);
		}
	save_end(out);
	return 0;
}

static int fwcfg_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct fwcfg *s = d->state;
	uint32_t at;

	(void)load_begin(l, SAVE_TAG('f', 'w', 'c', 'f'), 1);
	s->key = load_u16(l);
	at = load_u32(l);
	s->dma_high = load_u32(l);
	for (unsigned i = 0; i < s->file_count; i++)
		if (changes(&s->file[i])) {
			if (load_u32(l) != s->file[i].size)
				load_fail(l); /* another machine's state */
			load_bytes(l, s->file[i].data, s->file[i].size);
		}
	if (at > item_of(s).size)
		load_fail(l);
	s->at = l->failed ? 0 : at;
	return load_end(l, d->id, e);
}

const struct dev_ops fwcfg_ops = {
	.type = "fw-cfg",
	.state_size = sizeof(struct fwcfg),
	.init = fwcfg_init,
	.io = fwcfg_io,
	.reset = fwcfg_reset,
	.fini = fwcfg_fini,
	.save = fwcfg_save,
	.load = fwcfg_load,
};
