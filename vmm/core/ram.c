/* SPDX-License-Identifier: Apache-2.0 */
/* ram.c - see ram.h. */
#include "core/ram.h"

#include <errno.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

/* Of x86: a transparent huge page (SDM volume 3A, 4.5). */
static const uint64_t HUGE_PAGE = 2u << 20;

static int memory_file(const struct sill_memory_config *c, struct sill_err *e)
{
	unsigned flags = MFD_CLOEXEC;
	int fd;

	if (c->hugepages) {
		flags |= MFD_HUGETLB;
		if (c->hugepage_size != 0)
			flags |= (unsigned)__builtin_ctzll(c->hugepage_size) << MFD_HUGE_SHIFT;
	}
	fd = memfd_create("sill_ram", flags);
	if (fd < 0) {
		(void)sill_err_sys(e, errno, "memory file for guest RAM");
		if (c->hugepages)
			return sill_err_hint(e, "the host has no huge pages of this size: "
						"see /sys/kernel/mm/hugepages");
		return -1;
	}
	if (ftruncate(fd, (off_t)c->size) < 0) {
		(void)sill_err_sys(e, errno, "guest RAM of %llu MiB",
				   (unsigned long long)(c->size >> 20));
		(void)close(fd);
		return -1;
	}
	return fd;
}

/*
 * A page of the host can be one of the guest's only where both begin at the same place in a huge page;
 * guest addresses begin at 0. Linux does so by itself from 6.7 on.
 */
static void *map_aligned(uint64_t size, int flags, int fd)
{
	uint8_t *room, *p;
	uint64_t before;

	if (fd >= 0 || size < HUGE_PAGE)
		return mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	room = mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (room == MAP_FAILED)
		return MAP_FAILED;
	before = -(uintptr_t)room % HUGE_PAGE;
	p = mmap(room + before, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED) {
		(void)munmap(room, size + HUGE_PAGE);
		return MAP_FAILED;
	}
	if (before > 0)
		(void)munmap(room, before);
	if (before < HUGE_PAGE)
		(void)munmap(p + size, HUGE_PAGE - before);
	return p;
}

size_t ram_page(const struct sill_memory_config *c)
{
	return c->hugepages ? 0 : 4096;
}

int ram_map(struct ram *r, const struct sill_memory_config *c, struct sill_err *e)
{
	int flags = MAP_NORESERVE;
	void *p;

	*r = (struct ram){ .fd = -1 };
	if (c->shared || c->hugepages) {
		r->fd = memory_file(c, e);
		if (r->fd < 0)
			return -1;
		flags |= c->shared || c->hugepages ? MAP_SHARED : MAP_PRIVATE;
	} else {
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	}
	/* Huge pages that are not there kill the process later: take them now. */
	if (c->hugepages)
		flags &= ~MAP_NORESERVE;
	p = map_aligned(c->size, flags, r->fd);
	if (p == MAP_FAILED) {
		(void)sill_err_sys(e, errno, "guest RAM of %llu MiB",
				   (unsigned long long)(c->size >> 20));
		(void)sill_err_hint(e, c->hugepages
					       ? "reserve huge pages: sysctl vm.nr_hugepages"
					       : "lower memory.size, or free memory on the host");
		fd_close(&r->fd);
		return -1;
	}
	r->hva = p;
	r->size = c->size;
	r->page = ram_page(c);
	(void)madvise(p, c->size, MADV_DONTDUMP);
	(void)madvise(p, c->size, MADV_DONTFORK);
	if (c->thp && !c->hugepages)
		(void)madvise(p, c->size, MADV_HUGEPAGE);
	if (c->prefault && madvise(p, c->size, MADV_POPULATE_WRITE) < 0) {
		(void)sill_err_sys(e, errno, "prefault guest RAM of %llu MiB",
				   (unsigned long long)(c->size >> 20));
		(void)sill_err_hint(e, "lower memory.size, or switch memory.prefault off");
		ram_unmap(r);
		return -1;
	}
	return 0;
}

void ram_touch(const struct ram *r, uint64_t off)
{
	(void)madvise(r->hva + off, 1, MADV_POPULATE_WRITE); /* before Linux 5.14: later, then */
}

void ram_unmap(struct ram *r)
{
	if (r->hva != NULL) {
		(void)munmap(r->hva, r->size);
		fd_close(&r->fd);
	}
	*r = (struct ram){ .fd = -1 };
}
