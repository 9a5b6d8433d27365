/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/random.h"

#include <sys/random.h>

#include "base/clock.h"

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
uint64_t random_u64(void)
{
	static _Thread_local uint64_t state;
	uint64_t z;

	if (state == 0 && getrandom(&state, sizeof(state), 0) != sizeof(state))
		state = clock_ns() | 1;
	state += 0x9e3779b97f4a7c15U;
	z = state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

uint32_t random_below(uint32_t bound)
{
	return (uint32_t)(((random_u64() >> 32) * bound) >> 32);
}
