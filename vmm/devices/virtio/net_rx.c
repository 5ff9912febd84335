/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_rx.c - frames to the guest.
 *
 * The fast way: chains are gathered until a frame as large as those before it has room, and
 * readv() puts the next one straight into them, frame after frame, until there is none
 * or the turn is over. Chains that were not used go back into the ring in the
 * order they came from it. Without mergeable buffers a frame has one chain, for the largest.
 * What is longer than the chains ends in rx_buffer, and is copied into more of them: chains for the
 * largest would be dozens, taken from the ring and put back for every small frame that comes alone.
 *
 * The slow way, where that cannot be (few chains in the ring, a back end that
 * copies, memory in too many pieces, an answer of our own): into rx_buffer first.
 * A frame that finds no room there waits for more chains.
 *
 * With limits a frame is paid for when it is here, for its size is not known before: whoever is in debt looks
 * at nothing until a timer ends.
 *
 * The descriptor is looked at (level-triggered) only while there are chains and
 * no frame. Without chains nobody polls: the driver's kick starts us again.
 */
#include "devices/virtio/net_priv.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/clock.h"

enum {
	ERR_WAIT = -4, /* beside NET_AGAIN ...: nothing is to be had by reading */
	WANT_LESS = 8, /* of the room that is made ready, a turn with frames takes such a part */
};

static void poll_on(struct net_pair *p)
{
	struct sill_err e = { 0 };

	if (!p->readable.added && loop_fd_add(p->loop, &p->readable, EPOLLIN, &e) < 0)
		log_guest(&p->vn->v.dev->bucket, p->vn->v.dev->id, "%s", e.msg);
}

static void poll_off(struct net_pair *p)
{
	loop_fd_remove(p->loop, &p->readable);
}

void net_rx_begin(struct net_pair *p)
{
	p->rx_dry = p->rx_slow = false;
	/* Small ones must be many before a large one has to be copied. */
	if (p->rx_frames > 0)
		p->rx_want -= p->rx_want / WANT_LESS;
	if (p->rx_want < p->rx_largest)
		p->rx_want = p->rx_largest;
	p->rx_frames = p->rx_bytes = p->rx_largest = 0;
}

void net_rx_readable(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;

	(void)events;
	p->looked = false;
	virtio_run(p->rx);
	if (!p->looked) /* no chains, or the queue is stopped: this would come again and again */
		poll_off(p);
}

void net_rx_wake(void *ctx)
{
	struct net_pair *p = ctx;

	virtio_run(p->rx);
}

void net_rx_lent(struct net_pair *p)
{
	poll_off(p);
	p->rx_waiting = p->answer_length = 0;
}

void net_rx_forget(struct net_pair *p)
{
	assert(p->chain_count == 0);
	p->rx_waiting = p->answer_length = 0;
}

static struct gmem *memory(const struct net_pair *p)
{
	return p->vn->v.dev->env->gmem;
}

static bool is_over(const struct net_pair *p)
{
	return p->rx_frames >= BUDGET_FRAMES || p->rx_bytes >= BUDGET_BYTES;
}

/* Have frames taken up what the limits allow? Then nobody looks at the back end until the timer. */
static bool is_limited(struct net_pair *p)
{
	const uint64_t now = host_now(), at = throttle_opens(p->vn->rx_throttle, now);

	if (at <= now)
		return false;
	poll_off(p);
	loop_timer_set(p->loop, &p->rx_opens, at);
	return true;
}

/* One frame of the back end. A length, or why not. */
static ssize_t next_frame(struct net_pair *p, const struct iovec *iov, int count)
{
	struct virtio_net *vn = p->vn;
	ssize_t n;

	if (__atomic_load_n(&vn->gone, __ATOMIC_ACQUIRE) ||
	    !__atomic_load_n(&vn->link, __ATOMIC_ACQUIRE))
		return ERR_WAIT;
	if (throttle_is_on(vn->rx_throttle) && is_limited(p))
		return ERR_WAIT;
	p->looked = true;
	n = vn->net->ops->recv(vn->net, p->index, iov, count);
	if (n == NET_GONE) {
		poll_off(p);
		net_gone(p);
		return ERR_WAIT;
	}
	if (n == NET_DROPPED || (n >= 0 && n < NET_HEADER + NET_ETHERNET)) {
		net_count(&p->n.rx_dropped, 1);
		p->rx_frames++;
		return NET_DROPPED;
	}
	if (n >= 0 && throttle_is_on(vn->rx_throttle))
		(void)throttle_reserve(vn->rx_throttle, host_now(), (uint64_t)n - NET_HEADER);
	return n;
}

/* Which bytes of guest memory are num_buffers? False: the chain has none, or not in memory. */
static bool find_num_buffers(const struct virtq_chain *c, gpa_t at[2])
{
	return virtq_in_gpa(c, offsetof(struct net_header, num_buffers), &at[0]) == 0 &&
	       virtq_in_gpa(c, offsetof(struct net_header, num_buffers) + 1, &at[1]) == 0;
}

/* Always, and 1 without mergeable buffers: the back end does not (5.1.6.4). */
static bool set_num_buffers(struct net_pair *p, const gpa_t at[2], unsigned count)
{
	const uint8_t b[2] = { (uint8_t)count, (uint8_t)(count >> 8) };

	if (at[1] == at[0] + 1)
		return gmem_write(memory(p), at[0], b, 2) == 0;
	return gmem_write(memory(p), at[0], &b[0], 1) == 0 &&
	       gmem_write(memory(p), at[1], &b[1], 1) == 0;
}

static void delivered(struct net_pair *p, size_t n)
{
	net_count(&p->n.rx_frames, 1);
	net_count(&p->n.rx_bytes, n - NET_HEADER);
	p->rx_frames++;
	p->rx_bytes += (unsigned)n;
	if (p->rx_largest < n)
		p->rx_largest = (unsigned)n;
}

static void unpop(struct net_pair *p, uint16_t head)
{
	virtq_unpop(&p->rx->ring, &(struct virtq_chain){ .head = head });
}

/* ---- the slow way ---- */

/* Give back what was popped after the first chain, the last first. */
static void unpop_rest(struct net_pair *p, const uint16_t *head, unsigned count)
{
	while (count > 1)
		unpop(p, head[--count]);
}

/* One more chain for a frame that needs it. 0: the driver will kick when there is one. -1: broken. */
static int pop_more(struct virtq *ring, struct virtq_chain *c)
{
	int r = virtq_pop(ring, c);

	if (r == 0 && (r = virtq_notify_more(ring)) > 0)
		r = virtq_pop(ring, c);
	return r;
}

/*
 * The frame in rx_buffer into chain @c and, if they may be merged, those behind it. Unless it is
 * TAKEN, @c is the caller's again; with WAIT the frame waits too, or it is gone, being too large.
 */
static enum virtio_next deliver(struct net_pair *p, const struct virtq_chain *c)
{
	struct virtq *ring = &p->rx->ring;
	const bool mergeable = __atomic_load_n(&p->vn->mergeable, __ATOMIC_RELAXED);
	struct virtq_chain cur = *c;
	uint16_t head[DELIVER_CHAINS];
	uint32_t part[DELIVER_CHAINS];
	gpa_t at[2] = { 0, 0 };
	unsigned count = 0;
	size_t off = 0;
	int r = 1;

	for (;;) {
		const uint32_t left = (uint32_t)(p->rx_waiting - off);

		head[count] = cur.head;
		part[count] = cur.in_len < left ? cur.in_len : left;
		if ((count == 0 && cur.in_len >= NET_HEADER && !find_num_buffers(&cur, at)) ||
		    virtq_write(ring, &cur, 0, p->rx_buffer + off, part[count]) < 0)
			r = -1;
		off += part[count++];
		if (r < 0 || off == p->rx_waiting)
			break;
		if (!mergeable || count == DELIVER_CHAINS || part[0] < NET_HEADER) {
			net_count(&p->n.rx_dropped, 1);
			p->rx_frames++;
			p->rx_waiting = 0;
			r = 0;
			break;
		}
		r = pop_more(ring, &cur);
		if (r <= 0)
			break;
	}
	if (r <= 0 || !set_num_buffers(p, at, count)) {
		unpop_rest(p, head, count);
		return r == 0 ? VIRTIO_WAIT : VIRTIO_BROKEN;
	}
	for (unsigned i = 0; i < count; i++)
		virtio_push(p->rx, head[i], part[i]);
	delivered(p, p->rx_waiting);
	p->rx_waiting = 0;
	return VIRTIO_TAKEN;
}

/* Something into rx_buffer. False: there is nothing. */
static bool fill_buffer(struct net_pair *p)
{
	const struct iovec iov = { p->rx_buffer, BUFFER };
	ssize_t n;

	if (p->answer_length > 0) {
		memcpy(p->rx_buffer, p->answer, p->answer_length);
		p->rx_waiting = p->answer_length;
		p->answer_length = 0;
		return true;
	}
	while (!p->rx_dry && !is_over(p)) {
		n = next_frame(p, &iov, 1);
		if (n == NET_AGAIN)
			poll_on(p);
		if (n == NET_AGAIN || n == ERR_WAIT)
			p->rx_dry = true;
		if (n > (ssize_t)BUFFER)
			net_count(&p->n.rx_dropped, 1);
		else if (n > 0) {
			p->rx_waiting = (size_t)n;
			return true;
		}
	}
	return false;
}

static enum virtio_next receive_slow(struct net_pair *p, uint16_t head)
{
	while (p->rx_waiting > 0 || fill_buffer(p)) {
		struct virtq_chain c;
		enum virtio_next r;

		/* Walked once more: others may have been popped since, and given back. */
		if (virtq_again(&p->rx->ring, head, &c) < 0)
			return VIRTIO_BROKEN;
		r = deliver(p, &c);
		if (r != VIRTIO_WAIT || p->rx_waiting > 0)
			return r;
	}
	if (!p->rx_dry)
		loop_post(p->loop, &p->wake); /* the turn is over */
	return VIRTIO_WAIT;
}

/* ---- the fast way ---- */

static bool add_chain(struct net_pair *p, const struct virtq_chain *c)
{
	struct rx_chain *r = &p->chain[p->chain_count];
	int n;

	if (!find_num_buffers(c, r->num_buffers_at))
		return false;
	n = virtq_iov(&p->rx->ring, c, true, 0, c->in_len, p->iov + p->iov_count,
		      (int)(GATHER_VECTORS - p->iov_count), &r->span);
	if (n < 0)
		return false;
	r->head = c->head;
	r->length = c->in_len;
	r->iov_count = (uint16_t)n;
	p->chain_count++;
	p->iov_count += (unsigned)n;
	p->gathered += c->in_len;
	return true;
}

/* Chains until a frame of the size that is expected has room. False: it has not. */
static bool gather(struct net_pair *p)
{
	const uint32_t need = __atomic_load_n(&p->vn->need, __ATOMIC_RELAXED);
	const bool mergeable = __atomic_load_n(&p->vn->mergeable, __ATOMIC_RELAXED);
	const uint32_t want = mergeable && p->rx_want < need ? p->rx_want : need;

	while (p->chain_count == 0 ||
	       (p->gathered < want && mergeable && p->chain_count < GATHER_CHAINS)) {
		struct virtq_chain c;

		if (virtq_pop(&p->rx->ring, &c) <= 0)
			return false; /* a broken ring is so for the next who pops, too */
		if (!add_chain(p, &c)) {
			virtq_unpop(&p->rx->ring, &c);
			return false;
		}
	}
	return p->gathered >= want;
}

/* Back into the ring, the last first; the first of all is the caller's if it is still there. */
static void give_back(struct net_pair *p, bool first_used)
{
	for (unsigned i = p->chain_count; i > 0; i--) {
		gmem_span_end(memory(p), &p->chain[i - 1].span);
		if (i > 1 || first_used)
			unpop(p, p->chain[i - 1].head);
	}
	p->chain_count = p->iov_count = p->gathered = 0;
}

/* A frame of @size bytes is in the first of the chains. False: the guest's memory is gone. */
static bool use_chains(struct net_pair *p, uint32_t size)
{
	unsigned count = 0, vectors = 0;
	uint32_t off = 0;

	while (off < size)
		off += p->chain[count++].length;
	if (!set_num_buffers(p, p->chain[0].num_buffers_at, count))
		return false;
	off = 0;
	for (unsigned i = 0; i < count; i++) {
		struct rx_chain *r = &p->chain[i];
		const uint32_t part = r->length < size - off ? r->length : size - off;

		virtio_push(p->rx, r->head, part);
		gmem_span_end(memory(p), &r->span);
		off += part;
		vectors += r->iov_count;
		p->gathered -= r->length;
	}
	p->chain_count -= count;
	p->iov_count -= vectors;
	memmove(p->chain, p->chain + count, p->chain_count * sizeof(*p->chain));
	memmove(p->iov, p->iov + vectors, p->iov_count * sizeof(*p->iov));
	delivered(p, size);
	return true;
}

/* More chains for a frame of @n bytes, whose end is in rx_buffer. 0: there are not enough. -1: broken. */
static int add_rest(struct net_pair *p, uint32_t n)
{
	struct virtq *ring = &p->rx->ring;

	while (p->gathered < n) {
		const uint32_t off = p->gathered;
		struct virtq_chain c;
		int r = p->chain_count < GATHER_CHAINS ? virtq_pop(ring, &c) : 0;

		if (r <= 0)
			return r;
		if (virtq_write(ring, &c, 0, p->rx_buffer + off,
				c.in_len < n - off ? c.in_len : n - off) < 0)
			r = -1;
		else if (!add_chain(p, &c))
			r = 0;
		if (r <= 0) {
			virtq_unpop(ring, &c);
			return r;
		}
	}
	return 1;
}

/* All of that frame into rx_buffer: what the driver has made of its part meanwhile is its own affair. False: broken. */
static bool wait_whole(struct net_pair *p, uint32_t n)
{
	struct virtq *ring = &p->rx->ring;
	uint32_t off = 0;

	for (unsigned i = 0; i < p->chain_count; i++) {
		const uint32_t left = n - off,
			       part = p->chain[i].length < left ? p->chain[i].length : left;
		struct virtq_chain c;

		if (virtq_again(ring, p->chain[i].head, &c) < 0 ||
		    virtq_read_in(ring, &c, 0, p->rx_buffer + off, part) < 0)
			return false;
		off += part;
	}
	p->rx_waiting = n;
	return true;
}

/* A frame is longer than the chains, by what is in rx_buffer. False: broken. */
static bool take_long(struct net_pair *p, uint32_t n, bool *used)
{
	const uint32_t need = __atomic_load_n(&p->vn->need, __ATOMIC_RELAXED);
	int r = 0;

	if (n > need || !__atomic_load_n(&p->vn->mergeable, __ATOMIC_RELAXED)) {
		net_count(&p->n.rx_dropped, 1);
		p->rx_frames++;
		return true;
	}
	p->rx_want = need;
	r = add_rest(p, n);
	if (r > 0 && use_chains(p, n)) {
		*used = true;
		return true;
	}
	p->rx_slow = true;
	return r == 0 && wait_whole(p, n);
}

static enum virtio_next receive_fast(struct net_pair *p, const struct virtq_chain *c)
{
	bool used = false, broken = false;

	p->rx_slow = !add_chain(p, c) || !gather(p);
	while (!p->rx_slow && !is_over(p) && !broken) {
		const uint32_t room = p->gathered;
		ssize_t n;

		p->iov[p->iov_count] =
			room < BUFFER ? (struct iovec){ p->rx_buffer + room, BUFFER - room }
				      : (struct iovec){ p->rx_buffer, 1 };
		n = next_frame(p, p->iov, (int)p->iov_count + 1);
		if (n == NET_AGAIN)
			poll_on(p);
		if (n == NET_AGAIN || n == ERR_WAIT) {
			p->rx_dry = true;
			break;
		}
		if (n > (ssize_t)room) {
			broken = !take_long(p, (uint32_t)n, &used);
		} else if (n > 0) {
			broken = !use_chains(p, (uint32_t)n);
			used = used || !broken;
		}
		if (n > 0 && !broken && !p->rx_slow)
			p->rx_slow = !gather(p);
	}
	give_back(p, used);
	if (used)
		return VIRTIO_TAKEN;
	if (broken)
		return VIRTIO_BROKEN;
	if (p->rx_slow)
		return receive_slow(p, c->head);
	if (!p->rx_dry)
		loop_post(p->loop, &p->wake);
	return VIRTIO_WAIT;
}

enum virtio_next net_receive(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_net *vn = net_of(q->v);
	struct net_pair *p = &vn->pair[q->index / 2];

	if (is_over(p)) {
		loop_post(p->loop, &p->wake);
		return VIRTIO_WAIT;
	}
	if (p->rx_waiting > 0 || p->answer_length > 0 || p->rx_slow || vn->net->copies)
		return receive_slow(p, c->head);
	if (p->rx_dry)
		return VIRTIO_WAIT;
	return receive_fast(p, c);
}
