/* SPDX-License-Identifier: Apache-2.0 */
/* test_log.c - lines a guest can cause come out of a bucket, whatever their level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sill/vm.h"

enum { LINES = 1000, BUCKET = 5 };

struct sink {
	FILE *f;
	char *text;
	size_t n;
};

static void sink_open(struct sink *s, int level)
{
	*s = (struct sink){ 0 };
	s->f = open_memstream(&s->text, &s->n);
	assert_non_null(s->f);
	sill_log_to(s->f, level);
}

static void sink_close(struct sink *s)
{
	sill_log_to(NULL, LOG_INFO);
	assert_int_equal(fclose(s->f), 0);
	free(s->text);
}

static unsigned lines(struct sink *s)
{
	unsigned n = 0;

	assert_int_equal(fflush(s->f), 0);
	for (const char *p = s->text; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	return n;
}

static void log_guest__of_any_level_stops_after_a_few_lines(void **state)
{
	static const char *const name[] = { "error", "warn", "info", "debug" };

	(void)state;
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		struct log_bucket b = { 0 };
		char first[64];
		struct sink s;

		sink_open(&s, LOG_DEBUG);
		for (unsigned i = 0; i < LINES; i++)
			log_guest_at(&b, (enum log_level)level, "vm", "reset %u", i);
		assert_int_equal(lines(&s), BUCKET);
		(void)snprintf(first, sizeof(first), "sill: %s: vm: reset 0\n", name[level]);
		assert_memory_equal(s.text, first, strlen(first));
		sink_close(&s);
	}
}

static void log_guest__says_at_the_end_how_many_there_were(void **state)
{
	struct log_bucket b = { 0 };
	struct sink s;

	(void)state;
	sink_open(&s, LOG_INFO);
	for (unsigned i = 0; i < LINES; i++)
		log_guest_at(&b, LOG_INFO, "vm", "reset %u", i);
	log_guest_end(&b, LOG_INFO, "vm");
	assert_int_equal(lines(&s), BUCKET + 1);
	assert_non_null(strstr(s.text, "sill: info: vm: 995 more like these were not logged\n"));
	log_guest_end(&b, LOG_INFO, "vm"); /* said once */
	assert_int_equal(lines(&s), BUCKET + 1);
	sink_close(&s);
}

static void log_guest__what_nobody_wants_takes_no_place(void **state)
{
	struct log_bucket b = { 0 };
	struct sink s;

	(void)state;
	sink_open(&s, LOG_WARN);
	for (unsigned i = 0; i < LINES; i++)
		log_guest_at(&b, LOG_INFO, "vm", "reset %u", i);
	log_guest(&b, "vm", "odd");
	log_guest_end(&b, LOG_INFO, "vm");
	assert_int_equal(fflush(s.f), 0);
	assert_string_equal(s.text, "sill: warn: vm: odd\n");
	sink_close(&s);
}

/* A reader that has fallen asleep: a vCPU that logs must not wait for it. */
static void log_line__does_not_wait_for_a_reader(void **state)
{
	static char fill[1 << 16], got[sizeof(fill) + 1024];
	size_t n = 0;
	ssize_t r;
	int ends[2];
	FILE *f;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	f = fdopen(dup(ends[1]), "w");
	assert_non_null(f);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], fill, 4096) > 0)
		continue;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* whoever writes now waits */
	sill_log_to(f, LOG_INFO);
	for (unsigned i = 0; i < 3; i++)
		log_line(LOG_INFO, "lost");
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while (read(ends[0], got, sizeof(got)) > 0)
		continue;
	log_line(LOG_INFO, "seen");
	sill_log_to(NULL, LOG_INFO);
	while ((r = read(ends[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	got[n] = '\0';
	assert_string_equal(got, "sill: warn: 3 lines could not be written here\n"
				 "sill: info: seen\n");
	(void)fclose(f);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_guest__of_any_level_stops_after_a_few_lines),
		cmocka_unit_test(log_guest__says_at_the_end_how_many_there_were),
		cmocka_unit_test(log_guest__what_nobody_wants_takes_no_place),
		cmocka_unit_test(log_line__does_not_wait_for_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
