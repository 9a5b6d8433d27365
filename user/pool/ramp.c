/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/ramp.h"

#include "pool/spec.h"

uint32_t ramp_step(uint64_t elapsed_ms, uint32_t total_ms)
{
	uint64_t step = elapsed_ms < total_ms ? elapsed_ms * RAMP_STEPS / total_ms : RAMP_STEPS;

	return step > 0 ? (uint32_t)step : 1;
}

uint32_t ramp_scale(uint32_t max_weight)
{
	if (max_weight == 0)
		return 1;
	if (max_weight * RAMP_STEPS <= BACKEND_MAX_WEIGHT)
		return RAMP_STEPS;
	return BACKEND_MAX_WEIGHT / max_weight;
}

uint32_t ramp_weight(uint32_t weight, uint32_t scale, uint32_t step)
{
	uint32_t scaled = weight * scale * step / RAMP_STEPS;

	return scaled > 0 ? scaled : 1;
}
