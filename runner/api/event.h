/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - what happened to the VM, for programs: one JSON object an event.
 *
 *   {"timestamp":{"secs":1,"nanos":20},"source":"vm","event":"booted","properties":null}
 *
 * The shape, and the names where it has one, are those of Cloud Hypervisor's event monitor. Time runs from
 * events_create(). The last EVENTS_KEPT are kept for who asks; a file gets each as a line, a monitor as an
 * indented object. Neither is waited for. Any thread.
 */
#ifndef RUNNER_API_EVENT_H
#define RUNNER_API_EVENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/error.h"

enum {
	EVENTS_KEPT = 512,
	EVENTS_FILE = 4 << 20, /* bytes; then it begins anew: a guest causes as many as it likes */
	EVENT_MAX = 1024,      /* bytes of a line with its newline */
};

struct events;

/* NULL: no memory. */
struct events *events_create(void);
void events_destroy(struct events *ev);
/* Takes @fd, non-blocking from here on. */
void events_set_file(struct events *ev, int fd);
void events_set_monitor(struct events *ev, int fd);
/* An eventfd, borrowed, that is written to with each event; -1: none. */
void events_set_wake(struct events *ev, int fd);

/* @take_properties: an object, or NULL. */
void events_add(struct events *ev, const char *source, const char *event, json_t *take_properties);
/* The number of the next one. */
uint64_t events_next(struct events *ev);
/*
 * Lines from number *@at on into @dst, as many whole ones as @size bytes hold; *@at is the next one's. What
 * is no longer kept is one line, "events-lost". Returns the number of bytes. 0 is where to begin.
 */
size_t events_read(struct events *ev, uint64_t *at, char *dst, size_t size);

#endif
