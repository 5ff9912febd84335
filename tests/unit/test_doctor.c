/* SPDX-License-Identifier: Apache-2.0 */
/* test_doctor.c - findings about any host, and variable stores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/doctor.h"
#include "runner/host/facts.h"
#include "runner/host/proc.h"
#include "runner/host/vars.h"
#include "sill/check.h"

enum { STORE = 8192 };

static char dir[] = "/tmp/sill-test-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int remove_all(void)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 && remove_all() == 0 ? 0 : -1;
}

static void touch(const char *path, unsigned length)
{
	unsigned char store[STORE] = {
		[32] = (unsigned char)length, [33] = (unsigned char)(length >> 8)
	};
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	memcpy(store + 40, "_FVH", 4);
	store[STORE - 1] = 0x5a;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, store, sizeof(store)), sizeof(store));
	(void)close(fd);
}

static void vars_template__follows_the_name_of_the_code(void **state)
{
	char path[256];

	(void)state;
	touch("OVMF_VARS_4M.fd", STORE);
	touch("OVMF_VARS_4M.ms.fd", STORE);
	touch("edk2-vars.fd", STORE);
	assert_true(vars_template("OVMF_CODE_4M.fd", path, sizeof(path)));
	assert_string_equal(path, "OVMF_VARS_4M.fd");
	assert_true(vars_template("OVMF_CODE_4M.ms.fd", path, sizeof(path)));
	assert_string_equal(path, "OVMF_VARS_4M.ms.fd");
	assert_true(vars_template("OVMF_CODE_4M.secboot.fd", path, sizeof(path)));
	assert_string_equal(path, "OVMF_VARS_4M.fd");
	assert_true(vars_template("edk2-code.fd", path, sizeof(path)));
	assert_string_equal(path, "edk2-vars.fd");
	assert_false(vars_template("OVMF_CODE.fd", path, sizeof(path)));
	assert_string_equal(path, "OVMF_VARS.fd");
	/* A directory's name does not count. */
	assert_false(vars_template("/CODE/firmware.fd", path, sizeof(path)));
	assert_string_equal(path, "");
}

static int check(const char *path, struct sill_err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	assert_true(fd >= 0);
	ret = vars_check(fd, path, e);
	(void)close(fd);
	return ret;
}

static void vars_check__wants_a_header_of_the_right_length(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	touch("good", STORE);
	assert_int_equal(check("good", &e), 0);
	touch("long", STORE * 2);
	assert_int_equal(check("long", &e), -1);
	assert_non_null(strstr(e.msg, "says 16384"));
	e = (struct sill_err){ 0 };
	assert_int_equal(truncate("good", 20), 0);
	assert_int_equal(check("good", &e), -1);
	assert_non_null(strstr(e.msg, "not a UEFI variable store"));
}

/* Files here whose names begin with @start. */
static unsigned count_like(const char *start)
{
	DIR *d = opendir(".");
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strncmp(e->d_name, start, strlen(start)) == 0;
	(void)closedir(d);
	return n;
}

static void vars_create__copies_all_and_leaves_nothing_behind(void **state)
{
	char a[STORE], b[STORE];
	struct sill_err e = { 0 };
	struct stat st;
	FILE *f;

	(void)state;
	touch("template", STORE);
	assert_int_equal(vars_create("new", "template", &e), 0);
	assert_int_equal(stat("new", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen("template", "re");
	assert_int_equal(fread(a, 1, STORE, f), STORE);
	(void)fclose(f);
	f = fopen("new", "re");
	assert_int_equal(fread(b, 1, STORE, f), STORE);
	(void)fclose(f);
	assert_memory_equal(a, b, STORE);
	assert_int_equal(count_like("new."), 0);
}

static void vars_create__keeps_what_is_there(void **state)
{
	struct sill_err e = { 0 };
	struct stat before, after;

	(void)state;
	touch("template", STORE);
	touch("mine", STORE);
	assert_int_equal(stat("mine", &before), 0);
	assert_int_equal(vars_create("mine", "template", &e), 0);
	assert_int_equal(stat("mine", &after), 0);
	assert_true(before.st_ino == after.st_ino);
}

static void vars_create__fails_without_a_trace(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	touch("short", STORE * 2);
	assert_int_equal(vars_create("never", "short", &e), -1);
	assert_int_equal(access("never", F_OK), -1);
	e = (struct sill_err){ 0 };
	touch("template", STORE);
	assert_int_equal(vars_create("not/here", "template", &e), -1);
	assert_int_equal(e.sys, ENOENT);
}

static void doctor_examine__says_something_about_each_topic(void **state)
{
	static const char *const topics[] = { "kernel", "cpu", "kvm", "tun", "hugepages" };
	struct finding list[FINDINGS_MAX];
	size_t count = doctor_examine(list);

	(void)state;
	for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++) {
		bool found = false;

		for (size_t i = 0; i < count; i++)
			found |= strcmp(list[i].topic, topics[t]) == 0;
		if (!found)
			fail_msg("nothing about %s", topics[t]);
	}
	for (size_t i = 0; i < count; i++) {
		assert_true(list[i].text[0] != '\0');
		assert_true((list[i].level == FINDING_OK) == (list[i].fix[0] == '\0'));
	}
}

static void kvm_look__agrees_with_the_cpu(void **state)
{
	struct kvm_look k;

	(void)state;
	kvm_look(&k, -1);
	assert_true((k.state == KVM_GOOD) == (k.e.code == SILL_ERR_NONE));
	if (k.state != KVM_GOOD)
		assert_true(k.e.hint[0] != '\0');
}

static void host_facts_get__knows_this_cpu(void **state)
{
	struct host_facts f;

	(void)state;
	host_facts_get(&f, -1);
	assert_in_range(f.phys_bits, 32, 52);
	assert_true(f.cpus > 0);
}

/* The kernel writes Y or N, for some switches 1 or 0. */
static void proc_flag__reads_what_modules_say(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text;
		bool on;
	} said[] = {
		{ "Y\n", true }, { "1\n", true }, { "N\n", false }, { "0\n", false }, { "", false },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		FILE *f = fopen("flag", "w");

		assert_non_null(f);
		(void)fputs(said[i].text, f);
		(void)fclose(f);
		assert_int_equal(proc_flag("flag"), said[i].on);
	}
	assert_false(proc_flag("nothing"));
}

static void proc_meminfo__reads_whole_names(void **state)
{
	static const char *const names[] = { "MemTotal", "Mem", "nothing", "MemAvailable" };
	uint64_t bytes[4] = { 1, 1, 1, 1 };

	(void)state;
	proc_meminfo(names, bytes, 4);
	assert_true(bytes[0] > 1 << 20 && bytes[0] % 1024 == 0);
	assert_int_equal(bytes[1], 0);
	assert_int_equal(bytes[2], 0);
	assert_in_range(bytes[3], 1, bytes[0]);
}

/* What there is of the memory is asked apart, and of the facts changes nothing else. */
static void host_room_get__fills_in_the_room(void **state)
{
	struct host_facts f, before;

	(void)state;
	host_facts_get(&f, -1);
	before = f;
	assert_false(f.has_room);
	host_room_get(&f);
	assert_true(f.has_room);
	assert_true(f.room.all >= f.room.now && f.room.now > 0);
	assert_int_equal(f.hugepage_default, before.hugepage_default);
	assert_int_equal(f.hugepage_count, before.hugepage_count);
	assert_int_equal(f.phys_bits, before.phys_bits);
}

static void sill_check_kvm__names_what_is_no_kvm(void **state)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sill_check_kvm can;
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(sill_check_kvm(fd, &can, &e), -1);
	assert_int_equal(e.code, SILL_ERR_HOST);
	assert_non_null(strstr(e.msg, "version -1"));
	assert_int_equal(can.max_vcpus, 0);
	assert_false(can.hyperv);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vars_template__follows_the_name_of_the_code),
		cmocka_unit_test(vars_check__wants_a_header_of_the_right_length),
		cmocka_unit_test(vars_create__copies_all_and_leaves_nothing_behind),
		cmocka_unit_test(vars_create__keeps_what_is_there),
		cmocka_unit_test(vars_create__fails_without_a_trace),
		cmocka_unit_test(doctor_examine__says_something_about_each_topic),
		cmocka_unit_test(kvm_look__agrees_with_the_cpu),
		cmocka_unit_test(sill_check_kvm__names_what_is_no_kvm),
		cmocka_unit_test(host_facts_get__knows_this_cpu),
		cmocka_unit_test(proc_meminfo__reads_whole_names),
		cmocka_unit_test(host_room_get__fills_in_the_room),
		cmocka_unit_test(proc_flag__reads_what_modules_say),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
