/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - see event.h. A ring of lines under a mutex. */
#include "runner/api/event.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct events {
	pthread_mutex_t mutex;   /* the fields below; a leaf */
	char *line[EVENTS_KEPT]; /* owned, with newlines */
	uint64_t count;          /* how many there have been; the next one's number */
	int file_fd, monitor_fd; /* owned; -1: none */
	size_t file_size;
	int wake_fd;
	struct timespec start; /* constant */
};

struct events *events_create(void)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (ev == NULL)
		return NULL;
	ev->file_fd = ev->monitor_fd = ev->wake_fd = -1;
	(void)clock_gettime(CLOCK_MONOTONIC, &ev->start);
	(void)pthread_mutex_init(&ev->mutex, NULL);
	return ev;
}

void events_destroy(struct events *ev)
{
	if (ev == NULL)
		return;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(ev->line[i]);
	if (ev->file_fd >= 0)
		(void)close(ev->file_fd);
	if (ev->monitor_fd >= 0)
		(void)close(ev->monitor_fd);
	(void)pthread_mutex_destroy(&ev->mutex);
	free(ev);
}

/* A reader that is slow, or gone, loses events; the VM loses nothing. */
static int no_wait(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return fd;
}

void events_set_file(struct events *ev, int fd)
{
	(void)pthread_mutex_lock(&ev->mutex);
	ev->file_fd = no_wait(fd);
	(void)pthread_mutex_unlock(&ev->mutex);
}

void events_set_monitor(struct events *ev, int fd)
{
	(void)pthread_mutex_lock(&ev->mutex);
	ev->monitor_fd = no_wait(fd);
	(void)pthread_mutex_unlock(&ev->mutex);
}

void events_set_wake(struct events *ev, int fd)
{
	(void)pthread_mutex_lock(&ev->mutex);
	ev->wake_fd = fd;
	(void)pthread_mutex_unlock(&ev->mutex);
}

static json_t *make(const struct events *ev, const char *source, const char *event,
		    json_t *take_properties)
{
	struct timespec now;
	json_int_t secs, nanos;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	secs = now.tv_sec - ev->start.tv_sec;
	nanos = now.tv_nsec - ev->start.tv_nsec;
	if (nanos < 0) {
		nanos += 1000000000;
		secs--;
	}
	return json_pack("{s:{s:I,s:I},s:s,s:s,s:o}", "timestamp", "secs", secs, "nanos", nanos,
			 "source", source, "event", event, "properties",
			 take_properties != NULL ? take_properties : json_null());
}

static void put(int fd, const char *text, size_t n)
{
	if (fd >= 0 && write(fd, text, n) < 0 && errno == EINTR)
		(void)!write(fd, text, n);
}

/* With the mutex. @text is a whole line. */
static void keep(struct events *ev, char *take_text, size_t n)
{
	char **slot = &ev->line[ev->count % EVENTS_KEPT];
	const uint64_t one = 1;

	ev->file_size += n;
	if (ev->file_size > EVENTS_FILE && ftruncate(ev->file_fd, 0) == 0)
		ev->file_size = n;
	put(ev->file_fd, take_text, n);
	free(*slot);
	*slot = take_text;
	ev->count++;
	if (ev->wake_fd >= 0)
		put(ev->wake_fd, (const char *)&one, sizeof(one));
}

/* With the mutex: as its monitor writes it, an empty line behind each. */
static void monitor(struct events *ev, const json_t *o)
{
	char *text = ev->monitor_fd >= 0 ? json_dumps(o, JSON_INDENT(2)) : NULL;
	char *all = NULL;
	int n;

	if (text == NULL)
		return;
	n = asprintf(&all, "%s\n\n", text);
	if (n > 0)
		put(ev->monitor_fd, all, (size_t)n);
	if (n >= 0)
		free(all);
	free(text);
}

void events_add(struct events *ev, const char *source, const char *event, json_t *take_properties)
{
	json_t *o;
	char *text;

	(void)pthread_mutex_lock(&ev->mutex);
	o = make(ev, source, event, take_properties);
	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text != NULL && strlen(text) < EVENT_MAX) {
		char *line = NULL;
		const int n = asprintf(&line, "%s\n", text);

		if (n > 0)
			keep(ev, line, (size_t)n);
		monitor(ev, o);
	}
	(void)pthread_mutex_unlock(&ev->mutex);
	free(text);
	json_decref(o);
}

uint64_t events_next(struct events *ev)
{
	uint64_t n;

	(void)pthread_mutex_lock(&ev->mutex);
	n = ev->count;
	(void)pthread_mutex_unlock(&ev->mutex);
	return n;
}

size_t events_read(struct events *ev, uint64_t *at, char *dst, size_t size)
{
	size_t n = 0;

	(void)pthread_mutex_lock(&ev->mutex);
	if (ev->count - *at > EVENTS_KEPT && size >= EVENT_MAX) {
		const uint64_t first = ev->count - EVENTS_KEPT;

		n = (size_t)snprintf(dst, size,
				     "{\"source\":\"vmm\",\"event\":\"events-lost\",\"properties\":"
				     "{\"count\":%llu}}\n",
				     (unsigned long long)(first - *at));
		*at = first;
	}
	while (*at < ev->count && ev->count - *at <= EVENTS_KEPT) {
		const char *line = ev->line[*at % EVENTS_KEPT];
		const size_t length = strlen(line);

		if (length > size - n)
			break;
		memcpy(dst + n, line, length);
		n += length;
		(*at)++;
	}
	(void)pthread_mutex_unlock(&ev->mutex);
	return n;
}
