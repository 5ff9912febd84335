/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c - write every variant's tables to files: DIR/<variant>/<signature>.aml
 * usage: dump DIR; prints a line per variant: name, removable slots, memory slots
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/acpi/facts.h"

#define TABLES_GPA 0xc0000ull

static int write_file(const char *dir, const char *name, const uint8_t *p, size_t n)
{
	char path[512];
	FILE *f;
	size_t done;

	(void)snprintf(path, sizeof(path), "%s/%.4s.aml", dir, name);
	f = fopen(path, "wb");
	if (f == NULL) {
		perror(path);
		return -1;
	}
	done = fwrite(p, 1, n, f);
	return fclose(f) == 0 && done == n ? 0 : -1;
}

static int dump(const char *dir, const struct variant *v)
{
	static struct facts_room room;
	struct acpi_facts f = facts_of(v, &room);
	struct sill_err e = { 0 };
	struct acpi_tables t;
	struct buf image;
	char path[256];
	int ret = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, v->name);
	if (mkdir(path, 0777) < 0) {
		perror(path);
		return -1;
	}
	buf_init(&image, 1 << 20);
	if (acpi_build(&t, &f, &e) < 0 || acpi_link_absolute(&t, TABLES_GPA, &image, &e) < 0) {
		fprintf(stderr, "%s: %s\n", v->name, e.msg);
		return -1;
	}
	for (unsigned i = 0; i < t.table_count; i++)
		if (write_file(path, t.table[i].sig, image.data + 64 + t.table[i].off,
			       t.table[i].size) < 0)
			ret = -1;
	printf("%s %d %u\n", v->name, f.hotplug_pci ? __builtin_popcount(f.removable) : 0,
	       f.memory_slots);
	acpi_tables_fini(&t);
	buf_fini(&image);
	return ret;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		if (dump(argv[1], &variants[i]) < 0)
			return 1;
	return 0;
}
