/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - what all virtio devices share: status, features, queues and who
 * runs them, reset, interrupts (virtio.c), and the PCI transport (virtio_pci.c).
 * Modern devices only (virtio 1.x).
 *
 * To add a device type: one file with a state struct that begins with a
 * struct virtio, a struct virtio_ops, and a struct dev_ops whose io, reset,
 * pause, resume, stop, drained, save and load are the virtio_* functions
 * below. Its init() calls virtio_init(), sets the queues' loops, and ends with
 * virtio_attach(); its fini() begins with virtio_detach(), after which nothing
 * of the device runs on any loop, and ends with virtio_fini().
 *
 * Who owns what
 *   The registers belong to the device's lock. The ring of a queue (struct
 *   virtq) belongs to the queue's runner, the thread of its loop, from the
 *   moment it has started the queue until the queue is quiesced: kicks,
 *   requests and completions take no lock. A queue is started by a task on its
 *   loop. It is stopped by whoever does not want it to run any more (reset,
 *   pause, unplug, broken ring, bus mastering off), under the lock: `halt` is
 *   set, and either the runner is not `active` and the queue is quiesced at
 *   once, or the runner sees the halt and says when it is. Nobody waits for a
 *   loop's thread that is doing something else.
 *
 *   A queue that is quiesced touches no guest memory: it may be saved, and
 *   memory may be taken away. Requests in hand by then are those that the type
 *   holds (virtio_hold()); a reset forgets them with the ring.
 *
 *   A type may lend a queue to somebody outside (struct virtio_ops, lend): from the
 *   start of the queue until it is told to halt its ring is that one's, which
 *   takes kicks and interrupts by eventfds. It is taken back by the queue's
 *   loop, which may take as long as what the other one is at, and is then quiesced.
 *
 * Reset
 *   The driver writes 0 to device_status; queues stop taking requests at once,
 *   what is in flight ends by itself, and only then status reads 0. A write
 *   to any register of a device that is still quiescing waits for that: a
 *   driver that does not poll is right all the same.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_H
#define DEVICES_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/msix.h"
#include "bus/pci.h"
#include "devices/dev.h"
#include "devices/virtio/virtq.h"

/* Device types, virtio 1.2, 5. */
enum {
	VIRTIO_NET = 1,
	VIRTIO_BLK = 2,
	VIRTIO_CONSOLE = 3,
	VIRTIO_RNG = 4,
	VIRTIO_BALLOON = 5,
	VIRTIO_VSOCK = 19,
	VIRTIO_MEM = 24,
};

/* Feature bits that are not of one type, virtio 1.2, 6. */
enum { VIRTIO_F_INDIRECT_DESC = 28, VIRTIO_F_EVENT_IDX = 29, VIRTIO_F_VERSION_1 = 32 };

/* device_status, virtio 1.2, 2.1. */
enum {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

/* Registers' place in BAR 0; the driver learns it from the capabilities. */
enum {
	VIRTIO_BAR = 0,
	VIRTIO_BAR_SIZE = 0x8000,
	VIRTIO_COMMON = 0x0000, /* struct virtio_pci_common_cfg, 64 bytes */
	VIRTIO_ISR = 0x1000,
	VIRTIO_CONFIG = 0x2000,
	VIRTIO_NOTIFY = 0x3000, /* 4 bytes a queue: all in one page */
	VIRTIO_MSIX = 0x4000,
	VIRTIO_PBA = 0x5000,
	VIRTIO_COMMON_SIZE = 64,
	VIRTIO_NOTIFY_STRIDE = 4,
	VIRTIO_NO_VECTOR = 0xffff,
};

struct virtio;
struct virtio_queue;

/*
 * A request that was put aside by virtio_hold(): in hand, and nothing of it is
 * under way. It is known by its place in the ring alone, so that it can be saved,
 * and memory may come and go meanwhile.
 */
struct virtio_held {
	uint16_t head;
	bool lost; /* the type's word to its own again() */
};

/* What became of a request. */
enum virtio_next {
	VIRTIO_TAKEN, /* it is, or will be, pushed */
	VIRTIO_WAIT, /* not now: it stays in the ring until virtio_run(), or the next kick if there is one */
	VIRTIO_BROKEN, /* it is malformed beyond an answer: the device needs a reset */
};

struct virtio_ops {
	/* One chain popped from @q, on the queue's loop, no lock held. */
	enum virtio_next (*request)(struct virtio_queue *q, const struct virtq_chain *c);

	/*
	 * Of a type that uses virtio_hold(), likewise: a request that was put aside before the queue
	 * was last started. It is walked anew; never VIRTIO_WAIT.
	 */
	enum virtio_next (*again)(struct virtio_queue *q, const struct virtq_chain *c, bool lost);

	/*
	 * Optional, likewise: around a turn. What request() has gathered is under
	 * way, or done and pushed, when unplug() returns.
	 */
	void (*plug)(struct virtio_queue *q);
	void (*unplug)(struct virtio_queue *q);

	/*
	 * Optional, on the queue's loop with the device's lock held. lend(): the ring stands, at
	 * q->ring.last_avail, and nothing is in hand; true: somebody else serves it from here on, takes
	 * kicks by q->kick_fd and interrupts by @call_fd. aim(): interrupts go by another one, when it returns;
	 * on any thread. reclaim(): nobody serves it any more; returns where in the ring we go on.
	 */
	bool (*lend)(struct virtio_queue *q, int call_fd);
	void (*aim)(struct virtio_queue *q, int call_fd);
	uint16_t (*reclaim)(struct virtio_queue *q);

	/* The rest is optional and comes under the device's lock. */
	void (*driver_ok)(struct virtio *v);    /* features are negotiated, nothing runs yet */
	void (*driver_reset)(struct virtio *v); /* nothing runs any more */
	/* A reset or the end begins: what the type holds back is to end by itself from here on. */
	void (*give_up)(struct virtio *v);
	/* The driver has written into the configuration space. */
	enum io_result (*config_write)(struct virtio *v, const struct io *io);
	/* The type's own state, inside the device's record; nothing is under way. */
	void (*save)(struct virtio *v, struct saver *s);
	void (*load)(struct virtio *v, struct loader *l);
};

/* What a device type says about itself; borrowed for virtio_init(). */
struct virtio_spec {
	const struct virtio_ops *ops;
	uint16_t type;
	uint32_t class_code;
	uint16_t queue_count;
	uint16_t queue_size; /* the largest; power of two */
	uint64_t features;   /* VERSION_1, INDIRECT_DESC and EVENT_IDX are added */
	const void *config;  /* borrowed for good: the configuration space as the driver reads it */
	uint16_t config_size;
};

struct virtio_queue {
	struct virtio *v;
	struct loop *loop; /* borrowed: the runner; the main loop unless the type says otherwise */
	uint16_t index;
	int kick_fd; /* owned eventfd */
	/* Of a type with lend(): */
	int call_fd; /* owned eventfd, -1: none. Interrupts that cannot go straight to the guest */
	struct loop_fd call;
	/* The runner's. */
	struct virtq ring;
	struct loop_fd kick;
	struct loop_task start;
	struct loop_watch watch;  /* of a loop that looks */
	bool waits;               /* the request at the head of the ring, for virtio_run() */
	bool in_run;              /* inside virtio_run() */
	bool in_hand;             /* something is under way outside of it */
	bool again;               /* just started: what is held is tried again */
	struct virtio_held *held; /* owned; room for all of a ring, when the type has again() */
	uint16_t held_count;
	/* Under the device's lock. */
	bool started; /* the ring is set up; kept over pauses */
	bool running; /* started, and not known to be quiesced: guest memory may be touched */
	bool enabled;
	bool lent;    /* written by the runner: somebody else has the ring */
	int aimed_fd; /* by which that one interrupts */
	uint16_t size;
	gpa_t desc, avail, used;
	/* Atomic. */
	bool halt;   /* set under the lock: begin nothing any more */
	bool active; /* set by the runner: in_run or in_hand */
	uint16_t vector;
};

/* First member of a type's state. All under the device's lock unless it says otherwise. */
struct virtio {
	struct dev *dev; /* borrowed */
	const struct virtio_ops *ops;
	struct virtio_queue *queue; /* owned; queue_count of them */
	uint16_t queue_count, queue_max;
	uint64_t offered;  /* constant */
	uint64_t features; /* negotiated; constant while a queue runs */
	uint64_t driver_features;
	uint32_t device_select, driver_select;
	uint16_t queue_select;
	uint8_t status, generation, isr;
	bool lends; /* constant, set by the type before attach(): ops->lend() is to be asked */
	bool resetting, paused, stopped, master, intx_off;
	bool config_is_news; /* loaded, and the driver has read another: it is told when the machine goes on */
	uint64_t config_seen; /* hash of that other one */
	bool attached;        /* on the bus (main loop) */
	uint16_t config_vector;
	pthread_cond_t settled; /* resetting has become false */
	const uint8_t *config;  /* borrowed */
	uint16_t config_size;
	bool msix_on; /* atomic: a copy of msix.enabled */
	struct msix msix;
	struct pci_func func;   /* under the bus lock */
	uint8_t window;         /* offset of the PCI_CFG capability */
	struct doorbell *bells; /* owned */
};

int virtio_init(struct virtio *v, struct dev *d, const struct virtio_spec *spec,
		struct sill_err *e) MUST_CHECK;
/* The last step of init(): from here on the guest sees the device. */
int virtio_attach(struct virtio *v, int slot, struct sill_err *e) MUST_CHECK;
/* Take it off the bus and wait until no vCPU is inside. */
void virtio_detach(struct virtio *v);
void virtio_fini(struct virtio *v); /* accepts a zeroed one */
/* Of a device whose state begins with a struct virtio: what is, or was, on the bus. */
struct pci_func *virtio_func(struct dev *d);

/*
 * It is stopped and drained, and about to be unplugged: what a pause has held fails, so that a
 * driver that waits for it gets an error.
 */
void virtio_fail_held(struct dev *d);

/* What its queues wait for may have changed: they look again, each on its thread. Any thread. */
void virtio_look_again(struct dev *d);

/* For struct dev_ops. d->state begins with the struct virtio. */
enum io_result virtio_io(struct dev *d, unsigned region, struct io *io);
void virtio_reset(struct dev *d);
void virtio_pause(struct dev *d);
void virtio_resume(struct dev *d);
void virtio_stop(struct dev *d);
bool virtio_drained(struct dev *d);
int virtio_save(struct dev *d, struct saver *s);
int virtio_load(struct dev *d, struct loader *l, struct sill_err *e);

/* What is so in the struct dev_ops of every type. A reset is a type's own where it has something to reset. */
#define VIRTIO_DEV_OPS                                                                        \
	.io = virtio_io, .pause = virtio_pause, .resume = virtio_resume, .stop = virtio_stop, \
	.drained = virtio_drained, .save = virtio_save, .load = virtio_load

static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
	return (v->features >> feature & 1) != 0;
}

/* For a queue's runner, on its loop's thread, no lock held. */

/* Look at the ring again: what made a request wait is over. Does nothing while the queue is stopped. */
void virtio_run(struct virtio_queue *q);
/*
 * Put a request aside until the queue is started again, which a pause and its end do. Followed by
 * virtio_flush(), like a push. False: a reset or the end has begun; then it is to be pushed.
 */
bool virtio_hold(struct virtio_queue *q, uint16_t head, bool lost) MUST_CHECK;
/* A request is done. The driver sees it at the next virtio_flush(). */
void virtio_push(struct virtio_queue *q, uint16_t head, uint32_t written);
/*
 * Show what was pushed, interrupt if wanted. Called by the frame when the ring
 * is empty; a type calls it for completions that come at other times.
 */
void virtio_flush(struct virtio_queue *q);
/* Is so much pushed that it is shown without waiting for more? */
static inline bool virtio_is_full(const struct virtio_queue *q)
{
	return virtq_unpublished(&q->ring) >= LOOP_PORTION;
}

/* Stop a queue and start it again, which asks lend() anew; the device's lock is held. */
void virtio_restart(struct virtio_queue *q);
/* The ring breaks the rules, as somebody else says who serves it. The queue's loop, no lock held. */
void virtio_break(struct virtio_queue *q, const char *why);

/* The configuration space has changed; the device's lock is held. */
void virtio_config_changed(struct virtio *v);

#endif
