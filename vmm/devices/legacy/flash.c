/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flash.c - see flash.h, which also says what survives what, and why.
 *
 * A sector of the array is in one of these sets while it is not on the disk:
 *
 *   pending   changed in RAM, not in the file
 *   unsynced  in the file, and no sync has been begun since
 *   syncing   in the file, and the thread's sync is under way
 *
 * Programming adds to pending; flush() moves pending to unsynced by writing;
 * the thread moves unsynced to syncing and then out; a failure of any write or
 * sync puts all three back into pending, to be written again from RAM (after a
 * failed sync the page cache cannot be relied on to try again).
 *
 * Two syncs can be under way at once, the thread's and a vCPU's barrier, and
 * the host tells an error to the one that asks first, about anybody's sectors.
 * So neither answer is worth anything without the other: what a good barrier
 * has covered waits in syncing for the thread's answer.
 */
#include "devices/legacy/flash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/le.h"
#include "devices/dev.h"

enum {
	CMD_PROGRAM_ALT = 0x10,
	CMD_ERASE = 0x20,
	CMD_PROGRAM = 0x40,
	CMD_CLEAR_STATUS = 0x50,
	CMD_READ_STATUS = 0x70,
	CMD_READ_ID = 0x90,
	CMD_READ_CFI = 0x98,
	CMD_ERASE_CONFIRM = 0xd0,
	CMD_READ_ARRAY = 0xff,

	STATUS = 0x00, /* a real chip says 0x80; OVMF takes anything but 0 for "no flash" */
	ID_MANUFACTURER = 0x89,
	ID_DEVICE = 0x18,

	SECTOR = 512, /* what any disk writes as a whole */
	WORD_BITS = 64,
};

static const uint64_t SYNC_AFTER_NS = 10000000;   /* gathers the runs of one variable */
static const uint64_t FLUSH_AFTER_NS = 50000000;  /* a run that no command ends */
static const uint64_t RETRY_AFTER_NS = 250000000; /* after a failure */

enum mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_CFI, MODE_COUNT };
enum expect { EXPECT_COMMAND, EXPECT_DATA, EXPECT_CONFIRM, EXPECT_COUNT };

/* A set of sectors. */
struct set {
	uint64_t *word; /* owned */
	size_t count;
};

struct flash {
	struct dev *dev; /* borrowed, for the thread's callbacks */
	uint8_t *mem;    /* the array; borrowed, or @own */
	uint8_t *own;    /* owned mapping, or NULL */
	size_t size;
	size_t sectors, words;
	int fd; /* borrowed; -1: nothing is kept */
	int (*show_array)(void *ctx, bool array);
	void *ctx; /* borrowed */
	const struct flash_file_ops *file;
	void *file_ctx;               /* borrowed */
	struct iothread *thread;      /* owned; syncs */
	struct loop_timer sync_timer; /* both on the thread's loop */
	struct loop_timer flush_timer;

	/* Under the device's lock. */
	enum mode mode;
	enum expect expect;
	bool shown;    /* the guest reads the array without us */
	bool sync_due; /* sync_timer is set */
	bool failing;  /* the last attempt to write or sync failed, and that has been said */
	bool in_sync;  /* the thread's sync is under way */
	struct set pending, unsynced, syncing;
};

static int host_write(void *ctx, int fd, const void *p, size_t n, off_t off)
{
	(void)ctx;
	return fd_pwrite_full(fd, p, n, off);
}

static int host_sync(void *ctx, int fd)
{
	(void)ctx;
	return fdatasync(fd);
}

static const struct flash_file_ops host_file = { .write = host_write, .sync = host_sync };

static bool set_has(const struct set *t, size_t i)
{
	return (t->word[i / WORD_BITS] >> i % WORD_BITS & 1) != 0;
}

static void set_add(struct set *t, size_t i)
{
	if (!set_has(t, i)) {
		t->word[i / WORD_BITS] |= 1ull << i % WORD_BITS;
		t->count++;
	}
}

static void set_remove(struct set *t, size_t i)
{
	if (set_has(t, i)) {
		t->word[i / WORD_BITS] &= ~(1ull << i % WORD_BITS);
		t->count--;
	}
}

static void set_clear(const struct flash *s, struct set *t)
{
	memset(t->word, 0, s->words * sizeof(t->word[0]));
	t->count = 0;
}

/* Move all of @from into @to. */
static void set_move(struct flash *s, struct set *to, struct set *from)
{
	if (from->count == 0)
		return;
	for (size_t w = 0; w < s->words; w++) {
		to->count += (size_t)__builtin_popcountll(from->word[w] & ~to->word[w]);
		to->word[w] |= from->word[w];
	}
	set_clear(s, from);
}

/* The first member at or after @from, or the number of sectors. */
static size_t set_next(const struct flash *s, const struct set *t, size_t from)
{
	for (size_t w = from / WORD_BITS; w < s->words; w++) {
		uint64_t bits = t->word[w];

		if (w == from / WORD_BITS)
			bits &= ~0ull << from % WORD_BITS;
		if (bits != 0)
			return w * WORD_BITS + (size_t)__builtin_ctzll(bits);
	}
	return s->sectors;
}

static struct loop *thread_loop(struct flash *s)
{
	return iothread_loop(s->thread);
}

static void flush_later(struct flash *s, uint64_t ns)
{
	loop_timer_set(thread_loop(s), &s->flush_timer, host_now() + ns);
}

static void sync_later(struct flash *s, uint64_t ns)
{
	if (s->sync_due && ns > 0)
		return;
	s->sync_due = true;
	loop_timer_set(thread_loop(s), &s->sync_timer, host_now() + ns);
}

static void put_back(struct flash *s)
{
	set_move(s, &s->pending, &s->unsynced);
	set_move(s, &s->pending, &s->syncing);
}

/* The host failed us: all that may not be on the disk is to be written again. */
static void host_failed(struct flash *s, int error)
{
	if (!s->failing)
		log_guest_at(&s->dev->bucket, LOG_ERROR, s->dev->id,
			     "variables cannot be written: %s; trying again until it works",
			     strerrordesc_np(error));
	s->failing = true;
	put_back(s);
	flush_later(s, RETRY_AFTER_NS);
}

static void host_works(struct flash *s)
{
	/* What was put back is known to be on the disk when nothing at all is left that is not. */
	if (!s->failing || s->pending.count + s->unsynced.count + s->syncing.count != 0)
		return;
	log_guest_at(&s->dev->bucket, LOG_INFO, s->dev->id,
		     "variables are written again, nothing is lost");
	s->failing = false;
}

/* May the pending run go into the file while earlier ones are not on the disk? */
static bool in_order(const struct flash *s)
{
	const size_t earlier = s->unsynced.count + s->syncing.count;

	if (earlier == 0)
		return true;
	if (earlier > 1 || s->pending.count > 1)
		return false;
	return set_has(s->unsynced.count == 1 ? &s->unsynced : &s->syncing,
		       set_next(s, &s->pending, 0));
}

/* All that is in the file is on the disk after this, unless the thread hears otherwise; -1 with errno. */
static int barrier(struct flash *s)
{
	if (s->file->sync(s->file_ctx, s->fd) < 0)
		return -1;
	if (s->in_sync)
		set_move(s, &s->syncing, &s->unsynced);
	else
		set_clear(s, &s->unsynced);
	return 0;
}

/* Pending sectors into the file, neighbours together; -1 with errno. */
static int write_pending(struct flash *s)
{
	for (size_t i = set_next(s, &s->pending, 0); i < s->sectors;
	     i = set_next(s, &s->pending, i)) {
		size_t end = i;

		while (end < s->sectors && set_has(&s->pending, end))
			end++;
		if (s->file->write(s->file_ctx, s->fd, s->mem + i * SECTOR, (end - i) * SECTOR,
				   (off_t)(i * SECTOR)) < 0)
			return -1;
		for (; i < end; i++) {
			set_remove(&s->pending, i);
			set_add(&s->unsynced, i);
		}
	}
	return 0;
}

/* End of a run: into the file with it. */
static void flush(struct flash *s)
{
	if (s->pending.count == 0)
		return;
	if ((!in_order(s) && barrier(s) < 0) || write_pending(s) < 0) {
		host_failed(s, errno);
		return;
	}
	loop_timer_cancel(thread_loop(s), &s->flush_timer);
	sync_later(s, SYNC_AFTER_NS);
}

/* The thread: bring what is in the file to the disk, without the device's lock. */
static void sync_timer_fired(void *ctx)
{
	struct flash *s = ctx;
	int ret, error;

	dev_take(s->dev);
	s->sync_due = false;
	set_move(s, &s->syncing, &s->unsynced);
	if (s->syncing.count == 0) {
		dev_drop(s->dev);
		return;
	}
	s->in_sync = true;
	dev_drop(s->dev);

	ret = s->file->sync(s->file_ctx, s->fd);
	error = errno;

	dev_take(s->dev);
	s->in_sync = false;
	if (ret < 0) {
		host_failed(s, error);
	} else {
		set_clear(s, &s->syncing);
		host_works(s);
	}
	dev_drop(s->dev);
	dev_progress(s->dev);
}

static void flush_timer_fired(void *ctx)
{
	struct flash *s = ctx;

	dev_take(s->dev);
	flush(s);
	dev_drop(s->dev);
	dev_progress(s->dev);
}

/* The sector at @off differs from the file. */
static void changed(struct flash *s, size_t off)
{
	if (s->fd < 0)
		return;
	if (s->pending.count == 0)
		flush_later(s, FLUSH_AFTER_NS);
	set_add(&s->pending, off / SECTOR);
}

static void program(struct flash *s, size_t off, uint8_t v)
{
	if (s->mem[off] == v)
		return;
	s->mem[off] = v;
	changed(s, off);
}

static void erase(struct flash *s, size_t off)
{
	static const uint8_t erased[SECTOR] = { [0 ... SECTOR - 1] = 0xff };

	off -= off % FLASH_BLOCK;
	/* Firmware erases its spare blocks before each use, and often for nothing. */
	for (size_t i = off; i < off + FLASH_BLOCK; i += SECTOR)
		if (memcmp(s->mem + i, erased, SECTOR) != 0) {
			memset(s->mem + i, 0xff, SECTOR);
			changed(s, i);
		}
}

static void set_mode(struct flash *s, enum mode mode)
{
	const bool array = mode == MODE_ARRAY;

	s->mode = mode;
	if (array == s->shown || s->show_array == NULL)
		return;
	/* Refused: reads in array mode still work through io(); others see the array meanwhile. */
	if (s->show_array(s->ctx, array) == 0)
		s->shown = array;
}

static void command(struct flash *s, uint8_t cmd)
{
	switch (cmd) {
	case CMD_PROGRAM:
	case CMD_PROGRAM_ALT:
		s->expect = EXPECT_DATA;
		return;
	case CMD_ERASE:
		s->expect = EXPECT_CONFIRM;
		return;
	default:
		break;
	}
	flush(s);
	switch (cmd) {
	case CMD_READ_STATUS:
		set_mode(s, MODE_STATUS);
		break;
	case CMD_READ_ID:
		set_mode(s, MODE_ID);
		break;
	case CMD_READ_CFI:
		set_mode(s, MODE_CFI);
		break;
	default:
		set_mode(s, MODE_ARRAY);
		break;
	}
}

static void byte_written(struct flash *s, size_t off, uint8_t v)
{
	const enum expect expect = s->expect;

	s->expect = EXPECT_COMMAND;
	switch (expect) {
	case EXPECT_DATA:
		program(s, off, v);
		break;
	case EXPECT_CONFIRM:
		if (v == CMD_ERASE_CONFIRM)
			erase(s, off);
		else
			command(s, v);
		break;
	case EXPECT_COMMAND:
	case EXPECT_COUNT:
		command(s, v);
		break;
	}
}

/* JESD68.01: "QRY", command set 1, one region of 4 KiB blocks; times and voltages left out. */
static uint8_t cfi_byte(const struct flash *s, size_t off)
{
	const size_t blocks = s->size / FLASH_BLOCK - 1;

	switch (off & 0xff) {
	case 0x10:
		return 'Q';
	case 0x11:
		return 'R';
	case 0x12:
		return 'Y';
	case 0x13: /* primary command set: Intel extended */
	case 0x2c: /* number of erase regions */
		return 1;
	case 0x27: /* size as a power of two, rounded up */
		return (uint8_t)(64 - __builtin_clzll(s->size - 1));
	case 0x2d:
		return (uint8_t)blocks;
	case 0x2e:
		return (uint8_t)(blocks >> 8);
	case 0x2f:
		return FLASH_BLOCK / 256;
	default:
		return 0;
	}
}

static uint8_t byte_read(const struct flash *s, size_t off)
{
	switch (s->mode) {
	case MODE_STATUS:
		return STATUS;
	case MODE_ID:
		return off == 0 ? ID_MANUFACTURER : off == 1 ? ID_DEVICE : 0;
	case MODE_CFI:
		return cfi_byte(s, off);
	case MODE_ARRAY:
	case MODE_COUNT:
		break;
	}
	return s->mem[off];
}

static enum io_result flash_io(struct dev *d, unsigned region, struct io *io)
{
	struct flash *s = d->state;

	(void)region;
	if (io->off >= s->size || s->size - io->off < io->size)
		return IO_NO_REGISTER;
	if (io->write) {
		if (io->size != 1)
			return IO_BAD_SIZE;
		byte_written(s, io->off, (uint8_t)io->val);
		return IO_DONE;
	}
	io->val = 0;
	for (unsigned i = 0; i < io->size; i++)
		io->val |= (uint64_t)byte_read(s, io->off + i) << 8 * i;
	return IO_DONE;
}

uint8_t *flash_memory(struct dev *d)
{
	struct flash *s = d->state;

	assert(d->ops == &flash_ops);
	return s->mem;
}

static void release(struct flash *s)
{
	iothread_destroy(s->thread);
	if (s->own != NULL)
		(void)munmap(s->own, s->size);
	free(s->pending.word);
	free(s->unsynced.word);
	free(s->syncing.word);
}

uint8_t *flash_read(int fd, uint64_t size, struct sill_err *e)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED) {
		(void)sill_err_sys(e, ENOMEM, "memory for the variable store");
		return NULL;
	}
	if (fd < 0) {
		memset(mem, 0xff, size);
	} else if (fd_pread_full(fd, mem, size, 0) < 0) {
		(void)sill_err_sys(e, errno, "read %llu bytes of variables",
				   (unsigned long long)size);
		(void)munmap(mem, size);
		return NULL;
	}
	return mem;
}

/* See to it that the file has all the space it will ever need. */
static int file_open(struct flash *s, struct sill_err *e)
{
	if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)s->size) < 0 && errno != EOPNOTSUPP)
		return sill_err_sys(e, errno, "reserve %zu bytes of disk space for variables",
				    s->size);
	s->thread = iothread_create("flash-sync", 0, e);
	return s->thread != NULL ? 0 : -1;
}

static int flash_init(struct dev *d, struct sill_err *e)
{
	struct flash *s = d->state;
	const struct flash_config *c = d->config;

	if (c->size == 0 || c->size % FLASH_BLOCK != 0 || c->size > FLASH_SIZE_MAX)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "a variable store of %llu bytes is not a multiple of 4 KiB "
				    "up to 16 MiB",
				    (unsigned long long)c->size);
	s->dev = d;
	s->size = (size_t)c->size;
	s->sectors = s->size / SECTOR;
	s->words = (s->sectors + WORD_BITS - 1) / WORD_BITS;
	s->fd = c->fd;
	s->show_array = c->show_array;
	s->ctx = c->ctx;
	s->file = c->file_ops != NULL ? c->file_ops : &host_file;
	s->file_ctx = c->file_ctx;
	s->shown = true;
	s->sync_timer = (struct loop_timer){ .fn = sync_timer_fired, .ctx = s };
	s->flush_timer = (struct loop_timer){ .fn = flush_timer_fired, .ctx = s };
	s->pending.word = calloc(s->words, sizeof(uint64_t));
	s->unsynced.word = calloc(s->words, sizeof(uint64_t));
	s->syncing.word = calloc(s->words, sizeof(uint64_t));
	if (s->pending.word == NULL || s->unsynced.word == NULL || s->syncing.word == NULL) {
		release(s);
		return sill_err_sys(e, ENOMEM, "memory for the variable store");
	}
	if (c->mem == NULL)
		s->own = flash_read(s->fd, c->size, e);
	s->mem = c->mem != NULL ? c->mem : s->own;
	if (s->mem == NULL || (s->fd >= 0 && file_open(s, e) < 0)) {
		release(s);
		return -1;
	}
	return 0;
}

static void flash_reset(struct dev *d)
{
	struct flash *s = d->state;

	flush(s);
	s->expect = EXPECT_COMMAND;
	set_mode(s, MODE_ARRAY);
}

/* Also before a snapshot, so that the file is what the guest has. */
static void flash_stop(struct dev *d)
{
	struct flash *s = d->state;

	flush(s);
	if (s->unsynced.count > 0)
		sync_later(s, 0);
}

static bool flash_drained(struct dev *d)
{
	struct flash *s = d->state;

	/* A host that fails does not keep the machine from ending: fini() tries a last time. */
	return s->pending.count + s->unsynced.count + s->syncing.count == 0 ||
	       (s->failing && s->pending.count > 0);
}

/* Everything to the disk, in order; -1 with errno, and all of it is pending again. */
static int settle(struct flash *s)
{
	int error;

	if ((s->unsynced.count == 0 || barrier(s) == 0) && write_pending(s) == 0 &&
	    (s->unsynced.count == 0 || barrier(s) == 0))
		return 0;
	error = errno;
	put_back(s);
	errno = error;
	return -1;
}

static void flash_fini(struct dev *d)
{
	struct flash *s = d->state;

	if (s->fd < 0) {
		release(s);
		return;
	}
	loop_timer_cancel(thread_loop(s), &s->flush_timer);
	loop_timer_cancel(thread_loop(s), &s->sync_timer);
	iothread_destroy(s->thread);
	s->thread = NULL; /* from here on nobody else is here */
	set_move(s, &s->unsynced, &s->syncing);
	/* Once more after a failure: it may be that of an earlier write, told only now. */
	if (settle(s) < 0 && settle(s) < 0)
		log_line(LOG_ERROR, "%s: the last changes of the variables are lost: %s", d->id,
			 strerrordesc_np(errno));
	release(s);
}

static int flash_save(struct dev *d, struct saver *out)
{
	struct flash *s = d->state;

	save_begin(out, SAVE_TAG('f', 'l', 's', 'h'), 1);
	save_u8(out, (uint8_t)s->mode);
	save_u8(out, (uint8_t)s->expect);
	save_u32(out, (uint32_t)s->size);
	save_bytes(out, s->mem, s->size);
	save_end(out);
	return 0;
}

/* The firmware's picture of its variables comes with the VM: the file follows it. */
static int flash_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct flash *s = d->state;
	uint8_t *mem = malloc(s->size);
	uint8_t mode, expect;

	if (mem == NULL)
		return sill_err_sys(e, ENOMEM, "%s", d->id);
	(void)load_begin(l, SAVE_TAG('f', 'l', 's', 'h'), 1);
	mode = load_u8(l);
	expect = load_u8(l);
	if (load_u32(l) != s->size || mode >= MODE_COUNT || expect >= EXPECT_COUNT)
		load_fail(l);
	load_bytes(l, mem, s->size);
	if (load_end(l, d->id, e) < 0) {
		free(mem);
		return -1;
	}
	for (size_t i = 0; i < s->sectors; i++)
		if (memcmp(s->mem + i * SECTOR, mem + i * SECTOR, SECTOR) != 0) {
			memcpy(s->mem + i * SECTOR, mem + i * SECTOR, SECTOR);
			changed(s, i * SECTOR);
		}
	free(mem);
	flush(s);
	s->expect = (enum expect)expect;
	set_mode(s, (enum mode)mode);
	return 0;
}

const struct dev_ops flash_ops = {
	.type = "flash",
	.state_size = sizeof(struct flash),
	.init = flash_init,
	.io = flash_io,
	.reset = flash_reset,
	.pause = flash_stop,
	.stop = flash_stop,
	.drained = flash_drained,
	.fini = flash_fini,
	.save = flash_save,
	.load = flash_load,
};
