/* SPDX-License-Identifier: Apache-2.0 */
/* test_hardware_lock.c - what a lock file says of its VMs, and how often it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/plan/hardware.h"

static char dir[] = "/tmp/sill-test-XXXXXX";
static char file[64], lock[64];

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/web.yaml", dir);
	hardware_lock_path(file, lock, sizeof(lock));
	return 0;
}

static int end(void **state)
{
	(void)state;
	(void)unlink(lock);
	return rmdir(dir);
}

static void put(const char *text)
{
	FILE *f = fopen(lock, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void lock__is_read_once_for_all_vms_of_a_file(void **state)
{
	struct hardware_lock l = { 0 };
	struct sill_err e = { 0 };
	json_t *found;

	(void)state;
	put("{\"vms\": {\"a\": {\"smbios\": \"1\"}, \"b\": {\"smbios\": \"2\"}}}");
	found = hardware_locked(&l, file, "a", &e);
	assert_string_equal(json_string_value(json_object_get(found, "smbios")), "1");
	json_decref(found);
	put("{}");
	found = hardware_locked(&l, file, "b", &e);
	assert_string_equal(json_string_value(json_object_get(found, "smbios")), "2");
	json_decref(found);
	assert_null(hardware_locked(&l, file, "c", &e));
	assert_int_equal(e.code, SILL_ERR_NONE);
	/* Of another file, and of the first again. */
	assert_null(hardware_locked(&l, "/nowhere/web.yaml", "a", &e));
	assert_null(hardware_locked(&l, file, "a", &e));
	assert_int_equal(e.code, SILL_ERR_NONE);
	hardware_lock_fini(&l);
}

static void lock__that_is_wrong_is_said_of_each_vm(void **state)
{
	struct hardware_lock l = { 0 };

	(void)state;
	put("{");
	for (unsigned i = 0; i < 2; i++) {
		struct sill_err e = { 0 };

		assert_null(hardware_locked(&l, file, "a", &e));
		assert_int_equal(e.code, SILL_ERR_HOST);
	}
	hardware_lock_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock__is_read_once_for_all_vms_of_a_file),
		cmocka_unit_test(lock__that_is_wrong_is_said_of_each_vm),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
