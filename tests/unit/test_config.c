/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c - the value that a VM is. Who owns what of it is also test_value.c's. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

#include "sill/check.h"
#include "sill/config.h"
#include "sill/device.h"
#include "sill/hyperv.h"

static void sill_config_copy__shares_nothing(void **state)
{
	static char name[] = "vm", id[] = "d", path[] = "/a.img", base[] = "/base",
		    string[] = "oem";
	uint16_t cpus[] = { 3, 4 };
	char *strings[] = { string };
	struct sill_affinity pin = { .vcpu = 1, .host_cpus = cpus, .host_cpus_count = 2 };
	struct sill_backing backing = { .path = base };
	struct sill_disk_config disk = {
		.path = path, .id = id, .backing = &backing, .backing_count = 1, .slot = 5
	};
	struct sill_config m = { .name = name,
				 .disk = &disk,
				 .disk_count = 1,
				 .cpus = { .max = 4, .affinity = &pin, .affinity_count = 1 },
				 .platform = { .oem_strings = strings, .oem_strings_count = 1 } };
	struct sill_config own;
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(sill_config_copy(&own, &m, &e), 0);
	name[0] = id[0] = base[0] = string[0] = 'x';
	cpus[1] = 0;
	assert_string_equal(own.name, "vm");
	assert_string_equal(own.disk[0].id, "d");
	assert_string_equal(own.disk[0].backing[0].path, "/base");
	assert_int_equal(own.disk[0].slot, 5);
	assert_int_equal(own.cpus.affinity[0].host_cpus[1], 4);
	assert_string_equal(own.platform.oem_strings[0], "oem");
	assert_int_equal(own.cpus.max, 4);
	sill_config_free(&own);
	assert_null(own.disk);
	sill_config_free(&own); /* twice does no harm */
}

static void sill_hv_set__is_none_without_kvm_hyperv(void **state)
{
	struct sill_cpus_config c = { .hyperv = { .reset = true, .vapic = true } };

	(void)state;
	assert_int_equal(sill_hv_set(&c), 0);
	c.kvm_hyperv = true;
	assert_int_equal(sill_hv_set(&c), SILL_HV_BIT(reset) | SILL_HV_BIT(vapic));
}

static void sill_disk_ephemeral__knows_the_words(void **state)
{
	static char off[] = "off", no[] = "false", ram[] = "ram", dir[] = "/var/tmp";
	struct sill_disk_config d = { 0 };

	(void)state;
	assert_false(sill_disk_ephemeral(&d));
	d.ephemeral = off;
	assert_false(sill_disk_ephemeral(&d));
	d.ephemeral = no;
	assert_false(sill_disk_ephemeral(&d));
	d.ephemeral = ram;
	assert_true(sill_disk_ephemeral(&d));
	d.ephemeral = dir;
	assert_true(sill_disk_ephemeral(&d));
}

static void sill_uuid_read__keeps_the_order_of_the_text(void **state)
{
	uint8_t u[16];

	(void)state;
	assert_int_equal(sill_uuid_read("00112233-4455-6677-8899-aabbccddeeff", u), 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(u[i], i * 0x11);
	assert_int_equal(sill_uuid_read("00112233-4455-6677-8899-aabbccddeef", u), -1);
	assert_int_equal(sill_uuid_read("00112233-4455-6677-8899-aabbccddeeff0", u), -1);
	assert_int_equal(sill_uuid_read("00112233x4455-6677-8899-aabbccddeeff", u), -1);
	assert_int_equal(sill_uuid_read("", u), -1);
}

static void sill_mac_read__takes_the_address_of_one_card(void **state)
{
	static const char *const bad[] = { "",
					   "00:00:00:00:00:00",
					   "01:00:5e:00:00:01",
					   "02:00:00:00:00",
					   "02:00:00:00:00:01:02",
					   "02-00-00-00-00-01",
					   "02:00:00:00:00:0g",
					   "2:0:0:0:0:1" };
	uint8_t mac[6];

	(void)state;
	assert_int_equal(sill_mac_read("aA:00:5e:10:00:0F", mac), 0);
	assert_memory_equal(mac, "\xaa\x00\x5e\x10\x00\x0f", 6);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sill_mac_read(bad[i], mac), -1);
}

static void sill_address_read__takes_a_host_in_a_network(void **state)
{
	static const char *const bad[] = { "",
					   "10.0.0.1",
					   "10.0.0.0/24",
					   "10.0.0.255/24",
					   "10.0.0.1/31",
					   "10.0.0.1/7",
					   "127.0.0.1/8",
					   "224.0.0.1/24",
					   "0.0.0.1/8",
					   "10.0.0.256/24",
					   "10.0.0.01/24",
					   "10.0.0.1/024",
					   "10.0.0.1/24 ",
					   "10..0.1/24",
					   "99999999999.0.0.1/24",
					   "10.0.0.1.1/24",
					   "10.0.0.1/",
					   "off" };
	uint32_t address;
	uint8_t prefix;

	(void)state;
	assert_int_equal(sill_address_read("192.168.249.1/24", &address, &prefix), 0);
	assert_int_equal(address, 0xc0a8f901);
	assert_int_equal(prefix, 24);
	assert_int_equal(sill_address_read("10.0.0.2/30", &address, &prefix), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sill_address_read(bad[i], &address, &prefix), -1);
}

struct told {
	char ids[64];
	unsigned end_at, count, slots;
};

static int tell_device(void *ctx, const struct sill_device *d)
{
	struct told *t = ctx;
	const size_t used = strlen(t->ids);

	(void)snprintf(t->ids + used, sizeof(t->ids) - used, "%s ", sill_device_id(d));
	t->slots |= 1u << sill_device_slot(d);
	return ++t->count == t->end_at ? 7 : 0;
}

static void sill_device_each__tells_all_in_order(void **state)
{
	static char a[] = "a", b[] = "b", card[] = "card", src[] = "/dev/urandom";
	struct sill_disk_config disk[] = { { .id = a }, { .id = b, .slot = 9 } };
	struct sill_net_config net = { .id = card, .slot = 4 };
	const struct sill_config none = { .console = { .mode = SILL_CHAR_OFF } };
	const struct sill_config all = { .disk = disk,
					 .disk_count = 2,
					 .net = &net,
					 .net_count = 1,
					 .rng = { .src = src },
					 .console = { .mode = SILL_CHAR_NULL },
					 .vsock = { .cid = 3 },
					 .balloon = { .enabled = true } };
	struct told t = { 0 }, some = { .end_at = 3 };

	(void)state;
	assert_int_equal(sill_device_each(&none, tell_device, &t), 0);
	assert_int_equal(t.count, 0);
	assert_int_equal(sill_device_each(&all, tell_device, &t), 0);
	assert_string_equal(t.ids, "a b rng console card vsock balloon ");
	assert_int_equal(t.slots, 1u << 0 | 1u << 4 | 1u << 9);
	assert_int_equal(sill_check_slots(&all), 7);
	assert_int_equal(sill_device_each(&all, tell_device, &some), 7);
	assert_string_equal(some.ids, "a b rng ");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sill_config_copy__shares_nothing),
		cmocka_unit_test(sill_hv_set__is_none_without_kvm_hyperv),
		cmocka_unit_test(sill_disk_ephemeral__knows_the_words),
		cmocka_unit_test(sill_mac_read__takes_the_address_of_one_card),
		cmocka_unit_test(sill_address_read__takes_a_host_in_a_network),
		cmocka_unit_test(sill_device_each__tells_all_in_order),
		cmocka_unit_test(sill_uuid_read__keeps_the_order_of_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
