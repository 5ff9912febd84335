/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - see resolver.h. The format is that of resolv.conf(5), read as libc does. */
#include "runner/host/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
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

static bool has6(const struct resolvers *r, const struct in6_addr *a)
{
	for (unsigned i = 0; i < r->count6; i++)
		if (memcmp(r->list6[i], a, sizeof(*a)) == 0)
			return true;
	return false;
}

static void add6(struct resolvers *r, const struct in6_addr *a)
{
	if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a))
		r->local = true;
	else if (r->count6 < RESOLVERS_MAX && !IN6_IS_ADDR_LINKLOCAL(a) && !has6(r, a))
		memcpy(r->list6[r->count6++], a, sizeof(*a));
}

static void add(struct resolvers *r, const char *text)
{
	struct in6_addr six;
	struct in_addr in;
	uint32_t address;

	if (inet_pton(AF_INET6, text, &six) == 1)
		add6(r, &six);
	if (inet_pton(AF_INET, text, &in) != 1)
		return;
	address = ntohl(in.s_addr);
	if (is_local(address))
		r->local = true;
	else if (r->count < RESOLVERS_MAX && !has(r, address))
		r->list[r->count++] = address;
}

/* The address on the next line that has one, and @text goes on behind it. False: there is none. */
static bool next_server(const char **text, char word[64])
{
	while (**text != '\0') {
		const size_t n = strcspn(*text, "\n");
		char line[128] = "";

		memcpy(line, *text, n < sizeof(line) ? n : sizeof(line) - 1);
		*text += n + ((*text)[n] == '\n');
		if (sscanf(line, "nameserver%*1[ \t]%63s", word) == 1)
			return true;
	}
	return false;
}

void resolvers_parse(struct resolvers *r, const char *text)
{
	char word[64];

	*r = (struct resolvers){ 0 };
	while (next_server(&text, word))
		add(r, word);
}

/* "fe80::1%eth0" too: an address of a link means nothing without the link. */
static bool read_six(const char *word, struct sockaddr_in6 *ret)
{
	char address[64];
	const size_t n = strcspn(word, "%");

	(void)snprintf(address, sizeof(address), "%.*s", (int)n, word);
	if (inet_pton(AF_INET6, address, &ret->sin6_addr) != 1)
		return false;
	if (word[n] == '%')
		ret->sin6_scope_id = if_nametoindex(word + n + 1);
	return ret->sin6_scope_id != 0 || !IN6_IS_ADDR_LINKLOCAL(&ret->sin6_addr);
}

void upstreams_parse(struct upstreams *r, const char *text)
{
	char word[64];

	*r = (struct upstreams){ 0 };
	while (r->count < RESOLVERS_MAX && next_server(&text, word)) {
		struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(53) };
		struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
		struct upstream *u = &r->list[r->count];

		if (inet_pton(AF_INET, word, &four.sin_addr) == 1) {
			memcpy(&u->at, &four, sizeof(four));
			u->size = sizeof(four);
			r->count++;
		} else if (read_six(word, &six)) {
			memcpy(&u->at, &six, sizeof(six));
			u->size = sizeof(six);
			r->count++;
		}
	}
}

/* All that fits. */
static void read_text(const char *path, char text[FILE_MAX])
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = 0, got = 1;

	for (; fd >= 0 && got > 0; n += got > 0 ? got : 0)
		got = read(fd, text + n, FILE_MAX - 1 - (size_t)n);
	if (fd >= 0)
		(void)close(fd);
	text[n] = '\0';
}

void upstreams_read(struct upstreams *r, const char *conf)
{
	char text[FILE_MAX];

	read_text(conf, text);
	upstreams_parse(r, text);
}

static void read_one(struct resolvers *r, const char *path)
{
	char text[FILE_MAX];

	read_text(path, text);
	resolvers_parse(r, text);
}

void resolvers_read(struct resolvers *r, const char *conf, const char *upstream)
{
	struct resolvers up;

	read_one(r, conf);
	if (r->count > 0 || !r->local)
		return;
	read_one(&up, upstream);
	memcpy(r->list, up.list, sizeof(r->list));
	r->count = up.count;
	for (unsigned i = 0; i < up.count6; i++) {
		struct in6_addr a;

		memcpy(&a, up.list6[i], sizeof(a));
		add6(r, &a);
	}
}
