/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/parse.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
	const char *name;
	uint64_t factor;
};

bool parse_u64(struct slice text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret_value = value;
	return true;
}

static bool parse_with_unit(struct slice text, const struct unit *units, size_t n_units,
			    uint64_t *ret_value)
{
	size_t digits = 0;
	struct slice rest;
	uint64_t value;

	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	if (!parse_u64((struct slice){text.ptr, digits}, &value))
		return false;
	rest = (struct slice){text.ptr + digits, text.len - digits};
	for (size_t i = 0; i < n_units; i++) {
		if (slice_eq(rest, slice_of(units[i].name)))
			return !__builtin_mul_overflow(value, units[i].factor, ret_value);
	}
	return false;
}

bool parse_duration_ms(struct slice text, uint32_t *ret_ms)
{
	static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	uint64_t ms;

	if (slice_eq(text, SLICE("0"))) {
		*ret_ms = 0;
		return true;
	}
	if (!parse_with_unit(text, units, COUNT(units), &ms) || ms > UINT32_MAX)
		return false;
	*ret_ms = (uint32_t)ms;
	return true;
}
