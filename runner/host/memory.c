/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - memory that cannot be had is said before anything starts. */
#include <inttypes.h>
#include <sys/resource.h>

#include "runner/host/facts.h"
#include "runner/host/files.h"
#include "runner/host/proc.h"
#include "runner/manifest/scalar.h"

static int check_pool(const struct mf_memory *m, struct sill_err *e)
{
	struct host_facts host;
	uint64_t page, need, total, unused;
	char size[32], each[32];

	host_facts_get(&host);
	page = m->hugepage_size != 0 ? m->hugepage_size : host.hugepage_default;
	if (page == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "this host has no huge pages");
		return sill_err_hint(e, "set memory.hugepages: off");
	}
	need = m->size / page;
	unused = host_hugepages_free(page, &total);
	if (unused >= need)
		return 0;
	(void)scalar_size_text(size, sizeof(size), m->size);
	(void)scalar_size_text(each, sizeof(each), page);
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "%s of memory need %" PRIu64 " huge pages of %s; %" PRIu64 " of %" PRIu64
			   " are free",
			   size, need, each, unused, total);
	return sill_err_hint(e,
			     "echo %" PRIu64
			     " | sudo tee /sys/kernel/mm/hugepages/hugepages-%" PRIu64
			     "kB/nr_hugepages",
			     total + need - unused, page >> 10);
}

int host_memory_check(const struct manifest *m, struct sill_err *e)
{
	uint64_t all = proc_meminfo("MemTotal") + proc_meminfo("SwapTotal");
	uint64_t now = proc_meminfo("MemAvailable") + proc_meminfo("SwapFree");
	char size[32];
	struct rlimit limit;

	if (m->memory.hugepages)
		return check_pool(&m->memory, e);
	(void)scalar_size_text(size, sizeof(size), m->memory.size);
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < m->memory.size) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "memory.size is %s, but this process may have %" PRIu64 "M",
				   size, (uint64_t)limit.rlim_cur >> 20);
		return sill_err_hint(e, "raise the limit: ulimit -v unlimited");
	}
	if (all != 0 && m->memory.size > all) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "memory.size is %s, but this host has %" PRIu64
				   "M, swap counted",
				   size, all >> 20);
		return sill_err_hint(e, "lower memory.size");
	}
	if (m->memory.prefault && now != 0 && m->memory.size > now) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "memory.size is %s, but only %" PRIu64 "M are available now",
				   size, now >> 20);
		return sill_err_hint(e, "lower memory.size, or set memory.prefault: off");
	}
	return 0;
}
