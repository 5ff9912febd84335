/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection of the control API: what has come, and what is to be sent. The server's thread.
 *
 * It reads while it has nothing to answer and nothing to send, one buffer at a time.
 */
#ifndef RUNNER_API_CLIENT_H
#define RUNNER_API_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/api/event.h"
#include "runner/api/http.h"
#include "runner/api/work.h"

enum { CLIENT_IN = 16 * 1024 };

/* Public struct. */
struct client {
	struct client *next;
	int fd;            /* owned; -1: it has hung up */
	uint32_t watched;  /* epoll's events */
	uint64_t deadline; /* ms; 0: none */
	bool moved;        /* something was sent, or is to be, since attend() looked */
	bool busy;         /* a worker has its request, */
	struct job *job;   /* which is borrowed; else NULL */
	bool stream;       /* it gets events */
	bool ended;        /* it sends nothing more */
	bool closing;      /* once all is sent */
	bool dead;
	struct http http;
	size_t in_off, in_size;
	char *out; /* owned */
	size_t out_off, out_size, out_room;
	uint64_t event;   /* the next one's number */
	int fds[API_FDS]; /* owned: came with the request */
	unsigned fd_count;
	char in[CLIENT_IN];
};

/* Takes @fd, unless it fails: NULL. */
struct client *client_create(int fd);
void client_destroy(struct client *c);

/* What to watch for. */
uint32_t client_wants(const struct client *c);
/* Something has happened to its socket: read, or send. */
void client_event(struct client *c, uint32_t events);
/* True: a request is whole, or bad. */
bool client_parse(struct client *c);
/* Is there anything to parse? */
bool client_can_parse(const struct client *c);
/* The request as a job; NULL: it was answered already. */
struct job *client_job(struct client *c, struct api *api);
/* Send what the job, which is freed, says. */
void client_answered(struct client *c, struct job *take_job);
/* Could it hear an answer now? */
bool client_is_there(const struct client *c);
/* A stream gets the events that there is room for. */
void client_feed(struct client *c, struct events *ev);
void client_end_stream(struct client *c, struct events *ev);
void client_flush(struct client *c);
void client_too_slow(struct client *c);

bool client_owes(const struct client *c);
bool client_is_slow_now(const struct client *c);
bool client_is_idle(const struct client *c);
bool client_is_over(const struct client *c);

#endif
