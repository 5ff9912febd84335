/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - wintest.efi: a UEFI application that checks the machine it runs on
 * against what Windows needs.
 *
 * One line a rule on COM1 (report.h), then "N passed, N failed, N skipped", and
 * it leaves by a door of the option doors=: the first boot takes the first, the
 * next the second, and so on; the last boot prints the sum of all:
 *
 *	cold warm shutdown    the firmware's ResetSystem()
 *	cf9 kbd acpi triple   ports 0xCF9 and 0x64, the FADT's reset register, a triple fault
 *	hyperv                the hypervisor interface's reset register
 *	s5 s5-0               sleep type 5 or 0 to PM1a_CNT
 *	port600               a byte to port 0x600
 *
 * Everything is checked in the first boot; the others check what a reset must
 * have undone. Options (fw.h says how they get here):
 *
 *	doors=DOOR,...         above; shutdown
 *	tests=GROUP,...        of groups.def; all
 *	topology=TxCxDxP       what cpus.topology asks for: threads, cores, dies, packages
 *	msrs=ignore|fault      what the machine does with unknown MSRs
 *	enforce=on             the leaves are enforced: what is not advertised faults
 *	crash=on               report a crash by the Hyper-V registers
 *	lacks=FEATURE,...      what the host's processor does not have
 *	emulated=on            the host's processor is QEMU's emulation
 */
#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "lib.h"
#include "report.h"
#include "tests.h"
#include "trap.h"

static const struct {
	const char *name;
	void (*fn)(void);
} groups[] = {
#define GROUP(name) { #name, test_##name },
#include "groups.def"
#undef GROUP
};

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* Word @n of the comma-separated @list; false: there are fewer. */
static bool word_at(const char *list, unsigned n, char *ret, size_t size)
{
	size_t len = 0;

	for (; n > 0; n--) {
		while (*list != ',' && *list != '\0')
			list++;
		if (*list++ == '\0')
			return false;
	}
	while (list[len] != ',' && list[len] != '\0' && len < size - 1) {
		ret[len] = list[len];
		len++;
	}
	ret[len] = '\0';
	return true;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	uint64_t tsc_at_entry = rdtsc();
	char doors[128] = "shutdown", only[128] = "", door[32] = "shutdown", next[32];
	bool last;

	(void)fw_init(image, table);
	acpi_init();
	trap_init();
	clock_init();
	(void)opt("doors", doors, sizeof(doors));
	say("%s", "");
	if (state.boot == 0)
		opt_print();
	say("wintest boot %u, %u processors, TSC %lu kHz", state.boot, cpu_count, tsc_hz / 1000);

	if (state.boot == 0) {
		for (size_t i = 0; i < ARRAY_LEN(groups); i++)
			if (!opt("tests", only, sizeof(only)) || opt_lists("tests", groups[i].name))
				groups[i].fn();
	} else {
		test_after_reset(tsc_at_entry);
	}

	say("boot %u: %u passed, %u failed, %u skipped", state.boot, counts.passed, counts.failed,
	    counts.skipped);
	state.counts.passed += counts.passed;
	state.counts.failed += counts.failed;
	state.counts.skipped += counts.skipped;
	(void)word_at(doors, state.boot, door, sizeof(door));
	last = !word_at(doors, state.boot + 1, next, sizeof(next));
	if (last) {
		say("%u passed, %u failed, %u skipped", state.counts.passed, state.counts.failed,
		    state.counts.skipped);
		fw_state_forget();
	} else {
		prepare_reset();
		state.boot++;
		state.tsc = rdtsc();
		fw_state_save();
	}
	say("door %s", door);
	leave_by(door);
	return EFI_ABORTED;
}
