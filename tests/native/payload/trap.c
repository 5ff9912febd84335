/* SPDX-License-Identifier: Apache-2.0 */
/* trap.c - an exception that nobody wanted: say which, and power off. At ring 0. */
#include "exit.h"
#include "lib.h"
#include "test.h"

struct trap_frame {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

_Noreturn void trap_report(const struct trap_frame *f, uint64_t cr2);

_Noreturn void trap_report(const struct trap_frame *f, uint64_t cr2)
{
	print("\nnot ok %s: exception %lu, error 0x%lx, rip 0x%lx, rsp 0x%lx, cr2 0x%lx\n",
	      test_running(), f->vector, f->error, f->rip, f->rsp, cr2);
	exit_failed();
}
