/* SPDX-License-Identifier: Apache-2.0 */
/* play_kit.h - programs that play others: scripts in a directory at the head of PATH. */
#ifndef TESTS_UNIT_PLAY_KIT_H
#define TESTS_UNIT_PLAY_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char play_dir[] = "/tmp/sill-play.XXXXXX", play_path[4096]; /* PATH as it was */

/* A program by the name of @tool; NULL: there is none of ours in PATH. */
static inline void play_tool(const char *tool, const char *script)
{
	char name[64], all[sizeof(play_path) + 64];
	FILE *f;

	(void)snprintf(name, sizeof(name), "%s/%s", play_dir, tool);
	(void)unlink(name);
	(void)snprintf(all, sizeof(all), "%s:%s", play_dir, play_path);
	assert_int_equal(setenv("PATH", all, 1), 0);
	if (script == NULL)
		return;
	f = fopen(name, "we");
	assert_non_null(f);
	assert_true(fprintf(f, "#!/bin/sh\n%s\n", script) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, 0700), 0);
}

/* The group's set-up; what is left in the directory fails the tear-down. */
static inline int play_set_up(void **state)
{
	const char *was = getenv("PATH");

	(void)state;
	(void)snprintf(play_path, sizeof(play_path), "%s", was != NULL ? was : "/usr/bin:/bin");
	return mkdtemp(play_dir) != NULL ? 0 : -1;
}

static inline int play_tear_down(void **state)
{
	(void)state;
	return rmdir(play_dir);
}

#endif
