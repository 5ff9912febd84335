/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mux.h - a guest's vsock connections and their host ends, which are UNIX stream
 * sockets, as Cloud Hypervisor and Firecracker have them:
 *
 *   a program of the host connects to the listening socket, writes "CONNECT PORT\n"
 *   (decimal) and reads "OK PORT\n" when the guest has accepted; a refusal is the end
 *   of the connection. What follows is the stream.
 *   when the guest connects to PORT of the host, whoever owns the mux says where that
 *   leads (a socket called as the listening one with "_PORT" behind); nowhere: refused.
 *
 * Packets are those of virtio 1.2, 5.10.6, streams only, in host byte order. Each
 * connection has a window of VSOCK_WINDOW bytes for what the guest sends and the host
 * has not taken yet; a guest that sends more is reset. What the host sends stays
 * in its socket until the guest has room. At most VSOCK_CONNECTIONS; when all are in
 * use, one that waits for a greeting, or for the guest's last word, gives way.
 *
 * One thread: the loop's, except create and destroy. Nothing blocks.
 */
#ifndef BACKEND_VSOCK_MUX_H
#define BACKEND_VSOCK_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct loop;
struct vsock_mux;

enum {
	VSOCK_CONNECTIONS = 256,   /* each has a descriptor and at most a window of memory */
	VSOCK_WINDOW = 256 * 1024, /* as large as Linux' own */
	VSOCK_PACKET = 64 * 1024,  /* data of one packet; no driver sends more */
	VSOCK_HOST = 2,            /* the host's CID, virtio 1.2, 5.10.4 */
	VSOCK_STREAM = 1,          /* type */
};

/* virtio 1.2, 5.10.6 */
enum vsock_op {
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE = 2,
	VSOCK_RST = 3,
	VSOCK_SHUTDOWN = 4,
	VSOCK_RW = 5,
	VSOCK_CREDIT_UPDATE = 6,
	VSOCK_CREDIT_REQUEST = 7,
};

/* Flags of VSOCK_SHUTDOWN: who sends it will receive, or send, no more. */
enum { VSOCK_NO_RECEIVE = 1, VSOCK_NO_SEND = 2 };

struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len; /* of the data behind it */
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt; /* the sender's window, and what it has taken from it so far */
};

struct vsock_mux_config {
	const char *id; /* borrowed, for the log */
	uint32_t cid;   /* the guest's */
	int listen_fd;  /* taken, also on failure; non-blocking */
	/*
	 * The guest wants @port of the host: a connected, non-blocking stream socket, which is taken; -1:
	 * refused. Shall not block. NULL: all are.
	 */
	int (*connect)(void *ctx, uint32_t port);
	void *connect_ctx;
	struct loop *loop; /* borrowed */
	/* There is something to give where there was nothing. */
	void (*wake)(void *ctx);
	void *wake_ctx;
};

/* Before the loop runs, or on its thread. NULL: @e. */
struct vsock_mux *vsock_mux_create(const struct vsock_mux_config *c, struct sill_err *e);
void vsock_mux_destroy(struct vsock_mux *m); /* accepts NULL; likewise */

/* The guest knows of no connection any more: all of them end. */
void vsock_mux_reset(struct vsock_mux *m);

/* May the guest send? Not while it owes us room for so many answers. */
bool vsock_mux_can_take(const struct vsock_mux *m);
/* A packet of the guest's, anything may be in it; @data has @h->len bytes. NULL: it has not got that much. */
void vsock_mux_take(struct vsock_mux *m, const struct vsock_header *h, const void *data);

/* Is there something for the guest? It may turn out that there is not. */
bool vsock_mux_has(const struct vsock_mux *m);
/* The next packet for the guest with at most @room, which is not 0, bytes of data. False: there is none. */
bool vsock_mux_give(struct vsock_mux *m, struct vsock_header *ret, void *data,
		    uint32_t room) MUST_CHECK;

/* Connections there are. */
unsigned vsock_mux_count(const struct vsock_mux *m);

#endif
