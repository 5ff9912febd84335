/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c - the value that a VM is. Who owns what of it is also test_value.c's. */
#include "kit.h"

#include <string.h>

#include "sill/config.h"
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sill_config_copy__shares_nothing),
		cmocka_unit_test(sill_hv_set__is_none_without_kvm_hyperv),
		cmocka_unit_test(sill_disk_ephemeral__knows_the_words),
		cmocka_unit_test(sill_uuid_read__keeps_the_order_of_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
