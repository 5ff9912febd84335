/* SPDX-License-Identifier: Apache-2.0 */
/* varstore.c - see varstore.h. Included by its users: a test program is one file. */
#include "varstore.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

enum {
	BLOCK = 4096,

	/* Firmware volume header. */
	FV_GUID = 0x10,
	FV_LENGTH = 0x20,
	FV_SIGNATURE = 0x28,
	FV_HEADER_LENGTH = 0x30,
	FV_BLOCKS = 0x38,
	FV_SIZE = 0x48,

	/* Variable store header, right behind it. */
	VS = FV_SIZE,
	VS_SIZE = VS + 16,
	VS_FORMAT = VS + 20,
	VS_STATE = VS + 21,
	VS_FORMATTED = 0x5a,
	VS_HEALTHY = 0xfe,
	VS_FIRST = VS + 28,

	/* Variable header. */
	V_STATE = 2,
	V_ATTRIBUTES = 4,
	V_NAME_SIZE = 36,
	V_DATA_SIZE = 40,
	V_GUID = 44,
	V_HEADER = 60,
	V_START = 0x55aa,
	V_HEADER_VALID = 0x7f,
	V_ADDED = 0x3f,
	V_IN_TRANSITION = 0xfe, /* masks */
	V_DELETED = 0xfd,

	/* Work block: header, then a write header and one record per write. */
	WORK_CRC = 16,
	WORK_STATE = 20,
	WORK_QUEUE = 24,
	WORK_FIRST = 32,
	WORK_VALID = 1 << 0,
	WORK_INVALID = 1 << 1,

	WH_WRITES = 24,
	WH_PRIVATE = 32,
	WH_SIZE = 40,
	WH_ALLOCATED = 1 << 0,
	WH_WRITES_ALLOCATED = 1 << 1,
	WH_COMPLETE = 1 << 2,

	R_LBA = 8,
	R_OFFSET = 16,
	R_LENGTH = 24,
	R_RELATIVE = 32,
	R_SIZE = 40,
	R_SPARE_COMPLETE = 1 << 1,
	R_DEST_COMPLETE = 1 << 2,
};

static const uint8_t fv_guid[16] = { 0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c,
				     0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50 };
static const uint8_t vs_guid[16] = { 0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43,
				     0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92 };
static const uint8_t work_guid[16] = { 0x2b, 0x29, 0x58, 0x9e, 0x68, 0x7c, 0x7d, 0x49,
				       0xa0, 0xce, 0x65, 0x00, 0xfd, 0x9f, 0x1b, 0x95 };
static const uint8_t my_guid[16] = "Sill's own tests";

bool varstore_layout(size_t size, struct varstore_layout *ret)
{
	switch (size) {
	case 0x84000:
		*ret = (struct varstore_layout){ size, 0x40000, 0x41000, 0x42000 };
		return true;
	case 0x20000:
		*ret = (struct varstore_layout){ size, 0xe000, 0xf000, 0x10000 };
		return true;
	default:
		return false;
	}
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320 : 0);
	}
	return ~c;
}

/* The one header a work block may have; states are not part of its checksum. */
static void work_header(uint8_t h[WORK_FIRST])
{
	memset(h, 0xff, WORK_FIRST);
	memcpy(h, work_guid, sizeof(work_guid));
	st64(h + WORK_QUEUE, BLOCK - WORK_FIRST);
	st32(h + WORK_CRC, crc32(h, WORK_FIRST));
	h[WORK_STATE] = (uint8_t)~WORK_VALID;
}

static bool work_valid(const uint8_t *work)
{
	uint8_t h[WORK_FIRST];

	work_header(h);
	return memcmp(work, h, sizeof(h)) == 0;
}

static bool is_set(const uint8_t *p, unsigned bit)
{
	return (*p & bit) == 0; /* states are set by clearing */
}

static bool is_erased(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0xff)
			return false;
	return true;
}

void varstore_format(uint8_t *img, const struct varstore_layout *l)
{
	uint16_t sum = 0;

	memset(img, 0xff, l->size);
	memset(img, 0, FV_SIZE);
	memcpy(img + FV_GUID, fv_guid, sizeof(fv_guid));
	st64(img + FV_LENGTH, l->size);
	memcpy(img + FV_SIGNATURE, "_FVH\xff\xfe\x04", 8);
	st16(img + FV_HEADER_LENGTH, FV_SIZE);
	img[0x37] = 2;
	st32(img + FV_BLOCKS, (uint32_t)(l->size / BLOCK));
	st32(img + FV_BLOCKS + 4, BLOCK);
	for (size_t i = 0; i < FV_SIZE; i += 2)
		sum = (uint16_t)(sum + ld16(img + i));
	st16(img + 0x32, (uint16_t)-sum);
	memcpy(img + VS, vs_guid, sizeof(vs_guid));
	st32(img + VS_SIZE, (uint32_t)(l->live - VS));
	memset(img + VS_FORMAT, 0, 8);
	img[VS_FORMAT] = VS_FORMATTED;
	img[VS_STATE] = VS_HEALTHY;
	work_header(img + l->work);
}

/* The last write header that is not complete; NULL when the block is full or makes no sense. */
static size_t last_header(const uint8_t *work)
{
	size_t at = WORK_FIRST;

	while (is_set(work + at, WH_COMPLETE)) {
		const uint64_t writes = ld64(work + at + WH_WRITES);
		const uint64_t private = ld64(work + at + WH_PRIVATE);

		if (writes > BLOCK || private > BLOCK)
			return 0;
		at += WH_SIZE + writes * (R_SIZE + private);
		if (at + WH_SIZE + R_SIZE > BLOCK)
			return 0;
	}
	return at;
}

static void work_init(uint8_t *img, const struct varstore_layout *l)
{
	memset(img + l->work, 0xff, BLOCK);
	work_header(img + l->work);
}

void varstore_recover(uint8_t *img, const struct varstore_layout *l)
{
	uint8_t *work = img + l->work, *header, *record;
	size_t at;

	if (!work_valid(work)) {
		/* The work block itself was being compacted: its new content is in the spare. */
		if (work_valid(img + l->spare)) {
			memcpy(work, img + l->spare, BLOCK);
			at = last_header(work);
			if (at != 0 && is_set(work + at, WH_ALLOCATED))
				work[at] &= (uint8_t)~WH_COMPLETE;
		} else {
			work_init(img, l);
		}
	}
	at = last_header(work);
	if (at == 0) {
		work_init(img, l);
		return;
	}
	header = work + at;
	record = header + WH_SIZE;
	if (!is_set(header, WH_ALLOCATED))
		return;
	if (is_set(record, R_SPARE_COMPLETE) && !is_set(record, R_DEST_COMPLETE)) {
		const uint64_t n = (ld64(record + R_OFFSET) + ld64(record + R_LENGTH) + BLOCK - 1) /
				   BLOCK * BLOCK;
		const uint64_t to = ld64(record + R_LBA) * BLOCK;

		/* Of a record that says complete, the rest is there too: it was written before. */
		assert(to < l->size && n <= l->size - l->spare && n <= l->size - to);
		memcpy(img + to, img + l->spare, n);
	}
	header[0] &= (uint8_t)~WH_COMPLETE;
}

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* Size of the variable at @at with its header; names and sizes count only once the state says so. */
static size_t var_size(const uint8_t *v)
{
	if (v[V_STATE] == 0xff)
		return V_HEADER;
	return align4((size_t)V_HEADER + ld32(v + V_NAME_SIZE) + ld32(v + V_DATA_SIZE));
}

/* The next variable from @at on, 0 at the end. */
static size_t var_at(const uint8_t *img, const struct varstore_layout *l, size_t at)
{
	return at + V_HEADER <= l->live && ld16(img + at) == V_START ? at : 0;
}

static size_t vars_end(const uint8_t *img, const struct varstore_layout *l)
{
	size_t at = VS_FIRST, v;

	while ((v = var_at(img, l, at)) != 0)
		at = v + var_size(img + v);
	return at;
}

static bool counts(const uint8_t *v)
{
	return v[V_STATE] == V_ADDED || v[V_STATE] == (V_ADDED & V_IN_TRANSITION);
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
	return ld32(a + V_NAME_SIZE) == ld32(b + V_NAME_SIZE) &&
	       memcmp(a + V_HEADER, b + V_HEADER, ld32(a + V_NAME_SIZE)) == 0 &&
	       memcmp(a + V_GUID, b + V_GUID, 16) == 0;
}

static bool has_name(const uint8_t *v, const char *name)
{
	const size_t n = strlen(name) + 1;

	if (ld32(v + V_NAME_SIZE) != 2 * n || memcmp(v + V_GUID, my_guid, 16) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ld16(v + V_HEADER + 2 * i) != (uint8_t)name[i])
			return false;
	return true;
}

/* The variable that counts: the added one, else the one that was to be replaced. 0: none. */
static size_t var_find(const uint8_t *img, const struct varstore_layout *l, const char *name,
		       size_t *ret_transition)
{
	size_t at = VS_FIRST, v, added = 0, transition = 0;

	while ((v = var_at(img, l, at)) != 0) {
		if (counts(img + v) && has_name(img + v, name)) {
			if (img[v + V_STATE] == V_ADDED)
				added = v;
			else
				transition = v;
		}
		at = v + var_size(img + v);
	}
	if (ret_transition != NULL)
		*ret_transition = added != 0 ? transition : 0;
	return added != 0 ? added : transition;
}

const uint8_t *varstore_find(const uint8_t *img, const struct varstore_layout *l, const char *name,
			     size_t *ret_size)
{
	const size_t v = var_find(img, l, name, NULL);

	if (v == 0)
		return NULL;
	*ret_size = ld32(img + v + V_DATA_SIZE);
	return img + v + V_HEADER + ld32(img + v + V_NAME_SIZE);
}

unsigned varstore_count(const uint8_t *img, const struct varstore_layout *l)
{
	unsigned n = 0;
	size_t at = VS_FIRST, v;

	while ((v = var_at(img, l, at)) != 0) {
		n += counts(img + v);
		at = v + var_size(img + v);
	}
	return n;
}

static const char *check_variable(const uint8_t *img, const struct varstore_layout *l, size_t at)
{
	const uint8_t *v = img + at;
	const size_t name = ld32(v + V_NAME_SIZE), data = ld32(v + V_DATA_SIZE);
	size_t next;

	switch (v[V_STATE]) {
	case 0xff:
		return NULL; /* its header was being written */
	case V_HEADER_VALID:
	case V_ADDED:
	case V_ADDED &V_IN_TRANSITION:
	case V_ADDED &V_DELETED:
	case V_ADDED &V_IN_TRANSITION &V_DELETED:
		break;
	default:
		return "a variable has an impossible state";
	}
	if (name < 2 || name % 2 != 0 || name > l->live || data > l->live ||
	    at + var_size(v) > l->live)
		return "a variable has an impossible size";
	if (v[V_STATE] == V_HEADER_VALID)
		return NULL;
	if (ld16(v + V_HEADER + name - 2) != 0)
		return "a variable's name does not end";
	if (v[V_STATE] != V_ADDED)
		return NULL;
	for (size_t other = at + var_size(v); (next = var_at(img, l, other)) != 0;
	     other = next + var_size(img + next)) {
		if (img[next + V_STATE] == 0xff)
			continue;
		if (next + var_size(img + next) > l->live)
			break; /* will be said when its turn comes */
		if (img[next + V_STATE] == V_ADDED && same_name(v, img + next))
			return "a variable is there twice";
	}
	return NULL;
}

const char *varstore_check(const uint8_t *img, const struct varstore_layout *l)
{
	uint16_t sum = 0;
	size_t at = VS_FIRST, v;

	for (size_t i = 0; i < FV_SIZE; i += 2)
		sum = (uint16_t)(sum + ld16(img + i));
	if (memcmp(img + FV_GUID, fv_guid, 16) != 0 || memcmp(img + FV_SIGNATURE, "_FVH", 4) != 0 ||
	    ld64(img + FV_LENGTH) != l->size || sum != 0)
		return "the firmware volume header is damaged";
	if (memcmp(img + VS, vs_guid, 16) != 0 || ld32(img + VS_SIZE) != l->live - VS ||
	    img[VS_FORMAT] != VS_FORMATTED || img[VS_STATE] != VS_HEALTHY)
		return "the variable store header is damaged";
	if (!work_valid(img + l->work))
		return "the work block is damaged";
	while ((v = var_at(img, l, at)) != 0) {
		const char *wrong = check_variable(img, l, v);

		if (wrong != NULL)
			return wrong;
		at = v + var_size(img + v);
	}
	return NULL;
}

/* --- the firmware ------------------------------------------------------- */

/* One write of the block driver: never across a block, and back to reading at its end. */
static void program_block(struct varwriter *w, size_t off, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		w->write(w->ctx, off + i, 0x10);
		w->write(w->ctx, off + i, p[i]);
	}
	w->write(w->ctx, off + n - 1, 0xff);
	w->programmed += n;
	w->runs++;
}

static void program(struct varwriter *w, size_t off, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n > 0) {
		const size_t left = BLOCK - off % BLOCK, now = n < left ? n : left;

		program_block(w, off, p, now);
		off += now;
		p += now;
		n -= now;
	}
}

static void erase(struct varwriter *w, size_t off, size_t n)
{
	for (size_t i = 0; i < n; i += BLOCK) {
		w->write(w->ctx, off + i, 0x20);
		w->write(w->ctx, off + i, 0xd0);
		w->erased++;
	}
}

/* Set state bits, that is, clear them. */
static void set_state(struct varwriter *w, size_t off, unsigned bits)
{
	const uint8_t v = (uint8_t)(w->mem[off] & ~bits);

	program(w, off, &v, 1);
}

static void *copy_of(const void *p, size_t n)
{
	void *copy = malloc(n);

	assert(copy != NULL);
	return memcpy(copy, p, n);
}

/* The spare's first block becomes the work block, and is valid last. */
static void spare_to_work(struct varwriter *w)
{
	uint8_t fresh[BLOCK];

	set_state(w, w->l.spare + WORK_STATE, WORK_VALID);
	memcpy(fresh, w->mem + w->l.spare, BLOCK);
	fresh[WORK_STATE] = 0xff;
	set_state(w, w->l.work + WORK_STATE, WORK_INVALID);
	erase(w, w->l.work, BLOCK);
	program(w, w->l.work, fresh, BLOCK);
	set_state(w, w->l.work + WORK_STATE, WORK_VALID);
}

/* The work block's completed writes go; the spare holds it meanwhile, and is put back after. */
static void work_reclaim(struct varwriter *w)
{
	const size_t spare_size = w->l.size - w->l.spare;
	uint8_t *spare = copy_of(w->mem + w->l.spare, spare_size), fresh[BLOCK];

	memset(fresh, 0xff, sizeof(fresh));
	work_header(fresh);
	fresh[WORK_STATE] = 0xff;
	erase(w, w->l.spare, spare_size);
	program(w, w->l.spare, fresh, BLOCK);
	set_state(w, w->l.spare + WORK_STATE, WORK_VALID);
	set_state(w, w->l.work + WORK_STATE, WORK_INVALID);
	spare_to_work(w);
	erase(w, w->l.spare, spare_size);
	program(w, w->l.spare, spare, spare_size);
	free(spare);
	w->work_reclaims++;
}

/* Replace the blocks [0, n) by @data in such a way that one or the other is always there. */
static void ftw_write(struct varwriter *w, const uint8_t *data, size_t n)
{
	const size_t spare_size = w->l.size - w->l.spare;
	uint8_t *spare, header[WH_SIZE], record[R_SIZE];
	size_t at = last_header(w->mem + w->l.work);

	if (at == 0) {
		work_reclaim(w);
		at = WORK_FIRST;
	}
	at += w->l.work;

	memset(header, 0xff, sizeof(header));
	memcpy(header + 4, my_guid, 16);
	st64(header + WH_WRITES, 1);
	st64(header + WH_PRIVATE, 0);
	header[0] = (uint8_t)~WH_ALLOCATED;
	program(w, at, header, WH_SIZE);
	set_state(w, at, WH_WRITES_ALLOCATED);
	memset(record, 0xff, sizeof(record));
	st64(record + R_LBA, 0);
	st64(record + R_OFFSET, VS);
	st64(record + R_LENGTH, n - VS);
	st64(record + R_RELATIVE, -(uint64_t)w->l.spare);
	program(w, at + WH_SIZE, record, R_SIZE);

	spare = copy_of(w->mem + w->l.spare, spare_size);
	erase(w, w->l.spare, spare_size);
	program(w, w->l.spare, data, n);
	set_state(w, at + WH_SIZE, R_SPARE_COMPLETE);
	erase(w, 0, n);
	program(w, 0, data, n);
	set_state(w, at + WH_SIZE, R_DEST_COMPLETE);
	set_state(w, at, WH_COMPLETE);
	erase(w, w->l.spare, spare_size);
	program(w, w->l.spare, spare, spare_size);
	free(spare);
}

void varwriter_boot(struct varwriter *w)
{
	const uint8_t *work = w->mem + w->l.work, *record;
	const size_t spare_size = w->l.size - w->l.spare;
	size_t at;

	if (!work_valid(work) && work_valid(w->mem + w->l.spare)) {
		spare_to_work(w);
		at = last_header(work);
		if (at != 0 && is_set(work + at, WH_ALLOCATED))
			set_state(w, w->l.work + at, WH_COMPLETE);
	} else if (!work_valid(work)) {
		work_reclaim(w);
	}
	at = last_header(work);
	if (at == 0) {
		work_reclaim(w);
		return;
	}
	record = work + at + WH_SIZE;
	if (!is_set(work + at, WH_ALLOCATED))
		return;
	if (is_set(record, R_SPARE_COMPLETE) && !is_set(record, R_DEST_COMPLETE)) {
		const uint64_t n = (ld64(record + R_OFFSET) + ld64(record + R_LENGTH) + BLOCK - 1) /
				   BLOCK * BLOCK;
		uint8_t *spare = copy_of(w->mem + w->l.spare, spare_size);

		assert(n <= spare_size);
		erase(w, 0, n);
		program(w, 0, spare, n);
		free(spare);
		set_state(w, w->l.work + at + WH_SIZE, R_DEST_COMPLETE);
		set_state(w, w->l.work + at, WH_COMPLETE);
		erase(w, w->l.spare, spare_size);
		return;
	}
	set_state(w, w->l.work + at, WH_COMPLETE);
}

static size_t var_make(uint8_t *v, const char *name, const void *data, size_t n)
{
	const size_t name_size = 2 * (strlen(name) + 1);

	memset(v, 0, V_HEADER);
	st16(v, V_START);
	v[V_STATE] = 0xff;
	st32(v + V_ATTRIBUTES, 7); /* non-volatile, boot service, runtime */
	st32(v + V_NAME_SIZE, (uint32_t)name_size);
	st32(v + V_DATA_SIZE, (uint32_t)n);
	memcpy(v + V_GUID, my_guid, 16);
	for (size_t i = 0; i < name_size / 2; i++)
		st16(v + V_HEADER + 2 * i, (uint8_t)name[i]);
	memcpy(v + V_HEADER + name_size, data, n);
	return V_HEADER + name_size + n;
}

/* In transition, and what replaces it is there already. */
static bool is_superseded(const struct varwriter *w, size_t v)
{
	size_t at = VS_FIRST, other;

	if (w->mem[v + V_STATE] == V_ADDED)
		return false;
	while ((other = var_at(w->mem, &w->l, at)) != 0) {
		if (w->mem[other + V_STATE] == V_ADDED && same_name(w->mem + v, w->mem + other))
			return true;
		at = other + var_size(w->mem + other);
	}
	return false;
}

/* Compact the store: what counts, without @replaced, and @var instead of it. */
static bool reclaim(struct varwriter *w, const char *replaced, const uint8_t *var, size_t n)
{
	uint8_t *img = malloc(w->l.live);
	size_t at = VS_FIRST, out = VS_FIRST, v;

	assert(img != NULL);
	memset(img, 0xff, w->l.live);
	memcpy(img, w->mem, VS_FIRST);
	while ((v = var_at(w->mem, &w->l, at)) != 0) {
		const uint8_t *old = w->mem + v;

		at = v + var_size(old);
		if (!counts(old) || has_name(old, replaced) || is_superseded(w, v))
			continue;
		memcpy(img + out, old, var_size(old));
		img[out + V_STATE] = V_ADDED;
		out += var_size(old);
	}
	if (out + align4(n) > w->l.live) {
		free(img);
		return false;
	}
	memcpy(img + out, var, n);
	img[out + V_STATE] = V_ADDED;
	ftw_write(w, img, w->l.live);
	free(img);
	w->reclaims++;
	return true;
}

bool varwriter_set(struct varwriter *w, const char *name, const void *data, size_t n)
{
	size_t transition, size;
	const size_t old = var_find(w->mem, &w->l, name, &transition);
	const size_t at = vars_end(w->mem, &w->l);
	uint8_t *v;
	bool ok = true;

	if (data == NULL) {
		if (transition != 0)
			set_state(w, transition + V_STATE, 0xff & ~V_DELETED);
		if (old != 0)
			set_state(w, old + V_STATE, 0xff & ~V_DELETED);
		return true;
	}
	v = malloc(V_HEADER + 2 * (strlen(name) + 1) + n);
	assert(v != NULL);
	size = var_make(v, name, data, n);
	if (at + align4(size) > w->l.live || !is_erased(w->mem + at, w->l.live - at)) {
		ok = reclaim(w, name, v, size);
	} else {
		if (transition != 0) /* left over from a crash */
			set_state(w, transition + V_STATE, 0xff & ~V_DELETED);
		if (old != 0)
			set_state(w, old + V_STATE, 0xff & ~V_IN_TRANSITION);
		program(w, at, v, V_HEADER);
		set_state(w, at + V_STATE, 0xff & ~V_HEADER_VALID);
		program(w, at + V_HEADER, v + V_HEADER, size - V_HEADER);
		set_state(w, at + V_STATE, 0xff & ~V_ADDED);
		if (old != 0)
			set_state(w, old + V_STATE, 0xff & ~V_DELETED);
	}
	free(v);
	return ok;
}
