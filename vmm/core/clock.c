/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - guest time is host CLOCK_MONOTONIC less what was paused.
 *
 * frozen and the two bases change only while every vCPU stands still, except
 * that a loop callback may read them at that moment: they are read and written
 * as relaxed atomics, and a reader that mixes the two is off by the length of
 * the freeze call itself.
 */
#include "core/clock.h"

#include <time.h>

uint64_t host_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void vmclock_init(struct vmclock *c)
{
	*c = (struct vmclock){ .base_ns = host_now() };
}

uint64_t vmclock_now(const struct vmclock *c)
{
	if (__atomic_load_n(&c->frozen, __ATOMIC_ACQUIRE))
		return __atomic_load_n(&c->frozen_ns, __ATOMIC_RELAXED);
	return host_now() - __atomic_load_n(&c->base_ns, __ATOMIC_RELAXED);
}

void vmclock_freeze(struct vmclock *c)
{
	if (c->frozen)
		return;
	__atomic_store_n(&c->frozen_ns, vmclock_now(c), __ATOMIC_RELAXED);
	__atomic_store_n(&c->frozen, true, __ATOMIC_RELEASE);
}

void vmclock_thaw(struct vmclock *c)
{
	if (!c->frozen)
		return;
	__atomic_store_n(&c->base_ns, host_now() - c->frozen_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&c->frozen, false, __ATOMIC_RELEASE);
}

void vmclock_set(struct vmclock *c, uint64_t ns)
{
	__atomic_store_n(&c->frozen_ns, ns, __ATOMIC_RELAXED);
	__atomic_store_n(&c->base_ns, host_now() - ns, __ATOMIC_RELAXED);
}

uint64_t vmclock_to_host(const struct vmclock *c, uint64_t guest_ns)
{
	return guest_ns + __atomic_load_n(&c->base_ns, __ATOMIC_RELAXED);
}
