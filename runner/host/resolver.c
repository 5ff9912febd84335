/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - see resolver.h. The format is that of resolv.conf(5), read as libc does. */
#include "runner/host/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 16384 };

static bool has(const struct resolvers *r, uint32_t address)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->list[i] == address)
			return true;
	return false;
}

/* 127.0.0.53, and 0.0.0.0, which is this host as well. */
static bool is_local(uint32_t address)
{
	return address >> 24 == 127 || address == 0;
}

static void add(struct resolvers *r, const char *text)
{
	struct in_addr in;
	uint32_t address;

	if (strcmp(text, "::1") == 0)
		r->local = true;
	if (inet_pton(AF_INET, text, &in) != 1)
		return;
	address = ntohl(in.s_addr);
	if (is_local(address))
		r->local = true;
	else if (r->count < RESOLVERS_MAX && !has(r, address))
		r->list[r->count++] = address;
}

void resolvers_parse(struct resolvers *r, const char *text)
{
	*r = (struct resolvers){ 0 };
	while (*text != '\0') {
		const size_t n = strcspn(text, "\n");
		char line[128] = "", word[64];

		memcpy(line, text, n < sizeof(line) ? n : sizeof(line) - 1);
		if (sscanf(line, "nameserver%*1[ \t]%63s", word) == 1)
			add(r, word);
		text += n + (text[n] == '\n');
	}
}

static void read_one(struct resolvers *r, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[FILE_MAX];
	ssize_t n = 0, got = 1;

	for (; fd >= 0 && got > 0; n += got > 0 ? got : 0)
		got = read(fd, text + n, sizeof(text) - 1 - (size_t)n);
	if (fd >= 0)
		(void)close(fd);
	text[n] = '\0';
	resolvers_parse(r, text);
}

void resolvers_read(struct resolvers *r, const char *conf, const char *upstream)
{
	read_one(r, conf);
	if (r->count == 0 && r->local) {
		read_one(r, upstream);
		r->local = true;
	}
}
