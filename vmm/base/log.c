/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - one writer for all threads: each line is built first and written by one call. */
#include "base/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "sill/vm.h"

enum { BUCKET_SIZE = 5 };
static const uint64_t BUCKET_REFILL_NS = 10ull * 1000 * 1000 * 1000;

static FILE *sink; /* NULL: stderr */
static int threshold = LOG_INFO;
static unsigned unwritten; /* atomic: lines that found no room */
static pthread_mutex_t bucket_mutex = PTHREAD_MUTEX_INITIALIZER;

void sill_log_to(FILE *f, int level)
{
	sink = f;
	threshold = level;
}

bool log_wants(enum log_level level)
{
	return (int)level <= threshold;
}

static void PRINTF(3, 0) emit(enum log_level level, const char *who, const char *fmt, va_list ap)
{
	static const char *const name[] = { "error", "warn", "info", "debug" };
	FILE *f = sink != NULL ? sink : stderr;
	struct pollfd room = { .fd = fileno(f), .events = POLLOUT };
	const char *end;
	unsigned lost;
	char line[512];
	int n, m;

	n = snprintf(line, sizeof(line), "sill: %s: %s%s", name[level], who != NULL ? who : "",
		     who != NULL ? ": " : "");
	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	m = vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	if (m < 0)
		return;
	clean_text(line, sizeof(line));
	/* A pipe that nobody empties must not keep a vCPU waiting. */
	if (room.fd >= 0 && poll(&room, 1, 0) == 0) {
		(void)__atomic_add_fetch(&unwritten, 1, __ATOMIC_RELAXED);
		return;
	}
	/* A terminal in raw mode does not turn a newline into a new line. */
	end = f == stderr && isatty(STDERR_FILENO) == 1 ? "\r\n" : "\n";
	lost = __atomic_exchange_n(&unwritten, 0, __ATOMIC_RELAXED);
	if (lost > 0)
		fprintf(f, "sill: warn: %u lines could not be written here%s", lost, end);
	fprintf(f, "%s%s", line, end);
	(void)fflush(f);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	emit(level, NULL, fmt, ap);
	va_end(ap);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* A place in the bucket, and in @ret_dropped how many lines have found none since the last that did. */
static bool bucket_take(struct log_bucket *b, uint32_t *ret_dropped)
{
	const uint64_t now = now_ns();
	bool fits;

	(void)pthread_mutex_lock(&bucket_mutex);
	if (b->last_ns == 0)
		b->last_ns = now;
	while (b->used > 0 && now - b->last_ns >= BUCKET_REFILL_NS) {
		b->used--;
		b->last_ns += BUCKET_REFILL_NS;
	}
	if (b->used == 0)
		b->last_ns = now;
	fits = b->used < BUCKET_SIZE;
	if (fits) {
		b->used++;
		*ret_dropped = b->dropped;
		b->dropped = 0;
	} else {
		b->dropped++;
	}
	(void)pthread_mutex_unlock(&bucket_mutex);
	return fits;
}

static void say_dropped(enum log_level level, const char *who, uint32_t dropped)
{
	if (dropped > 0)
		log_line(level, "%s: %u more like these were not logged", who, dropped);
}

static void PRINTF(4, 0) log_guest_va(struct log_bucket *b, enum log_level level, const char *who,
				      const char *fmt, va_list ap)
{
	uint32_t dropped = 0;

	if (!log_wants(level) || !bucket_take(b, &dropped))
		return;
	say_dropped(level, who, dropped);
	emit(level, who, fmt, ap);
}

void log_guest(struct log_bucket *b, const char *who, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_guest_va(b, LOG_WARN, who, fmt, ap);
	va_end(ap);
}

void log_guest_at(struct log_bucket *b, enum log_level level, const char *who, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_guest_va(b, level, who, fmt, ap);
	va_end(ap);
}

void log_guest_end(struct log_bucket *b, enum log_level level, const char *who)
{
	uint32_t dropped;

	if (!log_wants(level))
		return;
	(void)pthread_mutex_lock(&bucket_mutex);
	dropped = b->dropped;
	b->dropped = 0;
	(void)pthread_mutex_unlock(&bucket_mutex);
	say_dropped(level, who, dropped);
}

char *log_escape(char *dst, size_t size, const void *src, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = src;
	size_t out = 0;

	if (size == 0)
		return dst;
	for (size_t i = 0; i < n; i++) {
		bool plain = s[i] >= 0x20 && s[i] < 0x7f && s[i] != '\\';
		size_t need = plain ? 1 : 4;

		if (out + need + 4 > size) {
			(void)snprintf(dst + out, size - out, "...");
			return dst;
		}
		if (plain) {
			dst[out++] = (char)s[i];
		} else {
			dst[out++] = '\\';
			dst[out++] = 'x';
			dst[out++] = hex[s[i] >> 4];
			dst[out++] = hex[s[i] & 15];
		}
	}
	dst[out] = '\0';
	return dst;
}
