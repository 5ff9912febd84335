/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_log.c - the two headers and the log of a VHDX image ([MS-VHDX] 2.2.2, 2.3).
 *
 * A header is replaced by writing the other one with the next sequence number;
 * done twice, both are the same again.
 *
 * The log protects the BAT and the metadata, whose sectors are changed in place. An entry holds
 * the new contents of up to 126 sectors of 4 KiB:
 *
 *   sync    data, the file's size, and what the last entry brought in place
 *   entry   into that half of the log which does not hold the last one; sync
 *   header  the first time only: from now on the log counts
 *   in place
 *
 * Since the first sync makes the earlier entries obsolete, each entry is a
 * sequence of its own: its tail is itself. A crash leaves the last whole entry,
 * which whoever opens the image next writes in place once more.
 */
#include "backend/block/vhdx.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

#define SIGN_LOGE 0x65676f6cu /* "loge" */
#define SIGN_ZERO 0x6f72657au /* "zero" */
#define SIGN_DESC 0x63736564u /* "desc" */
#define SIGN_DATA 0x61746164u /* "data" */

enum { MAX_TRIES = 64 }; /* entries that are looked at for the newest one; few are torn */

struct log_header {
	le32 signature;
	le32 checksum;
	le32 length;
	le32 tail;
	le64 sequence;
	le32 descriptors;
	le32 reserved;
	struct vhdx_guid log;
	le64 flushed_size;
	le64 last_size;
};
WIRE_SIZE(struct log_header, 64);

struct log_desc {
	le32 signature;
	le32 trailing; /* data: the last 4 bytes of the sector */
	le64 leading;  /* data: the first 8; zero: the length */
	le64 offset;
	le64 sequence;
};
WIRE_SIZE(struct log_desc, 32);

struct log_data {
	le32 signature;
	le32 sequence_high;
	uint8_t bytes[4084];
	le32 sequence_low;
};
WIRE_SIZE(struct log_data, VHDX_SECTOR);

static int sync_file(void *ctx)
{
	return vhdio_sync(((struct vhdx *)ctx)->fd);
}

int vhdx_sync(struct vhdx *x)
{
	return syncs_run(&x->syncs, sync_file, x);
}

/* --- headers ------------------------------------------------------------ */

int vhdx_read_headers(struct blk *b, struct sill_err *e)
{
	struct vhdx *x = b->state;
	uint8_t id[8];
	int err = vhdio_read(b->fd, id, sizeof(id), 0);

	if (err != 0)
		return vhdio_fail(b, err, "file identifier", e);
	if (memcmp(id, VHDX_ID, 8) != 0) {
		const bool vhd = memcmp(id, "conectix", 8) == 0;

		(void)vhdio_damaged(b, e, "it does not begin with 'vhdxfile'");
		return vhd ? sill_err_hint(e, "it is a vhd image: format: vhd") : -1;
	}
	err = vhdx_find_header(b->fd, &x->head, &x->head_slot);
	if (err == EINVAL)
		return vhdio_damaged(b, e, "both headers are damaged");
	if (err != 0)
		return vhdio_fail(b, err, "header", e);
	if (le16_get(x->head.version) != 1 || le16_get(x->head.log_version) != 0)
		return vhdio_unsupported(b, e, "has an unknown version");
	x->log_offset = le64_get(x->head.log_offset);
	x->log_length = le32_get(x->head.log_length);
	if (x->log_offset % VHDX_MIB != 0 || x->log_length % VHDX_MIB != 0 ||
	    x->log_offset < VHDX_MIB || x->log_length == 0 || x->log_offset > x->end ||
	    x->log_length > x->end - x->log_offset)
		return vhdio_damaged(b, e, "the log lies outside of the file");
	if (x->log_length > VHDX_MAX_LOG)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "disk '%s' has a log of %u bytes; at most %d are supported",
				    b->path, x->log_length, VHDX_MAX_LOG);
	return 0;
}

static int make_guid(struct vhdx_guid *g)
{
	if (getrandom(g->b, sizeof(g->b), 0) != sizeof(g->b))
		return EIO;
	g->b[7] = (uint8_t)((g->b[7] & 0x0f) | 0x40); /* random (RFC 4122, 4.4) */
	g->b[8] = (uint8_t)((g->b[8] & 0x3f) | 0x80);
	return 0;
}

/* @h, with the next numbers, into both places. What is current then is what succeeded last. */
static int write_headers_locked(struct vhdx *x, const struct vhdx_header *h) REQUIRES(x->lock)
{
	for (unsigned i = 0; i < 2; i++) {
		const unsigned slot = !x->head_slot;
		struct vhdx_header next = *h;
		int err;

		next.sequence = le64_of(le64_get(x->head.sequence) + 1);
		next.checksum = le32_of(0);
		next.checksum = le32_of(vhdio_crc(0, &next, sizeof(next)));
		err = vhdio_write(x->fd, &next, sizeof(next), VHDX_HEADER_AT * (1ull + slot));
		if (err == 0)
			err = vhdx_sync(x);
		if (err != 0)
			return err;
		x->head = next;
		x->head_slot = slot;
	}
	return 0;
}

int vhdx_renew_headers_locked(struct vhdx *x)
{
	struct vhdx_header h = x->head;
	const int err = make_guid(&h.file_write);

	return err == 0 ? write_headers_locked(x, &h) : err;
}

int vhdx_begin_locked(struct vhdx *x)
{
	struct vhdx_header h = x->head;
	int err = 0;

	if (x->began)
		return 0;
	if (x->whole > x->end) {
		err = vhdio_truncate(x->fd, x->whole);
		if (err == 0)
			x->end = x->whole;
	}
	if (err == 0)
		err = make_guid(&h.file_write);
	if (err == 0)
		err = make_guid(&h.data_write);
	if (err == 0)
		err = write_headers_locked(x, &h);
	if (err == 0)
		__atomic_store_n(&x->began, true, __ATOMIC_RELEASE);
	return err;
}

/* --- replay ------------------------------------------------------------- */

/* The log as it is in the file, and what may still be spent on checking it. */
struct replay {
	struct vhdx *x;
	uint8_t *log; /* owned */
	uint32_t sectors;
	uint64_t budget;  /* bytes: entries that overlap must not cost a square */
	uint64_t limit;   /* nothing is written from here on */
	uint64_t old_end; /* of the file as it was found */
	uint64_t high;    /* that, or the end of what has been written behind it: then zeroes */
	uint64_t zeroes;  /* what may still be zeroed */
	bool dropped;     /* the newest entry is not whole */
	bool aside;       /* what would be written goes to x->patch */
};

static const uint8_t *log_sector(const struct replay *r, uint64_t n)
{
	return r->log + n % r->sectors * VHDX_SECTOR;
}

static const struct log_header *log_entry(const struct replay *r, uint32_t n)
{
	return (const void *)log_sector(r, n);
}

static uint32_t entry_sectors(const struct log_header *h)
{
	return le32_get(h->length) / VHDX_SECTOR;
}

/* The sectors that hold the header and @n descriptors. */
static uint32_t desc_sectors(uint32_t n)
{
	return (uint32_t)((sizeof(struct log_header) + (uint64_t)n * sizeof(struct log_desc) +
			   VHDX_SECTOR - 1) /
			  VHDX_SECTOR);
}

static const struct log_desc *log_desc(const struct replay *r, uint32_t entry, uint32_t i)
{
	const uint64_t at = sizeof(struct log_header) + (uint64_t)i * sizeof(struct log_desc);

	return (const void *)(log_sector(r, entry + at / VHDX_SECTOR) + at % VHDX_SECTOR);
}

/* What can be said of an entry from its header. */
static bool is_candidate(const struct replay *r, uint32_t n)
{
	const struct log_header *h = log_entry(r, n);
	const uint32_t length = le32_get(h->length), tail = le32_get(h->tail);

	return le32_get(h->signature) == SIGN_LOGE && length != 0 && length % VHDX_SECTOR == 0 &&
	       length / VHDX_SECTOR <= r->sectors && tail % VHDX_SECTOR == 0 &&
	       tail / VHDX_SECTOR < r->sectors && le64_get(h->sequence) != 0 &&
	       le32_get(h->descriptors) <= length / sizeof(struct log_desc) &&
	       desc_sectors(le32_get(h->descriptors)) <= length / VHDX_SECTOR &&
	       memcmp(&h->log, &r->x->head.log, sizeof(h->log)) == 0;
}

/* May the log write there? Not over headers, itself, or what would grow the file at will. */
static bool may_write(const struct replay *r, uint64_t off, uint64_t n)
{
	const struct vhdx *x = r->x;
	uint64_t end;

	return !__builtin_add_overflow(off, n, &end) && off % VHDX_SECTOR == 0 &&
	       n % VHDX_SECTOR == 0 && off >= VHDX_HEADERS && end <= r->limit &&
	       (end <= x->log_offset || off >= x->log_offset + x->log_length);
}

static bool is_sound(struct replay *r, uint32_t n)
{
	const struct log_header *h = log_entry(r, n);
	const uint32_t count = le32_get(h->descriptors);
	const uint64_t sequence = le64_get(h->sequence);
	uint32_t next = desc_sectors(count);
	uint32_t crc;
	struct log_header head = *h;

	if (r->budget < le32_get(h->length))
		return false;
	r->budget -= le32_get(h->length);
	head.checksum = le32_of(0);
	crc = vhdio_crc(0, &head, sizeof(head));
	crc = vhdio_crc(crc, (const uint8_t *)h + sizeof(head), VHDX_SECTOR - sizeof(head));
	for (uint32_t i = 1; i < entry_sectors(h); i++)
		crc = vhdio_crc(crc, log_sector(r, (uint64_t)n + i), VHDX_SECTOR);
	if (crc != le32_get(h->checksum))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct log_desc *d = log_desc(r, n, i);
		const struct log_data *s = (const void *)log_sector(r, (uint64_t)n + next);

		if (le64_get(d->sequence) != sequence)
			return false;
		if (le32_get(d->signature) == SIGN_ZERO) {
			continue;
		} else if (le32_get(d->signature) != SIGN_DESC || next >= entry_sectors(h) ||
			   le32_get(s->signature) != SIGN_DATA ||
			   le32_get(s->sequence_high) != sequence >> 32 ||
			   le32_get(s->sequence_low) != (uint32_t)sequence) {
			return false;
		}
		next++;
	}
	return true;
}

/* Do the entries from @head's tail on lead to @head, one number after the other? */
static bool is_sequence(struct replay *r, uint32_t head)
{
	const uint64_t last = le64_get(log_entry(r, head)->sequence);
	uint32_t at = le32_get(log_entry(r, head)->tail) / VHDX_SECTOR;
	uint64_t sequence;

	if (!is_candidate(r, at))
		return false;
	sequence = le64_get(log_entry(r, at)->sequence);
	if (sequence > last || last - sequence >= r->sectors)
		return false;
	for (;; sequence++) {
		if (!is_candidate(r, at) || le64_get(log_entry(r, at)->sequence) != sequence ||
		    !is_sound(r, at))
			return false;
		if (sequence == last)
			return at == head;
		at = (at + entry_sectors(log_entry(r, at))) % r->sectors;
	}
}

/* The newest sequence that is whole; false when there is none. */
static bool find_sequence(struct replay *r, uint32_t *ret_head)
{
	uint64_t below = UINT64_MAX;

	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		uint64_t best = 0;

		for (uint32_t n = 0; n < r->sectors; n++) {
			const uint64_t s =
				is_candidate(r, n) ? le64_get(log_entry(r, n)->sequence) : 0;

			if (s > best && s < below) {
				best = s;
				*ret_head = n;
			}
		}
		if (best == 0)
			return false;
		if (is_sequence(r, *ret_head))
			return true;
		r->dropped = true;
		below = best;
	}
	return false;
}

/*
 * Has nothing been written in place by this log? The header names it before there
 * is an entry, and a first one that was cut short stands alone: entries come before
 * what they are about.
 */
static bool is_unused(const struct replay *r)
{
	unsigned entries = 0;
	bool first = true;

	for (uint32_t n = 0; n < r->sectors; n++) {
		if (!is_candidate(r, n))
			continue;
		entries++;
		first = le32_get(log_entry(r, n)->tail) / VHDX_SECTOR == n;
	}
	return entries == 0 || (entries == 1 && first);
}

/* The log does not count any more. */
static int disown(struct blk *b, struct sill_err *e)
{
	struct vhdx *x = b->state;
	struct vhdx_header h = x->head;
	int err;

	if (b->readonly)
		return 0;
	h.log = (struct vhdx_guid){ 0 };
	lock_take(&x->lock);
	err = write_headers_locked(x, &h);
	lock_drop(&x->lock);
	return err == 0 ? 0 : vhdio_fail(b, err, "headers", e);
}

static int refuse_readonly(struct blk *b, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "disk '%s' was not closed: its log must be replayed, which a "
			   "read-only disk cannot be",
			   b->path);
	return sill_err_hint(e, "open it for writing once, or: sill image check -f vhdx --repair");
}

/* Keep what would be written: @data, of one sector, or @n bytes of zeroes. */
static int set_aside(struct vhdx *x, uint64_t off, const uint8_t *data, uint64_t n)
{
	struct vhdx_patch p = { .off = off, .n = n }, *more;

	if (x->patches % VHDX_PATCHES == 0) {
		more = reallocarray(x->patch, x->patches + VHDX_PATCHES, sizeof(*more));
		if (more == NULL)
			return ENOMEM;
		x->patch = more;
	}
	if (data != NULL) {
		p.data = malloc(VHDX_SECTOR);
		if (p.data == NULL)
			return ENOMEM;
		memcpy(p.data, data, VHDX_SECTOR);
	}
	x->patch[x->patches++] = p;
	return 0;
}

int vhdx_read_patched(const struct vhdx *x, void *buf, uint64_t n, uint64_t off)
{
	const int err = vhdio_read(x->fd, buf, n, off);

	for (uint32_t i = 0; err == 0 && i < x->patches; i++) {
		const struct vhdx_patch *p = &x->patch[i];
		const uint64_t from = p->off > off ? p->off : off;
		const uint64_t to = p->off + p->n < off + n ? p->off + p->n : off + n;

		if (from >= to)
			continue;
		if (p->data != NULL)
			memcpy((uint8_t *)buf + (from - off), p->data + (from - p->off), to - from);
		else
			memset((uint8_t *)buf + (from - off), 0, to - from);
	}
	return err;
}

void vhdx_free_patches(struct vhdx *x)
{
	for (uint32_t i = 0; i < x->patches; i++)
		free(x->patch[i].data);
	free(x->patch);
	x->patch = NULL;
	x->patches = 0;
}

/* One sector, or zeroes, to where it belongs. */
static int put(struct replay *r, uint64_t off, const uint8_t *data, uint64_t n)
{
	if (r->aside)
		return set_aside(r->x, off, data, n);
	return data != NULL ? vhdio_write(r->x->fd, data, n, off)
			    : vhdio_zero(r->x->fd, off, n, true);
}

/* Every descriptor of one entry: only looked at, or carried out. */
static int replay_entry(struct replay *r, uint32_t n, bool write)
{
	const struct log_header *h = log_entry(r, n);
	const uint32_t count = le32_get(h->descriptors);
	uint64_t next = (uint64_t)n + desc_sectors(count);

	for (uint32_t i = 0; i < count; i++) {
		const struct log_desc *d = log_desc(r, n, i);
		const bool zero = le32_get(d->signature) == SIGN_ZERO;
		const uint64_t off = le64_get(d->offset);
		const uint64_t length = zero ? le64_get(d->leading) : VHDX_SECTOR;
		uint64_t zeroes = zero ? length : 0;
		uint8_t s[VHDX_SECTOR];
		int err = 0;

		if (!may_write(r, off, length))
			return EINVAL;
		/* What lies behind the file's end is zero once the file is longer. */
		if (zero && off + length > r->high)
			zeroes = off < r->high ? r->high - off : 0;
		if (zeroes > r->zeroes)
			return EINVAL;
		r->zeroes -= zeroes;
		if (!zero && off + length > r->high)
			r->high = off + length;
		if (!zero) {
			const struct log_data *data = (const void *)log_sector(r, next++);

			memcpy(s, &d->leading, 8);
			memcpy(s + 8, data->bytes, sizeof(data->bytes));
			memcpy(s + VHDX_SECTOR - 4, &d->trailing, 4);
		}
		if (!write)
			continue;
		if (zeroes != 0)
			err = put(r, off, NULL, zeroes);
		else if (!zero)
			err = put(r, off, s, sizeof(s));
		if (err != 0)
			return err;
	}
	return 0;
}

/* A log is about tables: all that it zeroes is together no more than the file has. */
static int replay_sequence(struct replay *r, uint32_t head, bool write)
{
	uint32_t at = le32_get(log_entry(r, head)->tail) / VHDX_SECTOR;
	int err;

	r->high = r->old_end;
	r->zeroes = r->old_end;
	while ((err = replay_entry(r, at, write)) == 0 && at != head)
		at = (at + entry_sectors(log_entry(r, at))) % r->sectors;
	return err;
}

/* The file has the size that the log entry speaks of, then what is in the entries. */
static int carry_out(struct blk *b, struct replay *r, uint32_t head, struct sill_err *e)
{
	struct vhdx *x = r->x;
	const uint64_t flushed = le64_get(log_entry(r, head)->flushed_size);
	const uint64_t last = le64_get(log_entry(r, head)->last_size);
	struct vhdx_header h = x->head;
	int err;

	if (flushed > x->end)
		return vhdio_damaged(b, e, "the file has been cut");
	if (last > VHDX_MAX_FILE)
		return vhdio_damaged(b, e, "the log asks for a larger file than there can be");
	r->limit = last > x->end ? last : x->end;
	r->old_end = x->end;
	if (replay_sequence(r, head, false) != 0)
		return vhdio_damaged(
			b, e, "the log leads outside of the file, or zeroes more than it has");
	lock_take(&x->lock);
	/* A new identifier of the contents, before they change. */
	err = make_guid(&h.file_write);
	if (err == 0)
		err = write_headers_locked(x, &h);
	if (err == 0 && last > x->end)
		err = vhdio_truncate(b->fd, last);
	if (err == 0 && last > x->end) {
		x->grown_from = x->end;
		x->end = last;
	}
	if (err == 0)
		err = replay_sequence(r, head, true);
	if (err == 0)
		err = vhdio_sync(b->fd);
	h.log = (struct vhdx_guid){ 0 };
	if (err == 0)
		err = write_headers_locked(x, &h);
	lock_drop(&x->lock);
	return err == 0 ? 0 : vhdio_fail(b, err, "replay of the log", e);
}

/*
 * An image that is salvaged is not written: what its log holds of the tables is laid over what is
 * read of them. A log is about tables only ([MS-VHDX] 2.3); one that leads astray does not count.
 */
static int lay_over(struct blk *b, struct replay *r, uint32_t head, struct sill_err *e)
{
	const uint64_t last = le64_get(log_entry(r, head)->last_size);
	int err;

	r->old_end = r->x->end;
	r->limit = last <= VHDX_MAX_FILE && last > r->x->end ? last : r->x->end;
	if (replay_sequence(r, head, false) != 0) {
		log_line(LOG_WARN, "%s: its log leads astray and does not count", b->path);
		return 0;
	}
	r->aside = true;
	err = replay_sequence(r, head, true);
	return err == 0 ? 0 : vhdio_fail(b, err, "log", e);
}

/* By what was found in the log: its newest entry is at @head, if it is @whole. */
static int follow_log(struct blk *b, struct replay *r, bool whole, uint32_t head,
		      struct sill_err *e)
{
	if (whole && b->salvage)
		return lay_over(b, r, head, e);
	if (whole)
		return b->readonly ? refuse_readonly(b, e) : carry_out(b, r, head, e);
	if (is_unused(r))
		return disown(b, e);
	if (!b->salvage)
		return vhdio_damaged(b, e, "the log is damaged");
	r->dropped = false;
	log_line(LOG_WARN, "%s: its log is damaged: tables are read as they are without it",
		 b->path);
	return 0;
}

int vhdx_replay(struct blk *b, struct sill_err *e)
{
	struct vhdx *x = b->state;
	struct replay r = { .x = x, .sectors = x->log_length / VHDX_SECTOR };
	uint32_t head = 0;
	bool whole;
	int ret, err;

	if (vhdx_is_null(&x->head.log))
		return 0;
	r.log = malloc(x->log_length);
	if (r.log == NULL)
		return vhdio_fail(b, ENOMEM, "log", e);
	r.budget = 16ull * x->log_length;
	err = vhdio_read(b->fd, r.log, x->log_length, x->log_offset);
	whole = err == 0 && find_sequence(&r, &head);
	ret = err != 0 ? vhdio_fail(b, err, "log", e) : follow_log(b, &r, whole, head, e);
	free(r.log);
	x->log_dropped = ret == 0 && r.dropped;
	if (x->log_dropped && !b->quiet)
		log_line(LOG_WARN, "%s: " VHDX_DROPPED, b->path);
	if (ret == 0 && !b->readonly)
		log_line(LOG_INFO, "%s: was not closed; its log has been replayed", b->path);
	return ret;
}

/* --- writing ------------------------------------------------------------ */

static struct log_desc *desc_of(struct vhdx *x, unsigned i)
{
	return (struct log_desc *)(void *)(x->entry + sizeof(struct log_header)) + i;
}

static struct log_data *data_of(struct vhdx *x, unsigned i)
{
	return (struct log_data *)(void *)(x->entry + VHDX_SECTOR) + i;
}

/* A place only where there is a block. */
void vhdx_bat_sector(const struct vhdx *x, uint32_t s, uint64_t out[VHDX_BAT_PER_SECTOR])
{
	for (unsigned k = 0; k < VHDX_BAT_PER_SECTOR; k++) {
		const uint64_t v = x->bat[(size_t)s * VHDX_BAT_PER_SECTOR + k];

		out[k] = vhdx_is_present(v) ? v : v & VHDX_STATE;
	}
}

/* One sector, for byte @off of the file, as number @i of the entry. */
static void put_sector(struct vhdx *x, unsigned i, const uint8_t s[VHDX_SECTOR], uint64_t off)
{
	struct log_data *d = data_of(x, i);

	*desc_of(x, i) = (struct log_desc){
		.signature = le32_of(SIGN_DESC),
		.trailing = le32_of(ld32(s + VHDX_SECTOR - 4)),
		.leading = le64_of(ld64(s)),
		.offset = le64_of(off),
		.sequence = le64_of(x->log_sequence),
	};
	d->signature = le32_of(SIGN_DATA);
	d->sequence_high = le32_of((uint32_t)(x->log_sequence >> 32));
	memcpy(d->bytes, s + 8, sizeof(d->bytes));
	d->sequence_low = le32_of((uint32_t)x->log_sequence);
}

/* What the last entry holds, in place. */
static int write_back_locked(struct vhdx *x) REQUIRES(x->lock)
{
	for (unsigned i = 0; i < x->pending; i++) {
		const struct log_desc *d = desc_of(x, i);
		uint8_t s[VHDX_SECTOR];
		int err;

		memcpy(s, &d->leading, 8);
		memcpy(s + 8, data_of(x, i)->bytes, sizeof(data_of(x, i)->bytes));
		memcpy(s + VHDX_SECTOR - 4, &d->trailing, 4);
		err = vhdio_write(x->fd, s, sizeof(s), le64_get(d->offset));
		if (err != 0)
			return err;
	}
	x->pending = 0;
	return 0;
}

static unsigned put_bat(struct vhdx *x)
{
	uint64_t out[VHDX_BAT_PER_SECTOR];
	unsigned count = 0;

	for (uint32_t s = 0; s < x->bat_sectors && count < x->batch; s++) {
		if (x->dirty[s] == 0)
			continue;
		vhdx_bat_sector(x, s, out);
		put_sector(x, count++, (const uint8_t *)out,
			   x->bat_offset + (uint64_t)s * VHDX_SECTOR);
	}
	return count;
}

static unsigned put_meta(struct vhdx *x)
{
	for (unsigned i = 0; i < x->meta_sectors; i++)
		put_sector(x, i, x->meta + (size_t)i * VHDX_SECTOR,
			   x->meta_at + (uint64_t)i * VHDX_SECTOR);
	return x->meta_sectors;
}

/* Put the first dirty sectors into an entry, and that into the log; metadata when the BAT is there. */
static int write_entry_locked(struct vhdx *x, unsigned *ret_count) REQUIRES(x->lock)
{
	const uint64_t slot = (uint64_t)x->log_slot * (x->log_length / 2);
	struct log_header h = {
		.signature = le32_of(SIGN_LOGE),
		.tail = le32_of((uint32_t)slot),
		.log = x->log_id,
		.flushed_size = le64_of(x->end),
		.last_size = le64_of(x->end),
	};
	unsigned count;
	size_t size;
	int err;

	x->log_sequence++;
	memset(x->entry, 0, VHDX_SECTOR);
	count = put_bat(x);
	if (count == 0)
		count = put_meta(x);
	size = (size_t)(1 + count) * VHDX_SECTOR;
	h.length = le32_of((uint32_t)size);
	h.sequence = le64_of(x->log_sequence);
	h.descriptors = le32_of(count);
	memcpy(x->entry, &h, sizeof(h));
	h.checksum = le32_of(vhdio_crc(0, x->entry, size));
	memcpy(x->entry, &h, sizeof(h));
	err = vhdio_write(x->fd, x->entry, size, x->log_offset + slot);
	if (err == 0)
		err = vhdx_sync(x);
	if (err != 0)
		return err;
	x->log_slot = !x->log_slot;
	*ret_count = count;
	return 0;
}

/* What the entry holds is not dirty any more. */
static void clean(struct vhdx *x, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const uint64_t off = le64_get(desc_of(x, i)->offset);

		if (off >= x->bat_offset &&
		    off - x->bat_offset < (uint64_t)x->bat_sectors * VHDX_SECTOR)
			x->dirty[(off - x->bat_offset) / VHDX_SECTOR] = 0;
		else
			x->meta_sectors = 0;
	}
}

static bool has_news(const struct vhdx *x) REQUIRES(x->lock)
{
	return x->meta_sectors != 0 || (x->is_dirty && memchr(x->dirty, 1, x->bat_sectors) != NULL);
}

/* One round: what is there is on the medium, then a batch of dirty sectors in the log too. */
static int commit_batch_locked(struct vhdx *x) REQUIRES(x->lock)
{
	unsigned count = 0;
	int err = vhdx_sync(x);

	if (err == 0 && !has_news(x)) {
		__atomic_store_n(&x->is_dirty, false, __ATOMIC_SEQ_CST);
		return 0;
	}
	if (err == 0 && vhdx_is_null(&x->log_id))
		err = make_guid(&x->log_id);
	if (err == 0)
		err = write_entry_locked(x, &count);
	if (err == 0 && !x->log_named) {
		struct vhdx_header h = x->head;

		h.log = x->log_id;
		err = write_headers_locked(x, &h);
		x->log_named = err == 0;
	}
	if (err != 0)
		return err;
	clean(x, count);
	if (!has_news(x))
		__atomic_store_n(&x->is_dirty, false, __ATOMIC_SEQ_CST);
	x->pending = count;
	return write_back_locked(x);
}

int vhdx_commit_locked(struct vhdx *x)
{
	/* Where that failed the last time. */
	int err = x->broken ? EIO : write_back_locked(x);

	do {
		if (err == 0)
			err = commit_batch_locked(x);
	} while (err == 0 && x->is_dirty);
	return err;
}

int vhdx_finish_locked(struct vhdx *x)
{
	struct vhdx_header h = x->head;
	int err;

	if (vhdx_is_null(&h.log))
		return 0;
	err = x->broken ? EIO : write_back_locked(x);
	if (err == 0)
		err = vhdx_sync(x);
	h.log = (struct vhdx_guid){ 0 };
	if (err == 0)
		err = write_headers_locked(x, &h);
	if (err == 0)
		x->log_named = false;
	return err;
}
