/* SPDX-License-Identifier: Apache-2.0 */
/* ram.c - see ram.h. */
#include "core/ram.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"

/* Of x86: a transparent huge page, and the largest one there is (SDM volume 3A, 4.5). */
static const uint64_t HUGE_PAGE = 2u << 20;
static const uint64_t HUGEST_PAGE = 1u << 30;

static int memory_file(const struct sill_memory_zone *c, struct sill_err *e)
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

/* Is @fd the file of others that @z, at @where, can be in? */
static int check_file(int fd, const struct sill_memory_zone *z, const void *where,
		      struct sill_err *e)
{
	struct statfs fs;
	struct stat st;
	uint64_t page;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return sill_err_sys(e, errno, "the file of guest RAM");
	if (st.st_size < 0 || (uint64_t)st.st_size < z->size) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "its file has %lld bytes, and it is to have %llu",
				   (long long)st.st_size, (unsigned long long)z->size);
		return sill_err_hint(e, "`truncate -s %lluK FILE` makes it larger",
				     (unsigned long long)(z->size >> 10));
	}
	page = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : 4096;
	if (z->size % page == 0 && (uintptr_t)where % page == 0)
		return 0;
	(void)sill_err_set(e, SILL_ERR_HOST, "its file is of huge pages, of %llu KiB each",
			   (unsigned long long)(page >> 10));
	return sill_err_hint(e, "its size, and that of the zones before it, must be a multiple");
}

/* Addresses that nobody else gets: @size bytes from a multiple of @align on, a power of two. MAP_FAILED: errno. */
static uint8_t *reserve(uint64_t size, uint64_t align)
{
	uint8_t *room = mmap(NULL, size + align, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (room == MAP_FAILED)
		return room;
	before = -(uintptr_t)room % align;
	if (before > 0)
		(void)munmap(room, before);
	if (before < align)
		(void)munmap(room + before + size, align - before);
	return room + before;
}

/*
 * A page of the host can be one of the guest's only where both begin at the same place in a huge page;
 * guest addresses begin at 0. Linux does so by itself from 6.7 on.
 */
static void *map_aligned(uint64_t size, int flags, int fd)
{
	uint8_t *room, *p;

	if (fd >= 0 || size < HUGE_PAGE)
		return mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	room = reserve(size, HUGE_PAGE);
	if (room == MAP_FAILED)
		return room;
	p = mmap(room, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED)
		(void)munmap(room, size);
	return p;
}

/* Pages that are not there yet come from these nodes of the host alone. */
static int bind_nodes(void *p, const struct sill_memory_zone *z, struct sill_err *e)
{
	enum { BITS = 8 * sizeof(unsigned long) };
	unsigned long nodes[SILL_MAX_NODES / BITS] = { 0 };

	for (unsigned i = 0; i < z->host_numa_node_count; i++) {
		const unsigned n = z->host_numa_node[i];

		if (n >= SILL_MAX_NODES)
			return sill_err_set(e, SILL_ERR_MANIFEST, "there is no node %u", n);
		nodes[n / BITS] |= 1ul << n % BITS;
	}
	/* The kernel takes one bit less than it is told of (mbind(2), set_mempolicy(2): bugs). */
	if (z->host_numa_node_count == 0 ||
	    syscall(SYS_mbind, p, z->size, MPOL_BIND, nodes, SILL_MAX_NODES + 1,
		    MPOL_MF_STRICT | MPOL_MF_MOVE) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "guest RAM of the host's node %u", z->host_numa_node[0]);
	return sill_err_hint(e, "see /sys/devices/system/node/has_memory");
}

size_t ram_page(const struct sill_memory_config *c)
{
	return c->hugepages ? 0 : 4096;
}

static int map_failed(const struct sill_memory_zone *z, struct sill_err *e)
{
	const int err = errno;

	(void)sill_err_sys(e, errno, "guest RAM of %llu MiB", (unsigned long long)(z->size >> 20));
	if (z->reserve && !z->hugepages && err == ENOMEM)
		return sill_err_hint(e,
				     "set reserve: off, or add swap; /proc/meminfo has what may be "
				     "promised, CommitLimit, and what is, Committed_AS");
	return sill_err_hint(e, z->hugepages ? "reserve huge pages: sysctl vm.nr_hugepages"
					     : "lower memory.size, or free memory on the host");
}

/* What is asked of the pages of @r before the guest has them. */
static int prepare(const struct ram *r, const struct sill_memory_zone *z, bool thp,
		   struct sill_err *e)
{
	(void)madvise(r->hva, r->size, MADV_DONTDUMP);
	(void)madvise(r->hva, r->size, MADV_DONTFORK);
	if (thp && !z->hugepages)
		(void)madvise(r->hva, r->size, MADV_HUGEPAGE);
	if (bind_nodes(r->hva, z, e) < 0)
		return -1;
	if (z->mergeable && madvise(r->hva, r->size, MADV_MERGEABLE) < 0) {
		(void)sill_err_sys(e, errno, "merging of equal pages of guest RAM");
		return sill_err_hint(e, "set mergeable: off; a kernel that merges has "
					"/sys/kernel/mm/ksm");
	}
	if (!z->prefault || madvise(r->hva, r->size, MADV_POPULATE_WRITE) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "prefault guest RAM of %llu MiB",
			   (unsigned long long)(z->size >> 20));
	return sill_err_hint(e, "lower memory.size, or switch memory.prefault off");
}

/* The descriptor that @z is a mapping of, and how; -1 and no failure: of none. */
static int open_zone(struct ram *r, const struct sill_memory_zone *z, void *where, int *flags,
		     struct sill_err *e)
{
	if (z->file != NULL) {
		if (r->fd < 0)
			return sill_err_set(e, SILL_ERR_HOST, "its file is not there");
		if (check_file(r->fd, z, where, e) < 0)
			return -1;
		*flags = (*flags & ~MAP_NORESERVE) | (z->shared ? MAP_SHARED : MAP_PRIVATE);
		return 0;
	}
	if (z->shared || z->hugepages) {
		r->fd = memory_file(z, e);
		*flags |= MAP_SHARED;
		/* Huge pages that are not there kill the process later: take them now. */
		if (z->hugepages)
			*flags &= ~MAP_NORESERVE;
		return r->fd < 0 ? -1 : 0;
	}
	*flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	return 0;
}

/*
 * At @where, in what was reserved; NULL: anywhere. @take_fd: its file's, or -1. After a failure nothing of @r is
 * left but its place there.
 */
static int map_zone(struct ram *r, const struct sill_memory_zone *z, bool thp, void *where,
		    int take_fd, struct sill_err *e)
{
	int flags = (z->reserve ? 0 : MAP_NORESERVE) | (where != NULL ? MAP_FIXED : 0);
	void *p;

	*r = (struct ram){ .fd = take_fd };
	if (open_zone(r, z, where, &flags, e) < 0) {
		fd_close(&r->fd);
		return -1;
	}
	p = where == NULL ? map_aligned(z->size, flags, r->fd)
			  : mmap(where, z->size, PROT_READ | PROT_WRITE, flags, r->fd, 0);
	if (p == MAP_FAILED) {
		(void)map_failed(z, e);
		fd_close(&r->fd);
		return -1;
	}
	r->hva = p;
	r->size = z->size;
	r->page = z->hugepages || z->file != NULL ? 0 : 4096;
	/* What is private is not the file's any more; its lock stays with the mapping. */
	if (z->file != NULL && !z->shared)
		fd_close(&r->fd);
	if (prepare(r, z, thp, e) == 0)
		return 0;
	if (where == NULL)
		ram_unmap(r);
	else
		fd_close(&r->fd);
	return -1;
}

/* All of @c as one zone; borrowed from it. */
static struct sill_memory_zone whole(const struct sill_memory_config *c)
{
	return (struct sill_memory_zone){ .size = c->size,
					  .shared = c->shared,
					  .hugepages = c->hugepages,
					  .hugepage_size = c->hugepage_size,
					  .prefault = c->prefault,
					  .mergeable = c->mergeable,
					  .reserve = c->reserve };
}

int ram_map(struct ram *r, const struct sill_memory_config *c, struct sill_err *e)
{
	const struct sill_memory_zone z = whole(c);

	return map_zone(r, &z, c->thp, NULL, -1, e);
}

int ram_map_zone(struct ram *r, const struct sill_memory_zone *z, bool thp, struct sill_err *e)
{
	return map_zone(r, z, thp, NULL, -1, e);
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

/* --- zones ---------------------------------------------------------------- */

static int check_zones(const struct sill_memory_config *c, struct sill_err *e)
{
	uint64_t left = c->size;
	unsigned i = 0;

	if (c->zones_count > SILL_MAX_ZONES)
		return sill_err_set(e, SILL_ERR_MANIFEST, "more than %u memory zones",
				    SILL_MAX_ZONES);
	for (; i < c->zones_count && c->zones[i].size <= left && c->zones[i].size % 4096 == 0; i++)
		left -= c->zones[i].size;
	return i == c->zones_count && left == 0
		       ? 0
		       : sill_err_set(e, SILL_ERR_MANIFEST,
				      "the memory zones are not %llu MiB together",
				      (unsigned long long)(c->size >> 20));
}

/* One page of the largest kind that any of them may be of. */
static uint64_t alignment(const struct sill_memory_config *c)
{
	uint64_t align = HUGE_PAGE;

	for (unsigned i = 0; i < c->zones_count; i++)
		if ((c->zones[i].hugepages || c->zones[i].file != NULL) && align < HUGEST_PAGE)
			align = HUGEST_PAGE;
	return align;
}

static int map_one(struct ram_zones *z, const struct sill_memory_config *c, uint64_t at,
		   struct sill_files *files, struct sill_err *e)
{
	struct sill_memory_zone one = c->zones[z->count];
	int fd = -1;

	one.prefault |= c->prefault;
	one.mergeable |= c->mergeable;
	one.reserve |= c->reserve;
	if (files != NULL && one.file != NULL)
		fd = sill_files_take(files, SILL_FILE_MEMORY, one.id, 0);
	if (map_zone(&z->zone[z->count], &one, c->thp, z->hva + at, fd, e) == 0)
		return 0;
	sill_err_wrap(e, "memory zone %s", one.id);
	return -1;
}

int ram_zones_map(struct ram_zones *z, const struct sill_memory_config *c, struct sill_files *files,
		  struct sill_err *e)
{
	uint64_t at = 0;

	*z = (struct ram_zones){ .count = 1 };
	if (c->zones_count == 0) {
		if (ram_map(&z->zone[0], c, e) < 0)
			return -1;
		z->hva = z->zone[0].hva;
		z->size = c->size;
		return 0;
	}
	if (check_zones(c, e) < 0)
		return -1;
	z->hva = reserve(c->size, alignment(c));
	if (z->hva == MAP_FAILED) {
		const struct sill_memory_zone all = whole(c);

		z->hva = NULL;
		return map_failed(&all, e);
	}
	z->size = c->size;
	for (z->count = 0; z->count < c->zones_count; z->count++) {
		if (map_one(z, c, at, files, e) < 0) {
			ram_zones_unmap(z);
			return -1;
		}
		at += c->zones[z->count].size;
	}
	return 0;
}

int ram_zones_add(const struct ram_zones *z, struct gmem *m, const struct ram_piece *p,
		  struct sill_err *e)
{
	struct ram_piece left = *p;
	uint64_t begin = 0;

	assert(p->off <= z->size && p->size <= z->size - p->off);
	for (unsigned i = 0; i < z->count && left.size > 0; i++) {
		const struct ram *r = &z->zone[i];
		const uint64_t in = left.off - begin; /* it never begins before this zone */
		uint64_t n;

		begin += r->size;
		if (in >= r->size)
			continue;
		n = r->size - in < left.size ? r->size - in : left.size;
		if (gmem_add_ram(m, left.gpa, r, in, n, e) < 0)
			return -1;
		left.gpa += n;
		left.off += n;
		left.size -= n;
	}
	return 0;
}

void ram_zones_unmap(struct ram_zones *z)
{
	if (z->hva != NULL)
		(void)munmap(z->hva, z->size);
	for (unsigned i = 0; z->hva != NULL && i < z->count; i++)
		fd_close(&z->zone[i].fd);
	*z = (struct ram_zones){ 0 };
}
