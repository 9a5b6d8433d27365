/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers as sixteen lower-case hexadecimal digits.
 *
 * For: ids that go out with every request. Owns: nothing. Knows: nobody.
 */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdint.h>
#include <string.h>

#define HEX_LEN 16

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits are laid out by byte order");

/* Eight digits at once, the most significant in the lowest byte of the result. */
static inline uint64_t hex_digits(uint32_t number)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t word = __builtin_bswap32(number); /* the first two digits in the lowest byte */
	uint64_t letters;

	word = (word | word << 16) & 0x0000ffff0000ffffu;
	word = (word | word << 8) & 0x00ff00ff00ff00ffu;
	word = (word >> 4 | word << 8) & 0x0f0f0f0f0f0f0f0fu; /* one digit a byte */
	letters = ((word + ones * 6) >> 4) & ones;	      /* 1 for a to f */
	return word + ones * '0' + letters * ('a' - '0' - 10);
}

static inline void hex_write(uint64_t number, char out[static HEX_LEN])
{
	uint64_t high = hex_digits((uint32_t)(number >> 32)), low = hex_digits((uint32_t)number);

	memcpy(out, &high, sizeof(high));
	memcpy(out + sizeof(high), &low, sizeof(low));
}

#endif
