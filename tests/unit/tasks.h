/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks.h - how many threads and descriptors this process has, for tests that
 * compare before and after. The test's own thread.
 */
#ifndef TESTS_UNIT_TASKS_H
#define TESTS_UNIT_TASKS_H

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASK_EXITING 0x4 /* PF_EXITING, in the ninth field of proc_pid_stat(5) */

/*
 * pthread_join() comes back when the thread has let go of its memory; the
 * kernel takes it out of the list a little later. It is marked by then.
 */
static inline bool task_lives(const char *tid)
{
	char path[64], text[512];
	const char *end = NULL;
	unsigned flags = TASK_EXITING;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", tid);
	f = fopen(path, "re");
	if (f != NULL && fgets(text, sizeof(text), f) != NULL)
		end = strrchr(text, ')'); /* of the name, which may hold anything */
	if (end != NULL)
		(void)sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
	if (f != NULL)
		(void)fclose(f);
	return (flags & TASK_EXITING) == 0;
}

static inline void *task_nothing(void *arg)
{
	return arg;
}

/* A sanitizer makes a thread for itself when the first one is made: let that be before it counts. */
static inline void task_first(void)
{
	static bool done;
	pthread_t t;

	if (!done && pthread_create(&t, NULL, task_nothing, NULL) == 0)
		done = pthread_join(t, NULL) == 0;
}

static inline unsigned tasks_alive(void)
{
	const struct dirent *entry;
	unsigned n = 0;
	DIR *d;

	task_first();
	d = opendir("/proc/self/task");
	while (d != NULL && (entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.' && task_lives(entry->d_name);
	if (d != NULL)
		(void)closedir(d);
	return n;
}

/* One more while this looks: compare, do not count on it. */
static inline unsigned files_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	if (d != NULL)
		(void)closedir(d);
	return n;
}

#endif
