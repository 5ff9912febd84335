/* SPDX-License-Identifier: Apache-2.0 */
/* core.c - see core.h. */
#include "runner/snapshot/core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/pathfd.h"
#include "runner/snapshot/snapshot.h"

enum {
	PAGE = 4096,
	PARTS = 65000, /* ELF counts them in 16 bits */
	HEAD = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
};

struct core {
	int fd;
	struct sill_vm *vm; /* borrowed, as the notes and what the ranges have */
	const struct sparse_told *told;
	const void *notes;
	size_t notes_size;
	struct sill_ram_range ram[SNAPSHOT_RANGES];
	unsigned ram_count;
	struct sill_mapped_range *linear; /* owned; pieces of memory, where the kernel has them */
	unsigned linear_count;
};

static uint64_t up(uint64_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

static uint64_t memory_at(const struct core *c)
{
	const uint64_t parts = (uint64_t)c->ram_count + c->linear_count;

	return up(HEAD + parts * sizeof(Elf64_Phdr) + c->notes_size);
}

/* --- where the kernel has it ------------------------------------------------ */

/* What of @m is memory, up to @room pieces into @ret, which may be NULL. Returns how many those are. */
static unsigned clip(const struct core *c, const struct sill_mapped_range *m,
		     struct sill_mapped_range *ret, unsigned room)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->ram_count; i++) {
		const struct sill_ram_range *r = &c->ram[i];
		const uint64_t from = m->gpa > r->gpa ? m->gpa : r->gpa;
		const uint64_t end =
			m->gpa + m->size < r->gpa + r->size ? m->gpa + m->size : r->gpa + r->size;

		if (from >= end)
			continue;
		if (n < room)
			ret[n] = (struct sill_mapped_range){ m->address + (from - m->gpa), from,
							     end - from };
		n++;
	}
	return n;
}

/* Those of @least bytes and more; false: they are too many. @all has room for PARTS. */
static bool collect(struct core *c, uint64_t least, struct sill_mapped_range *all)
{
	const unsigned room = PARTS - c->ram_count;
	const unsigned n = sill_vm_mapped_ranges(c->vm, least, all, PARTS);

	c->linear_count = 0;
	for (unsigned i = 0; n <= PARTS && i < n; i++) {
		const unsigned left = room - c->linear_count;
		const unsigned more = clip(c, &all[i], c->linear + c->linear_count, left);

		if (more > left)
			return false;
		c->linear_count += more;
	}
	return n <= PARTS;
}

/* The small ones are left out when there are too many for a file. */
static int find_linear(struct core *c, struct sill_err *e)
{
	struct sill_mapped_range *all = calloc(PARTS, sizeof(*all));
	uint64_t least = PAGE;

	c->linear = calloc(PARTS, sizeof(*c->linear));
	if (all == NULL || c->linear == NULL) {
		free(all);
		return sill_err_sys(e, ENOMEM, "the core dump");
	}
	while (!collect(c, least, all))
		least *= 2;
	free(all);
	return 0;
}

/* --- the file ----------------------------------------------------------------- */

/* @gpa is in one of the ranges, which lie in the file one behind the other. */
static Elf64_Phdr load(const struct core *c, uint64_t address, uint64_t gpa, uint64_t size)
{
	uint64_t off = memory_at(c);
	unsigned i = 0;

	for (; gpa - c->ram[i].gpa >= c->ram[i].size; i++)
		off += c->ram[i].size;
	off += gpa - c->ram[i].gpa;
	/* No alignment, as in the kernel's own: crash takes a file whose parts have one for a netdump, and dies of it. */
	return (Elf64_Phdr){ .p_type = PT_LOAD,
			     .p_flags = PF_R | PF_W | PF_X,
			     .p_offset = off,
			     .p_vaddr = address,
			     .p_paddr = gpa,
			     .p_filesz = size,
			     .p_memsz = size };
}

/* What stands before the memory: the header, the parts, and the notes behind it. */
static void make_head(const struct core *c, unsigned char *to)
{
	const unsigned parts = 1 + c->ram_count + c->linear_count;
	const uint64_t notes = sizeof(Elf64_Ehdr) + parts * sizeof(Elf64_Phdr);
	const Elf64_Ehdr elf = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					      ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE },
				 .e_type = ET_CORE,
				 .e_machine = EM_X86_64,
				 .e_version = EV_CURRENT,
				 .e_phoff = sizeof(elf),
				 .e_ehsize = sizeof(elf),
				 .e_phentsize = sizeof(Elf64_Phdr),
				 .e_phnum = (Elf64_Half)parts };
	Elf64_Phdr part = { .p_type = PT_NOTE,
			    .p_offset = notes,
			    .p_filesz = c->notes_size,
			    .p_memsz = c->notes_size,
			    .p_align = 4 };

	memcpy(to, &elf, sizeof(elf));
	memcpy(to + notes, c->notes, c->notes_size);
	for (unsigned i = 0; i < parts; i++) {
		const unsigned linear = i - 1 - c->ram_count;

		if (i > c->ram_count)
			part = load(c, c->linear[linear].address, c->linear[linear].gpa,
				    c->linear[linear].size);
		else if (i > 0)
			part = load(c, c->ram[i - 1].gpa, c->ram[i - 1].gpa, c->ram[i - 1].size);
		memcpy(to + sizeof(elf) + i * sizeof(part), &part, sizeof(part));
	}
}

static int write_all(struct core *c, bool linear, struct sill_err *e)
{
	unsigned char *head;
	int err;

	c->ram_count = sill_vm_ram_ranges(c->vm, c->ram, SNAPSHOT_RANGES);
	if (c->ram_count > SNAPSHOT_RANGES)
		return sill_err_set(e, SILL_ERR_LIMIT, "the memory has too many pieces");
	if (linear && find_linear(c, e) < 0)
		return -1;
	head = calloc(1, memory_at(c));
	if (head == NULL)
		return sill_err_sys(e, ENOMEM, "the core dump");
	make_head(c, head);
	err = sparse_write(c->fd, (off_t)memory_at(c), c->ram, c->ram_count, c->told, e);
	if (err == 0) {
		err = sparse_put(c->fd, head, memory_at(c), 0);
		if (err == 0 && fsync(c->fd) < 0)
			err = errno;
		if (err != 0)
			err = sill_err_sys(e, err, "write the core dump");
	}
	free(head);
	return err;
}

static int write_frozen(struct core *c, bool linear, struct sill_err *e)
{
	void *notes = NULL;
	int ret;

	if (sill_vm_freeze(c->vm, SILL_PICTURE_NOTES, &notes, &c->notes_size, e) < 0)
		return -1;
	c->notes = notes;
	ret = write_all(c, linear, e);
	sill_vm_thaw(c->vm);
	free(c->linear);
	free(notes);
	return ret;
}

/* --- its name ------------------------------------------------------------------ */

/*
 * Without one until it is whole, so that nothing is left of it whatever ends us; with one beside @at, into @ret_beside,
 * where the file system has no such files. A descriptor, or -1: errno.
 */
static int open_new(const struct place *at, char ret_beside[NAME_MAX + 1])
{
	struct stat st;
	int fd;

	ret_beside[0] = '\0';
	/* Or the guest would stand still for nothing. */
	if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	fd = place_nameless(at);
	if (fd >= 0 || errno != EOPNOTSUPP || place_beside(at, ret_beside) < 0)
		return fd;
	fd = openat(at->dir, ret_beside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		ret_beside[0] = '\0';
	return fd;
}

static int write_at(struct core *c, const struct place *at, const char *path, bool linear,
		    struct sill_err *e)
{
	char beside[NAME_MAX + 1];
	int ret;

	c->fd = open_new(at, beside);
	if (c->fd < 0)
		return sill_err_sys(e, errno, "make '%s'", path);
	ret = write_frozen(c, linear, e);
	if (ret == 0 &&
	    (beside[0] == '\0' ? place_link(at, c->fd, at->name) : place_take(at, beside)) < 0)
		ret = sill_err_sys(e, errno, "make '%s'", path);
	(void)close(c->fd); /* it has been synced */
	if (ret != 0 && beside[0] != '\0')
		(void)unlinkat(at->dir, beside, 0);
	return ret;
}

int core_write(struct sill_vm *vm, const char *path, bool linear, const struct sparse_told *told,
	       struct sill_err *e)
{
	struct core c = { .vm = vm, .told = told };
	struct place at;
	int ret;

	ret = place_init(&at, path) < 0 ? sill_err_sys(e, errno, "make '%s'", path)
					: write_at(&c, &at, path, linear, e);
	place_fini(&at);
	return ret;
}
