/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch.h - what the life of a VM (vm/) asks of the kind of processor.
 *
 * One implementation is linked, arch/<name>/; nothing above knows which. A port
 * writes the functions below, and a board. What is the same everywhere (threads,
 * the gate, exits for memory-mapped I/O, resets in place) is in vm/.
 *
 * Threads: the main loop's, with the vCPUs parked, unless a comment says otherwise.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "base/save.h"
#include "bus/map.h"
#include "core/kvm.h"
#include "sill/config.h"
#include "sill/debug.h"
#include "sill/files.h"

struct board; /* the soldered part of a machine; the architecture's */
struct chr;
struct cpu_state;
struct kvm_run;
struct machine;

/* --- the board ---------------------------------------------------------- */

/*
 * All of the machine that cannot be unplugged, and what boots. @m is one that
 * machine_init() has seen: the board opens it, and adds memory, buses and soldered
 * devices. @c outlives it. Takes what it needs of @files; when it fails, what it took is closed.
 */
struct board *arch_board_create(struct machine *m, const struct sill_config *c,
				struct sill_files *files, struct sill_err *e);
/* After the machine's devices, before the machine. Accepts NULL. */
void arch_board_destroy(struct board *b);
/*
 * At the start, and as the second half of each reset: interrupt controllers, tables,
 * and the image again. Every device has been reset and nothing is in flight.
 */
int arch_board_start(struct board *b, struct sill_err *e) MUST_CHECK;
/* Any thread. 0, or -1 when the guest does not listen to the button yet. */
int arch_power_button(struct board *b);
/* Has it a generation id? Any thread. And another one, in RFC 4122 order, with the event that says so. */
bool arch_has_generation(const struct board *b);
void arch_new_generation(struct board *b, const uint8_t id[16]);
/* The far end of a soldered port, borrowed; NULL: there is none. Any thread. */
struct chr *arch_port(const struct board *b, enum sill_port p);
/* See sill_vm_post_codes(). Any thread. */
size_t arch_post_codes(const struct board *b, uint8_t ret[SILL_POST_CODES]);

/* --- processors --------------------------------------------------------- */

/* What the handler of an exit says should happen; only vm/vcpu.c does it. */
enum vcpu_next { VCPU_AGAIN, VCPU_PARK, VCPU_RESET, VCPU_OFF, VCPU_BROKEN, VCPU_TRAP };

/* Why a vCPU, or somebody else, wants a reset, the end, or cannot go on. */
enum cause {
	CAUSE_NONE,
	CAUSE_DEVICE, /* one that says its name */
	CAUSE_RESET_BUTTON,
	CAUSE_TRIPLE_FAULT,    /* x86: the guest has lost its exception handlers */
	CAUSE_RESET_CALL,      /* a register or call of the hypervisor's interface */
	CAUSE_OFF_CALL,        /* likewise */
	CAUSE_ENTRY_FAILED,    /* the host's processor refuses the guest's state */
	CAUSE_CANNOT_EMULATE,  /* KVM does not know the instruction */
	CAUSE_RUN_FAILED,      /* KVM_RUN itself */
	CAUSE_UNEXPECTED_EXIT, /* one that nobody has asked for */
	CAUSE_COUNT,
};

/* One virtual processor as KVM has it; its thread is struct vcpu's. Caller-allocated, zeroed. */
struct cpu {
	unsigned index;
	int fd;                  /* owned */
	struct kvm_run *run;     /* owned mapping */
	struct machine *machine; /* borrowed */
	struct board *board;     /* borrowed */
	struct map_reader pio, mmio;
	struct cpu_state *at_reset; /* owned; the architecture's */
	struct log_bucket bucket;
	const struct arch_points *points; /* borrowed; NULL: no debugger */
	uint32_t debug_control;           /* private: what KVM was told of it */
	bool trapped;                     /* by the vCPU's thread, for who finds it parked: */
	struct sill_debug_stop trap;
};

/* What the vCPUs of one VM have in common; needed for as long as one may be added. */
struct arch_cpus;

/*
 * Asks the host what it can do, and says in the log what of @c it cannot. @c is
 * borrowed as long as the result lives. NULL: @e.
 */
struct arch_cpus *arch_cpus_create(struct board *b, const struct sill_cpus_config *c,
				   struct sill_err *e);
void arch_cpus_destroy(struct arch_cpus *a); /* accepts NULL */

/* Who wants to know what the guest finds: sill/hardware.h. */
struct arch_teller {
	void (*tell)(void *ctx, const char *what, const char *value);
	void *ctx;
};

/* Before the guest has run. */
int arch_tell_hardware(struct board *b, const struct arch_cpus *a, const struct arch_teller *t,
		       struct sill_err *e) MUST_CHECK;

/* vCPU @index, which nobody runs yet. On failure arch_cpu_fini() clears up. */
int arch_cpu_init(struct cpu *c, const struct arch_cpus *a, unsigned index,
		  struct sill_err *e) MUST_CHECK;
void arch_cpu_fini(struct cpu *c); /* accepts a zeroed or half-built one */
/* The state after power-on; the first one also gets the place where the guest begins. */
int arch_cpu_reset(struct cpu *c, struct sill_err *e) MUST_CHECK;
/* The state after power-on, but for its counters, for one that goes, or comes again, while others run. */
int arch_cpu_clear(struct cpu *c, struct sill_err *e) MUST_CHECK;
/* One in that state, or made just now, comes while @running, which is parked, has been running: its counters are that one's. */
int arch_cpu_join(struct cpu *c, const struct cpu *running, struct sill_err *e) MUST_CHECK;
/* KVM has come back with an exit that vm/exit.c does not know. The vCPU's thread. */
enum vcpu_next arch_cpu_exit(struct cpu *c, enum cause *ret_why);
/* A non-maskable interrupt, or what comes closest to it. 0, or -1 with errno. */
int arch_cpu_nmi(struct cpu *c);
/* Registers, for the log: one line each to @line. */
void arch_cpu_dump(struct cpu *c, void (*line)(void *ctx, const char *text), void *ctx);

/* --- a debugger --------------------------------------------------------- */

enum { ARCH_HARD_POINTS = 4 }; /* x86 has so many, and other processors no fewer (SDM 3B 18.2) */

/* What stops all vCPUs of a VM; changed only while they are parked. */
struct arch_points {
	struct {
		bool used;
		enum sill_debug_point kind;
		uint64_t address;
		uint8_t size; /* a power of two, up to 8; the address is a multiple */
	} hard[ARCH_HARD_POINTS];
	unsigned soft_count;
	uint64_t soft[SILL_DEBUG_MAX_SOFT]; /* linear addresses of traps */
};

/* The instruction that is a trap; as long as the shortest one. */
extern const uint8_t arch_trap[];
extern const unsigned arch_trap_size;

/* Can hard points be of this kind? */
bool arch_has_point(enum sill_debug_point kind);
/*
 * The vCPU, which is parked, traps at @p, which is borrowed until it is told otherwise, and, with @step, after its
 * next instruction, without taking interrupts where the host can do that. NULL: no debugger.
 */
int arch_cpu_debug(struct cpu *c, const struct arch_points *p, bool step,
		   struct sill_err *e) MUST_CHECK;
/* As in sill/debug.h; the vCPU is parked. */
const struct sill_debug_register *arch_debug_registers(unsigned *ret_count);
const char *arch_debug_processor(void);
int arch_cpu_debug_get(const struct cpu *c, uint8_t *ret, struct sill_err *e) MUST_CHECK;
int arch_cpu_debug_set(const struct cpu *c, const uint8_t *block, struct sill_err *e) MUST_CHECK;
/* Where a linear address is in guest-physical memory, by the vCPU's page tables. False: nowhere. */
bool arch_cpu_translate(const struct cpu *c, uint64_t address, uint64_t *ret);

/* As for sill_vm_mapped_ranges(), which says what they are. */
struct arch_mapped {
	uint64_t least; /* bytes: smaller pieces are left out */
	struct sill_mapped_range *range;
	unsigned room, count; /* of these; how many there are */
};

/*
 * What the vCPU, which is parked, has in the kernel's half of its linear addresses. False, and nothing: it has no
 * page tables of 64-bit mode, or runs a program, of which some kernels keep themselves away, and not @any will do.
 */
bool arch_cpu_mapped(const struct cpu *c, struct arch_mapped *m, bool any);

/* --- processors that come and go ---------------------------------------- */

/*
 * What the guest sees of them, and says: the board's registers. Which are there at the start, the
 * configuration says; what the guest has answered, the board tells by dev_env's answered(), and so a
 * reset, which takes all that were asked for. Any thread, unless it says otherwise.
 */

/* Is processor @index, of cpus.max, in the machine as the guest sees it? */
bool arch_cpu_is_present(const struct board *b, unsigned index);
/* It has come, and is ready to run; the guest is told. Only with more than one possible. */
void arch_cpu_add(struct board *b, unsigned index);
/* The guest shall give it up; when it was asked already, it is asked again. Not the first one. */
void arch_cpu_ask(struct board *b, unsigned index);
/* Has it something to read still of what it was told? Then it is told of that again. */
bool arch_cpus_tell_again(struct board *b);
/* It may keep it after all. */
void arch_cpu_keep(struct board *b, unsigned index);
enum arch_answer {
	ARCH_NOT_ASKED,
	ARCH_NO_ANSWER, /* yet */
	ARCH_AT_IT,     /* the guest says that it is doing it */
	ARCH_REFUSED,   /* it has said no */
	ARCH_AT_RESET, /* it was not asked, as it could not do it: memory that an earlier reset has folded */
};
enum arch_answer arch_cpu_answer(struct board *b, unsigned index);
/* Has the guest come so far that it hears of processors that come and go? */
bool arch_cpus_heard(const struct board *b);

/* --- memory that comes and goes ----------------------------------------- */

/*
 * In pieces, each in a slot of SILL_MAX_DIMMS; answers come as for processors. At a reset what was
 * asked for goes, and the rest becomes memory like that of the start ("folded").
 */

/* Where pieces may lie, their addresses and sizes multiples of @block; size 0: none can come. */
struct arch_memory_area {
	uint64_t base, size, block;
};
void arch_memory_area(const struct board *b, struct arch_memory_area *ret);

struct arch_dimm {
	uint64_t base, size; /* size 0: the slot is empty */
	enum arch_answer answer;
	bool folded;
};
/* What is in it, as the guest sees it. Any thread. */
void arch_dimm(const struct board *b, unsigned slot, struct arch_dimm *ret);
/* The slot is empty, and the memory is there. The others as for processors. */
void arch_dimm_add(struct board *b, unsigned slot, uint64_t base, uint64_t size);
void arch_dimm_ask(struct board *b, unsigned slot);
void arch_dimm_keep(struct board *b, unsigned slot);
bool arch_memory_tell_again(struct board *b);
bool arch_memory_heard(const struct board *b);

/* --- clocks ------------------------------------------------------------- */

/* The guest's clocks that KVM runs, while a pause stops them. */
struct arch_clock {
	uint64_t counter; /* of the host, when the vCPUs' counters stood */
	uint64_t ns;      /* of the clock that KVM tells the guest */
};

void arch_clock_stop(const struct kvm *k, struct arch_clock *ret);
/* The counters have begun anew since (a reset while paused): they stand from here. */
void arch_clock_stop_again(struct arch_clock *c);
/* The guest's watchdogs are to know that @c did not run for a while. */
void arch_clock_tell(const struct cpu *c);
/* In this order: the clock, then the counter of each vCPU. */
void arch_clock_start(const struct kvm *k, const struct arch_clock *c);
/* How far the counters have to go back; the same for all, or they no longer agree. */
uint64_t arch_clock_gap(const struct arch_clock *c);
/* False: this kernel cannot, and the others are not to be tried. */
bool arch_clock_turn_back(const struct cpu *c, uint64_t gap);

/* --- saved state -------------------------------------------------------- */

/*
 * What KVM has of the board (interrupt controllers, timers), and what is the board's
 * own beside its devices. Loaded after the devices: they have set their lines by then.
 */
int arch_board_save(struct board *b, struct saver *s, struct sill_err *e) MUST_CHECK;
int arch_board_load(struct board *b, struct loader *l, struct sill_err *e) MUST_CHECK;
/* Before the first boot: guest memory is all zero, whatever has been read ahead; a boot reads it again. */
void arch_board_forget_boot(struct board *b);
/*
 * All of a vCPU, its counter as it stood at @at. Loaded last, into one that has not run,
 * with the guest's memory in place. After a failure the vCPU cannot be used.
 */
int arch_cpu_save(const struct cpu *c, const struct arch_clock *at, struct saver *s,
		  struct sill_err *e) MUST_CHECK;
/* Its registers as two notes of a core file (enum sill_picture), of a vCPU that stands. */
int arch_cpu_note(const struct cpu *c, struct buf *out, struct sill_err *e) MUST_CHECK;
int arch_cpu_load(struct cpu *c, const struct arch_clock *at, struct loader *l,
		  struct sill_err *e) MUST_CHECK;

#endif
