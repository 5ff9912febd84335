/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yamlread.c - the peer of tests/bench/validate: every *.yaml in a directory through libyaml's parser,
 * event by event, and nothing else.  usage: yamlread DIR
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* The number of events, or -1. */
static long read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	yaml_parser_t y;
	long count = 0;
	int end = 0;

	if (f == NULL || yaml_parser_initialize(&y) == 0)
		return -1;
	yaml_parser_set_input_file(&y, f);
	while (end == 0) {
		yaml_event_t ev;

		if (yaml_parser_parse(&y, &ev) == 0)
			return -1;
		end = ev.type == YAML_STREAM_END_EVENT;
		count++;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&y);
	(void)fclose(f);
	return count;
}

static int wanted(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && strcmp(dot, ".yaml") == 0;
}

int main(int argc, char **argv)
{
	struct dirent **list;
	long events = 0;
	int n = argc == 2 ? scandir(argv[1], &list, wanted, alphasort) : -1;

	for (int i = 0; i < n; i++) {
		char path[4096];
		long got;

		(void)snprintf(path, sizeof(path), "%s/%s", argv[1], list[i]->d_name);
		got = read_file(path);
		if (got < 0) {
			(void)fprintf(stderr, "yamlread: %s\n", path);
			return 1;
		}
		events += got;
	}
	(void)printf("%d files, %ld events\n", n, events);
	return n > 0 ? 0 : 1;
}
