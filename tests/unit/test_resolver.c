/* SPDX-License-Identifier: Apache-2.0 */
/* test_resolver.c - which of the host's name servers a guest may ask. */
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/resolver.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static void name_servers__are_those_of_resolv_conf(void **state)
{
	struct resolvers r;

	(void)state;
	resolvers_parse(&r, "# nameserver 9.9.9.9\ndomain x\nnameserver 10.0.0.1\n"
			    "nameserver\t10.0.0.2 # second\nnameserver fe80::1%eth0\n"
			    "nameserver 10.0.0.1\nnameservers 1.1.1.1\nnameserver nonsense\n"
			    "nameserver   10.0.0.3\nnameserver 10.0.0.4");
	assert_int_equal(r.count, 3);
	assert_int_equal(r.list[0], IP(10, 0, 0, 1));
	assert_int_equal(r.list[1], IP(10, 0, 0, 2));
	assert_int_equal(r.list[2], IP(10, 0, 0, 3));
	assert_false(r.local);
	resolvers_parse(&r, "nameserver 127.0.0.53\nnameserver 10.0.0.7");
	assert_int_equal(r.count, 1);
	assert_int_equal(r.list[0], IP(10, 0, 0, 7));
	assert_true(r.local);
	resolvers_parse(&r, "nameserver\n10.0.0.1\n");
	assert_int_equal(r.count, 0);
	resolvers_parse(&r, "nameserver ::1\nnameserver 0.0.0.0\n");
	assert_int_equal(r.count + r.count6, 0);
	assert_true(r.local);
	resolvers_parse(&r, "nameserver fe80::1%eth0\nnameserver fe80::2\nnameserver fd00::53\n"
			    "nameserver 10.0.0.1\nnameserver fd00:0::53\nnameserver 2001:db8::1\n");
	assert_int_equal(r.count, 1);
	assert_int_equal(r.count6, 2);
	assert_int_equal(r.list6[0][0], 0xfd);
	assert_int_equal(r.list6[0][15], 0x53);
	assert_int_equal(r.list6[1][15], 1);
	assert_false(r.local);
	resolvers_parse(&r, "");
	assert_int_equal(r.count, 0);
	assert_false(r.local);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void a_resolver_on_this_host__is_asked_whom_it_asks(void **state)
{
	char dir[] = "/tmp/sill-resolver-XXXXXX", conf[64], up[64];
	struct resolvers r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(conf, sizeof(conf), "%s/conf", dir);
	(void)snprintf(up, sizeof(up), "%s/up", dir);
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count, 0);
	assert_false(r.local);
	put(up, "nameserver 10.1.1.1\n");
	put(conf, "nameserver 10.2.2.2\n");
	resolvers_read(&r, conf, up);
	assert_int_equal(r.list[0], IP(10, 2, 2, 2));
	put(conf, "nameserver 127.0.0.53\n");
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.list[0], IP(10, 1, 1, 1));
	put(conf, "nameserver ::1\nnameserver fd00::53\n");
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count, 1); /* it names none of IPv4 but its own */
	assert_int_equal(r.list[0], IP(10, 1, 1, 1));
	assert_int_equal(r.count6, 1);
	assert_int_equal(r.list6[0][15], 0x53);
	assert_true(r.local);
	put(up, "nameserver fd00::54\nnameserver 10.1.1.1\nnameserver fd00::53\n");
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count6, 2); /* the file's own before others, each once */
	assert_int_equal(r.list6[0][15], 0x53);
	assert_int_equal(r.list6[1][15], 0x54);
	put(conf, "nameserver fd00::53\n");
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count, 0); /* whom it asks is no secret */
	put(up, "nameserver 2001:db8::53\n");
	put(conf, "nameserver 127.0.0.53\n");
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count6, 1);
	assert_true(r.local);
	assert_int_equal(unlink(up), 0);
	resolvers_read(&r, conf, up);
	assert_int_equal(r.count, 0);
	assert_true(r.local);
	assert_int_equal(unlink(conf), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_servers__are_those_of_resolv_conf),
		cmocka_unit_test(a_resolver_on_this_host__is_asked_whom_it_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
