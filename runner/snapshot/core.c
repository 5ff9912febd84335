/* SPDX-License-Identifier: Apache-2.0 */
/* core.c - see core.h. */
#include "runner/snapshot/core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/snapshot/snapshot.h"

enum { PAGE = 4096 };

/* What stands before the memory. */
struct core_head {
	Elf64_Ehdr elf;
	Elf64_Phdr part[1 + SNAPSHOT_RANGES]; /* the notes, then the memory */
};

static uint64_t up(uint64_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* Returns where the notes are; the memory is at *ret_memory. */
static uint64_t make_head(struct core_head *h, const struct sill_ram_range *r, unsigned count,
			  uint64_t notes_size, uint64_t *ret_memory)
{
	const uint64_t notes = sizeof(h->elf) + (1 + (uint64_t)count) * sizeof(h->part[0]);
	uint64_t at = up(notes + notes_size);

	*h = (struct core_head){
		.elf = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				      EV_CURRENT, ELFOSABI_NONE },
			 .e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(h->elf),
			 .e_ehsize = sizeof(h->elf),
			 .e_phentsize = sizeof(h->part[0]),
			 .e_phnum = (Elf64_Half)(1 + count) },
		.part = { { .p_type = PT_NOTE,
			    .p_offset = notes,
			    .p_filesz = notes_size,
			    .p_memsz = notes_size,
			    .p_align = 4 } },
	};
	*ret_memory = at;
	for (unsigned i = 0; i < count; i++) {
		h->part[1 + i] = (Elf64_Phdr){ .p_type = PT_LOAD,
					       .p_flags = PF_R | PF_W | PF_X,
					       .p_offset = at,
					       .p_vaddr = r[i].gpa,
					       .p_paddr = r[i].gpa,
					       .p_filesz = r[i].size,
					       .p_memsz = r[i].size,
					       .p_align = PAGE };
		at += r[i].size;
	}
	return notes;
}

static int write_all(int fd, struct sill_vm *vm, const void *notes, size_t notes_size,
		     const struct sparse_told *told, struct sill_err *e)
{
	struct sill_ram_range r[SNAPSHOT_RANGES];
	const unsigned count = sill_vm_ram_ranges(vm, r, SNAPSHOT_RANGES);
	struct core_head h;
	uint64_t at, memory;
	int err;

	if (count > SNAPSHOT_RANGES)
		return sill_err_set(e, SILL_ERR_LIMIT, "the memory has too many pieces");
	at = make_head(&h, r, count, notes_size, &memory);
	if (sparse_write(fd, (off_t)memory, r, count, told, e) < 0)
		return -1;
	err = sparse_put(fd, &h, at, 0);
	if (err == 0)
		err = sparse_put(fd, notes, notes_size, (off_t)at);
	if (err == 0 && fsync(fd) < 0)
		err = errno;
	return err == 0 ? 0 : sill_err_sys(e, err, "write the core dump");
}

static int write_frozen(int fd, struct sill_vm *vm, const struct sparse_told *told,
			struct sill_err *e)
{
	size_t size = 0;
	void *notes = NULL;
	int ret;

	if (sill_vm_freeze(vm, SILL_PICTURE_NOTES, &notes, &size, e) < 0)
		return -1;
	ret = write_all(fd, vm, notes, size, told, e);
	sill_vm_thaw(vm);
	free(notes);
	return ret;
}

int core_write(struct sill_vm *vm, const char *path, const struct sparse_told *told,
	       struct sill_err *e)
{
	char beside[PATH_MAX];
	int fd, ret;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return sill_err_sys(e, ENAMETOOLONG, "'%s'", path);
	fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sill_err_sys(e, errno, "make '%s'", beside);
	ret = write_frozen(fd, vm, told, e);
	if (close(fd) < 0 && ret == 0)
		ret = sill_err_sys(e, errno, "write the core dump");
	if (ret == 0 && renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		ret = sill_err_sys(e, errno, "make '%s'", path);
	if (ret == 0)
		return 0;
	(void)unlink(beside);
	return -1;
}
