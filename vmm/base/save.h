/* SPDX-License-Identifier: Apache-2.0 */
/*
 * save.h - the tagged format of saved device state.
 *
 * A state is a sequence of records { tag u32, version u32, size u32, bytes }.
 * A device writes one record of its own in save() and reads it back in load().
 * What is inside a record may be records again: a second saver on the same buffer
 * writes them, a loader of the rest of the record (load_rest()) reads them.
 * Loading is input from a stranger: every read is bounds-checked, an error
 * sticks and is asked for once at the end; values must be checked like
 * registers a guest writes. One thread.
 */
#ifndef BASE_SAVE_H
#define BASE_SAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

/* A tag reads as four letters in a hex dump. */
#define SAVE_TAG(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

struct saver {
	struct buf *out; /* borrowed */
	size_t open_at;  /* offset of the open record's header */
};

void save_init(struct saver *s, struct buf *out);
void save_begin(struct saver *s, uint32_t tag, uint32_t version);
void save_end(struct saver *s);
void save_u8(struct saver *s, uint8_t v);
void save_u16(struct saver *s, uint16_t v);
void save_u32(struct saver *s, uint32_t v);
void save_u64(struct saver *s, uint64_t v);
void save_bytes(struct saver *s, const void *p, size_t n);
void save_str(struct saver *s, const char *text); /* shorter than 64 KiB */

struct loader {
	const uint8_t *data; /* borrowed */
	size_t size;
	size_t at;
	size_t end; /* end of the open record */
	bool failed;
};

void load_init(struct loader *l, const void *data, size_t size);
/* Open the next record, which must have this tag; its version (1..max_version) is returned, 0 on error. */
uint32_t load_begin(struct loader *l, uint32_t tag, uint32_t max_version);
/* Close it: every byte must have been read. 0, or -1 with @e set ("state of <what> ..."). */
int load_end(struct loader *l, const char *what, struct sill_err *e) MUST_CHECK;
/* Nothing may follow the records that were read. Likewise. */
int load_done(const struct loader *l, const char *what, struct sill_err *e) MUST_CHECK;
uint8_t load_u8(struct loader *l);
uint16_t load_u16(struct loader *l);
uint32_t load_u32(struct loader *l);
uint64_t load_u64(struct loader *l);
bool load_bool(struct loader *l);
void load_bytes(struct loader *l, void *p, size_t n); /* zeroes when failed */
/* Into @room bytes at @ret, terminated; empty when failed. Text with a NUL inside is no text. */
void load_str(struct loader *l, char *ret, size_t room);
/* What is left of the open record, as a loader of its own; none when failed. The record has been read then. */
struct loader load_rest(struct loader *l);
/* The tag of the next record; 0: there is none. */
uint32_t load_peek(const struct loader *l);
/* For the device's own checks: marks the state as bad. */
void load_fail(struct loader *l);

#endif
