/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - a bare-metal guest that tests the machine it runs on.
 *
 * Options, on the kernel command line:
 *	tests=A,B	the sections to run (sections.def, which says which of them run without it,
 *			and with "all"); "none" runs none,
 *			"silent" none either, for ever, and without a word
 *	exit= boots=	how to leave, see exit.h
 *	seed=N		abuse: the sequence of random numbers
 *	vmm=qemu	the monitor is another one: what only Sill promises is skipped
 *
 * Output on COM1: a line "ok NAME", "not ok NAME: why" or "skip NAME: why" for
 * each test, then "N passed, N failed, N skipped" as the last line of a boot.
 */
#include <stdarg.h>

#include "boot.h"
#include "cpu.h"
#include "exit.h"
#include "irq.h"
#include "lib.h"
#include "pci.h"
#include "test.h"

#define SECTION(name, who) extern const struct test name##_tests[];
#include "sections.def"
#undef SECTION

enum asked { ALWAYS, IF_ALL, IF_NAMED };

static const struct section {
	const char *name;
	const struct test *tests;
	enum asked asked;
} sections[] = {
#define SECTION(name, who) { #name, name##_tests, who },
#include "sections.def"
#undef SECTION
};

static const struct test *running;
static enum { PASSED, FAILED, SKIPPED, OUTCOMES } outcome;
static unsigned count[OUTCOMES];
static char why[256];

_Noreturn void main(struct cpu *c);

__attribute__((format(printf, 2, 0))) static void conclude(int how, const char *fmt, va_list ap)
{
	if (outcome == FAILED)
		return; /* the first failure is the interesting one */
	outcome = how;
	vformat(why, sizeof(why), fmt, ap);
}

void test_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conclude(FAILED, fmt, ap);
	va_end(ap);
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conclude(SKIPPED, fmt, ap);
	va_end(ap);
}

bool test_has_failed(void)
{
	return outcome == FAILED;
}

const char *test_running(void)
{
	return running != NULL ? running->name : "(no test)";
}

bool vmm_is_sill(void)
{
	return !opt_given("vmm") || opt_is("vmm", "sill");
}

static void run_section(const struct section *s)
{
	static const char *const word[OUTCOMES] = { "ok", "not ok", "skip" };

	for (running = s->tests; running->name != NULL; running++) {
		outcome = PASSED;
		running->run();
		count[outcome]++;
		print("%s %s%s%s\n", word[outcome], running->name, outcome == PASSED ? "" : ": ",
		      outcome == PASSED ? "" : why);
	}
	running = NULL;
}

static bool wanted(const struct section *s)
{
	if (opt_given("tests"))
		return opt_has("tests", s->name) ||
		       (opt_is("tests", "all") && s->asked != IF_NAMED);
	return s->asked == ALWAYS;
}

_Noreturn static void be_silent(void)
{
	irq_init();
	for (;;)
		cpu_idle(cpu0.irqs);
}

/* Ring 3 from here on. */
_Noreturn void main(struct cpu *c)
{
	bool booted = boot_init();

	opt_init(boot.cmdline);
	if (opt_is("tests", "silent"))
		be_silent();
	print("payload: boot %u, ring %u\n", exit_boot_count(), cpu_ring());
	if (!booted)
		exit_failed();
	irq_init();
	if (opt_is("tests", "none"))
		exit_by_door();
	c->apic_id = lapic_read(LAPIC_ID) >> 24;
	pci_scan();
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (wanted(&sections[i]))
			run_section(&sections[i]);
	print("%u passed, %u failed, %u skipped\n", count[PASSED], count[FAILED], count[SKIPPED]);
	exit_by_door();
}
