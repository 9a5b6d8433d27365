/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/utf8.h"

#include <stdint.h>

struct form {
	uint8_t mask, lead;
	uint8_t len;
	uint32_t least; /* smaller ones have a shorter form */
};

static bool has_tail(const uint8_t *bytes, const struct form *form)
{
	uint32_t rune = bytes[0] & (uint8_t)~form->mask;

	for (size_t i = 1; i < form->len; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return false;
		rune = rune << 6 | (bytes[i] & 0x3f);
	}
	return rune >= form->least && rune <= 0x10ffff && (rune < 0xd800 || rune > 0xdfff);
}

size_t utf8_length(struct slice text)
{
	static const struct form forms[] = {
		{0x80, 0x00, 1, 0},
		{0xe0, 0xc0, 2, 0x80},
		{0xf0, 0xe0, 3, 0x800},
		{0xf8, 0xf0, 4, 0x10000},
	};
	const uint8_t *bytes = (const uint8_t *)text.ptr;

	for (size_t i = 0; text.len > 0 && i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((bytes[0] & forms[i].mask) == forms[i].lead)
			return text.len >= forms[i].len && has_tail(bytes, &forms[i]) ? forms[i].len
										      : 0;
	}
	return 0;
}

void utf8_make_printable(char *text)
{
	struct slice rest = slice_of(text);

	while (rest.len > 0) {
		size_t len = utf8_length(rest);

		if (len == 0 || (unsigned char)*text < ' ' || *text == 0x7f) {
			*text = '?';
			len = 1;
		}
		text += len;
		rest = (struct slice){text, rest.len - len};
	}
}
