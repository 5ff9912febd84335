/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtq.h - the device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * One thread at a time: the queue's runner. Nothing here takes a lock or
 * allocates, except virtq_init().
 *
 * The driver is hostile. A chain is walked once and copied into the queue's
 * own array before anything looks at it; a breach of the ring's rules makes
 * the function return -1, and the queue is dead until it is set up again (the
 * device asks for a reset). What the device has in hand is remembered in
 * busy[]: a head that is offered again before it was given back is a breach.
 *
 * A runner's turn:
 *
 *	virtq_notify_off(q);
 *	while ((r = virtq_pop(q, &c)) > 0)
 *		... virtq_read(), virtq_write(), virtq_iov() ... virtq_push(q, c.head, written);
 *	if (virtq_publish(q) > 0)
 *		interrupt
 *	if (virtq_notify_on(q) > 0)
 *		once more: something came in between
 */
#ifndef DEVICES_VIRTIO_VIRTQ_H
#define DEVICES_VIRTIO_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/save.h"
#include "core/gmem.h"

/* Wire formats and bits, virtio 1.2, 2.7.5 to 2.7.8. */
enum { VIRTQ_DESC_NEXT = 1, VIRTQ_DESC_WRITE = 2, VIRTQ_DESC_INDIRECT = 4 };
enum { VIRTQ_AVAIL_NO_INTERRUPT = 1, VIRTQ_USED_NO_NOTIFY = 1 };

struct virtq_desc {
	le64 addr;
	le32 len;
	le16 flags;
	le16 next;
};
WIRE_SIZE(struct virtq_desc, 16);
WIRE_AT(struct virtq_desc, next, 14);

struct virtq_used_elem {
	le32 id;
	le32 len;
};
WIRE_SIZE(struct virtq_used_elem, 8);

/* What the driver wrote into the registers. Caller-allocated. */
struct virtq_setup {
	uint16_t size; /* power of two, 1 .. MAX_VIRTQ_SIZE */
	gpa_t desc, avail, used;
	bool event_idx, indirect; /* negotiated */
};

/* A buffer of a chain; never empty. */
struct virtq_seg {
	gpa_t gpa;
	uint32_t len;
};

/* A request: @out_count readable buffers, then @in_count that the device writes. */
struct virtq_chain {
	const struct virtq_seg *seg; /* borrowed from the queue, until the next pop */
	uint16_t out_count, in_count;
	uint16_t head;
	uint32_t out_len, in_len; /* bytes */
};

/* Caller-allocated; zeroed is "not set up". */
struct virtq {
	struct gmem *mem; /* borrowed */
	struct virtq_setup s;
	struct virtq_seg *seg; /* owned; MAX_VIRTQ_CHAIN of them, kept over resets */
	bool ready;            /* set up and not broken */
	bool notify_off;       /* the driver has been told not to kick */
	uint16_t last_avail;   /* the next avail entry to take */
	uint16_t seen;      /* the driver's index when it was last read; never behind last_avail */
	uint16_t used_idx;  /* the next used entry to fill */
	uint16_t published; /* used_idx as the driver knows it */
	uint16_t in_flight;
	uint64_t busy[MAX_VIRTQ_SIZE / 64];
};

/* 0, or -1 without memory. @q must be zeroed. */
int virtq_init(struct virtq *q, struct gmem *mem) MUST_CHECK;
void virtq_fini(struct virtq *q);

/* Begin with an empty ring. -1: misaligned, not memory, or a bad size; the queue is then not ready. */
int virtq_start(struct virtq *q, const struct virtq_setup *s) MUST_CHECK;
/* Somebody else has served the ring, up to @index, and has nothing in hand. */
void virtq_go_on(struct virtq *q, uint16_t index);
/* Forget the ring. What was popped and not pushed is forgotten too. */
void virtq_reset(struct virtq *q);

/* 1: there is a chain to pop. 0: none. -1: broken. */
int virtq_has_more(struct virtq *q);
/* 1: @c filled. 0: empty. -1: the driver broke the rules. */
int virtq_pop(struct virtq *q, struct virtq_chain *c) MUST_CHECK;
/* Give back the chain just popped, as if it had not been; nothing else popped since. */
void virtq_unpop(struct virtq *q, const struct virtq_chain *c);
/* Walk a chain that is in hand once more: @c as it stands in the ring now. -1: broken. */
int virtq_again(struct virtq *q, uint16_t head, struct virtq_chain *c) MUST_CHECK;
/* Done with @head; @written bytes of its writable part were filled. -1: broken. */
int virtq_push(struct virtq *q, uint16_t head, uint32_t written);
/* How many pushes the driver does not know of. */
static inline unsigned virtq_unpublished(const struct virtq *q)
{
	return (uint16_t)(q->used_idx - q->published);
}

/* Show the driver what was pushed. 1: it wants an interrupt. 0: not. -1: broken. */
int virtq_publish(struct virtq *q);

/* The driver need not kick: we look by ourselves. */
void virtq_notify_off(struct virtq *q);
/* It must again. 1: something came before it could know; look once more. -1: broken. */
int virtq_notify_on(struct virtq *q);
/* The same where what is in the ring is not enough: it must kick when it adds to that. 1: it has. */
int virtq_notify_more(struct virtq *q);

/*
 * The readable (writable) part of a chain as a string of bytes, however it is
 * cut into buffers. 0, or -1 when [off, off + n) is not inside it or not memory.
 */
int virtq_read(const struct virtq *q, const struct virtq_chain *c, uint32_t off, void *dst,
	       uint32_t n) MUST_CHECK;
int virtq_write(const struct virtq *q, const struct virtq_chain *c, uint32_t off, const void *src,
		uint32_t n) MUST_CHECK;
/* What is in the writable part now: the driver may have written there since. */
int virtq_read_in(const struct virtq *q, const struct virtq_chain *c, uint32_t off, void *dst,
		  uint32_t n) MUST_CHECK;
/* Where byte @off of the writable part lies, for a later gmem_write(). -1: not inside. */
int virtq_in_gpa(const struct virtq_chain *c, uint32_t off, gpa_t *ret_gpa) MUST_CHECK;

/*
 * The same bytes as host vectors for a system call; neighbours are merged.
 * Returns how many, or -1 (not inside, not RAM, more than @max). @ret_span is
 * to be ended by the caller; it has not begun after a failure.
 */
int virtq_iov(const struct virtq *q, const struct virtq_chain *c, bool in, uint32_t off, uint32_t n,
	      struct iovec *iov, int max, struct gmem_span *ret_span) MUST_CHECK;

/*
 * The indices. Which chains are in hand is for the caller to save, and to say after virtq_load() by
 * virtq_take(); the rest is in the device's registers.
 */
void virtq_save(const struct virtq *q, struct saver *s);
/* After virtq_start(). */
void virtq_load(struct virtq *q, struct loader *l);
/* @head was popped and not pushed before the queue was saved. -1: it cannot have been. */
int virtq_take(struct virtq *q, uint16_t head) MUST_CHECK;
/* After all of them: do the indices tell of as many? */
bool virtq_adds_up(const struct virtq *q);

#endif
