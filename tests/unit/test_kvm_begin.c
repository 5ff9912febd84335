/* SPDX-License-Identifier: Apache-2.0 */
/* test_kvm_begin.c - a VM that KVM was told to make early, and what becomes of it; /dev/null stands for a KVM that refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/kvm.h"
#include "sill/vm.h"
#include "tasks.h"

static int null_device(void)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void sill_files_close__gives_up_what_was_begun(void **state)
{
	const unsigned fds = files_open(), threads = tasks_alive();
	struct sill_file kvm = { .role = SILL_FILE_KVM };
	struct sill_files files = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	sill_vm_begin(&files); /* nothing to begin with */
	assert_null(files.begun);
	kvm.fd = null_device();
	assert_int_equal(sill_files_add(&files, &kvm, &e), 0);
	sill_vm_begin(&files);
	assert_non_null(files.begun);
	sill_vm_begin(&files); /* once is enough */
	sill_files_close(&files);
	assert_null(files.begun);
	assert_int_equal(files_open(), fds);
	assert_int_equal(tasks_alive(), threads);
}

/* It goes with the descriptor, and what KVM says is kvm_wait()'s to tell. */
static void kvm_open__takes_what_was_begun(void **state)
{
	const unsigned fds = files_open(), threads = tasks_alive();
	const int fd = null_device();
	struct kvm_maker *m = kvm_begin(fd);
	struct sill_err e = { 0 };
	struct kvm k;

	(void)state;
	assert_non_null(m);
	assert_int_equal(kvm_open(&k, fd, m, &e), -1); /* not of KVM's version */
	assert_int_equal(e.code, SILL_ERR_HOST);
	kvm_close(&k);
	kvm_give_up(NULL);
	assert_int_equal(files_open(), fds);
	assert_int_equal(tasks_alive(), threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sill_files_close__gives_up_what_was_begun),
		cmocka_unit_test(kvm_open__takes_what_was_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
