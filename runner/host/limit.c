/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c - how many files this process may open: see files.h. */
#include <sys/resource.h>

#include "runner/host/files.h"

void vmfiles_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* without it, most VMs run all the same */
}
