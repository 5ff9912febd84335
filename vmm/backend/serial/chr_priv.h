/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_priv.h - what the files of backend/serial share; nobody else includes it.
 *
 * chr.c owns the two rings and moves bytes between them and in_fd/out_fd. A
 * mode decides what those descriptors are, when there is somebody at the far
 * end, and what the end of a stream means. Everything a mode does happens on
 * the main loop.
 */
#ifndef BACKEND_SERIAL_CHR_PRIV_H
#define BACKEND_SERIAL_CHR_PRIV_H

#include "backend/serial/chr.h"
#include "backend/serial/ems.h"
#include "backend/serial/kd.h"
#include "base/attr.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"

/* How bytes leave. The zero value is the one that leaves nothing. */
enum out_kind {
	OUT_NONE,
	OUT_STREAM, /* a terminal or pipe, non-blocking: EAGAIN, then EPOLLOUT */
	OUT_SOCKET, /* a socket, whatever its flags */
	OUT_FILE,   /* a file or block device: never EAGAIN, cannot be watched */
};

/* Who looks after the bytes in the output ring; decides whether chr_write() must wake the loop. */
enum out_state {
	OUT_IDLE,  /* nobody: the ring is empty */
	OUT_SOON,  /* a flush is posted, or the coalescing timer runs */
	OUT_STUCK, /* the reader is slow or absent: EPOLLOUT or its arrival continues */
};

/* What we read ahead for a guest that is slow to take it; also the longest paste. */
enum { IN_BUFFER = 16 * 1024 };

/* Positions only grow; head - tail bytes are in it. */
struct ring {
	uint8_t *data;
	size_t size; /* power of two */
	uint64_t head, tail;
};

struct chr_mode {
	int (*open)(struct chr *c, struct sill_err *e); /* may be NULL */
	void (*close)(struct chr *c);                   /* may be NULL; also after a failed open */
	void (*in_ended)(struct chr *c, int error);     /* 0: end of file */
	void (*out_failed)(struct chr *c, int error);   /* not for OUT_FILE */
	/* Make room for @n more bytes; false: there is none, they are lost. May be NULL. */
	bool (*make_room)(struct chr *c, size_t n);
	/* All is written: wait until it has been read, if closing would lose it. May be NULL. */
	void (*linger)(struct chr *c, uint64_t deadline_ns);
	/* Of a mode that looks after its own descriptors, in place of all but open and close. */
	const struct chr_own *own;
};

struct chr_own {
	void (*flush)(struct chr *c);  /* pass on what is new in the output ring */
	void (*resume)(struct chr *c); /* there is room for input again */
	void (*drain)(struct chr *c, uint64_t deadline_ns); /* until all of it is passed on */
};

extern const struct chr_mode chr_null_mode, chr_file_mode, chr_tty_mode, chr_pty_mode,
	chr_socket_mode, chr_tcp_mode;

struct chr {
	const struct chr_mode *mode; /* borrowed */
	char *id;                    /* owned */
	struct loop *loop;           /* borrowed */
	struct log_bucket bucket;

	/* Main loop only. in_fd and out_fd are owned, never equal, -1 when there is none. */
	int in_fd, out_fd;
	enum out_kind out_kind;
	bool in_open;     /* the far end may still send */
	bool out_open;    /* the far end takes bytes */
	bool in_socket;   /* read with MSG_DONTWAIT */
	bool in_direct;   /* in_fd cannot be watched: a file, always ready */
	bool in_terminal; /* somebody's keyboard: read even when the guest takes nothing */
	bool in_away;     /* it is another job's for now; in_task looks again */
	struct loop_fd in, out;
	struct loop_task in_task, out_task, notify_task;
	struct loop_timer out_timer;

	sill_keys_fn keys;
	void *keys_ctx;

	/* tty: flags to restore on a description we share with our parent; -1: none */
	int in_flags, out_flags;
	/* pty */
	int notify_fd; /* owned: inotify on the other end; -1: none, then a timer */
	struct loop_fd notify;
	/* file: it has file_size bytes, and at most file_max; 0: no limit */
	uint64_t file_size, file_max;
	int (*next_file)(void *ctx);
	void *next_ctx;
	/* socket, tcp */
	int listen_fd; /* owned; -1: we dial */
	struct loop_fd listen;
	/* socket */
	struct hub *hub;  /* owned */
	uint64_t log_pos; /* out_fd is a log, or -1: up to here it has been written */
	bool log_in_line;
	/* tcp */
	int (*dial)(void *ctx);
	void *dial_ctx;
	int dial_fd; /* owned: on its way; -1: none */
	struct loop_fd dialled;
	uint64_t dial_ns; /* how long to wait before the next attempt */
	/* Of chr_write()'s caller: NULL: nobody looks for a bug check */
	chr_bug_fn bug_fn;
	void *bug_ctx;
	struct ems_line ems;
	/* pty, socket, tcp, and a terminal that is away */
	struct loop_timer retry;

	struct lock lock; /* RANK_BACKEND: all below */
	struct chr_user user;
	enum out_state out_state;
	bool in_paused; /* the input ring is full; chr_read() posts in_task */
	bool connected;
	bool got_break;
	uint64_t written; /* under the lock */
	uint64_t dropped; /* written under the lock, read with an atomic load */
	struct ring in_ring, out_ring;
	/*
	 * socket: the output ring is a history. Its tail moves only when it is full; each reader has a place of
	 * its own, and up to flushed all who can keep up have got it.
	 */
	bool is_history;
	uint64_t flushed;
	/* tcp, of a kernel debugger: both directions, and what was counted of them when its state began */
	bool is_kd;
	bool kd_spoken;  /* the guest has sent a packet since it began */
	uint8_t kd_held; /* of kd_debugger's head: its last bytes, which have not been passed on */
	struct kd_line kd_guest, kd_debugger;
	struct sill_kd_side kd_guest_was, kd_debugger_was;
	uint8_t *history; /* owned; NULL: out_data */
	uint8_t in_data[IN_BUFFER], out_data[CHAR_BUFFER];
};

/* Find out what in_fd and out_fd are; out_fd becomes a duplicate when they are equal. */
int chr_classify(struct chr *c, struct sill_err *e) MUST_CHECK;
int chr_set_nonblock(int fd, int *ret_old_flags) MUST_CHECK;
void chr_set_connected(struct chr *c, bool connected); /* and notify */
/* The far end is there: begin to read (as in_open says) and write. 0, or -1 with @e set. */
int chr_begin(struct chr *c, struct sill_err *e) MUST_CHECK;
/* Stop watching; neither reads nor writes any more. */
void chr_unwatch(struct chr *c);
/* Read what there is, as far as the ring takes it. */
void chr_pump(struct chr *c);
/* Take up to @n bytes of input. Those that there is no room for are the caller's still: resume() follows. */
size_t chr_push(struct chr *c, const uint8_t *p, size_t n) MUST_CHECK;

/* Of a history: up to @n bytes at *@pos, which moves behind them; @ret_lost: those it had to leave out. */
size_t chr_recall(struct chr *c, uint64_t *pos, uint8_t *dst, size_t n, uint64_t *ret_lost);
/* Where the line begins that is at the end, at most @max bytes back. */
uint64_t chr_last_line(struct chr *c, size_t max);
void chr_add_dropped(struct chr *c, uint64_t n);
/*
 * All is passed on up to @pos, to those who can take it; @alone: nobody is there, or can take more now. Then what the
 * guest writes is looked at once a second, to know when that was.
 */
void chr_flushed(struct chr *c, uint64_t pos, bool alone);
uint64_t chr_head(struct chr *c);

/* Room for @n bytes in a file that has a limit: in another file, or from the beginning. False: there is none. */
bool chr_file_room(struct chr *c, size_t n) MUST_CHECK;
/* @n bytes of the guest's into the output ring. True: the loop must be woken. */
bool chr_put_locked(struct chr *c, const uint8_t *src, size_t n) MUST_CHECK;
/* @n bytes of the far end's into the input ring, as far as there is room. */
void chr_take_locked(struct chr *c, const uint8_t *p, size_t n);
/* The same of a kernel debugger's port, which lets pass what chr_set_kd() tells. */
bool chr_kd_write_locked(struct chr *c, const uint8_t *p, size_t n) MUST_CHECK;
void chr_kd_take_locked(struct chr *c, const uint8_t *p, size_t n);
void chr_kd_comes_locked(struct chr *c); /* a debugger comes or goes */

/* Is what the guest writes a bug check? For who wants to hear of it: chr_set_bug(). */
void chr_look(struct chr *c, const uint8_t *p, size_t n);
/* write(2) without SIGPIPE and SIGXFSZ. */
ssize_t chr_write_quietly(int fd, const void *p, size_t n);
/* What is new into the log, if there is one. False: there is more. */
bool chr_log(struct chr *c) MUST_CHECK;

/* Listen, and call @fn when somebody is there; chr_accept() is then its descriptor, or -1. */
int chr_listen(struct chr *c, loop_fd_fn fn, struct sill_err *e) MUST_CHECK;
int chr_accept(struct chr *c) MUST_CHECK;
void chr_listen_end(struct chr *c);
/* The other side of this socket is gone altogether. */
bool chr_is_gone(int fd);

#endif
