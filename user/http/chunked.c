/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The chunked coding as a table: state x class of byte -> state. A combination that is not in the
 * table is refused. The trailer section is made of field lines: trailer.c.
 */
#include <errno.h>

#include "http/message.h"
#include "http/token.h"

#define MAX_SIZE_DIGITS 16

/*
 * So many bytes of data pay for one of extensions: a long body may have a short extension in every
 * chunk, but a few bytes of data cannot hide megabytes that are read and thrown away (RFC 9112
 * section 7.1.1).
 */
#define DATA_PER_EXT 16

/* BAD is 0 so that the table's gaps refuse. */
enum chunk_state {
	BAD = 0,
	SIZE_FIRST,  /* the first digit of a chunk's size */
	SIZE,	     /* more digits */
	SIZE_SPACE,  /* white space after the size: a ';' must follow */
	EXT_START,   /* after ';': the name of an extension, maybe white space first */
	EXT_NAME,    /* in the name */
	EXT_SPACE,   /* white space after a name: '=' or ';' must follow */
	EXT_EQUALS,  /* after '=': the value, maybe white space first */
	EXT_TOKEN,   /* in a value that is a token */
	EXT_QUOTED,  /* in a value that is a quoted string */
	EXT_ESCAPED, /* after a backslash in it */
	EXT_END,     /* after the closing quote */
	EXT_AFTER,   /* white space after a value: a ';' must follow */
	SIZE_LF,     /* after CR: the end of the size line */
	DATA,	     /* in the chunk's data */
	DATA_CR,     /* after the data */
	DATA_LF,
	TRAILERS, /* behind the last chunk: lines, see trailer.c */
	CHUNK_STATES
};

enum chunk_class {
	C_CTL,
	C_TEXT, /* visible or obs-text without a class of its own */
	C_HEX,
	C_TOKEN, /* other tchar */
	C_SPACE,
	C_CR,
	C_LF,
	C_SEMICOLON,
	C_EQUALS,
	C_QUOTE,
	C_BACKSLASH,
	CHUNK_CLASSES
};

/* Everything that may stand in a line of text but CR, LF and controls. */
#define ANY(to) \
	[C_TEXT] = (to), [C_HEX] = (to), [C_TOKEN] = (to), [C_SPACE] = (to), [C_SEMICOLON] = (to), \
	[C_EQUALS] = (to)

/* RFC 9112 sections 7.1, 7.1.1 and 7.1.2; lines end in CRLF and in nothing else. */
static const uint8_t moves[CHUNK_STATES][CHUNK_CLASSES] = {
	[SIZE_FIRST] = {[C_HEX] = SIZE},
	[SIZE] = {[C_HEX] = SIZE,
		  [C_SPACE] = SIZE_SPACE,
		  [C_SEMICOLON] = EXT_START,
		  [C_CR] = SIZE_LF},
	[SIZE_SPACE] = {[C_SPACE] = SIZE_SPACE, [C_SEMICOLON] = EXT_START},
	[EXT_START] = {[C_SPACE] = EXT_START, [C_HEX] = EXT_NAME, [C_TOKEN] = EXT_NAME},
	[EXT_NAME] = {[C_HEX] = EXT_NAME,
		      [C_TOKEN] = EXT_NAME,
		      [C_SPACE] = EXT_SPACE,
		      [C_EQUALS] = EXT_EQUALS,
		      [C_SEMICOLON] = EXT_START,
		      [C_CR] = SIZE_LF},
	[EXT_SPACE] = {[C_SPACE] = EXT_SPACE, [C_EQUALS] = EXT_EQUALS, [C_SEMICOLON] = EXT_START},
	[EXT_EQUALS] = {[C_SPACE] = EXT_EQUALS,
			[C_HEX] = EXT_TOKEN,
			[C_TOKEN] = EXT_TOKEN,
			[C_QUOTE] = EXT_QUOTED},
	[EXT_TOKEN] = {[C_HEX] = EXT_TOKEN,
		       [C_TOKEN] = EXT_TOKEN,
		       [C_SPACE] = EXT_AFTER,
		       [C_SEMICOLON] = EXT_START,
		       [C_CR] = SIZE_LF},
	[EXT_QUOTED] = {ANY(EXT_QUOTED), [C_BACKSLASH] = EXT_ESCAPED, [C_QUOTE] = EXT_END},
	[EXT_ESCAPED] = {ANY(EXT_QUOTED), [C_BACKSLASH] = EXT_QUOTED, [C_QUOTE] = EXT_QUOTED},
	[EXT_END] = {[C_SPACE] = EXT_AFTER, [C_SEMICOLON] = EXT_START, [C_CR] = SIZE_LF},
	[EXT_AFTER] = {[C_SPACE] = EXT_AFTER, [C_SEMICOLON] = EXT_START},
	[SIZE_LF] = {[C_LF] = DATA},
	[DATA_CR] = {[C_CR] = DATA_LF},
	[DATA_LF] = {[C_LF] = SIZE_FIRST},
};

static enum chunk_class class_of(char c)
{
	switch (c) {
	case ' ':
	case '\t':
		return C_SPACE;
	case '\r':
		return C_CR;
	case '\n':
		return C_LF;
	case ';':
		return C_SEMICOLON;
	case '=':
		return C_EQUALS;
	case '"':
		return C_QUOTE;
	case '\\':
		return C_BACKSLASH;
	default:
		break;
	}
	if (byte_is(c, BYTE_HEX))
		return C_HEX;
	if (byte_is(c, BYTE_TOKEN))
		return C_TOKEN;
	return byte_is(c, BYTE_VALUE) ? C_TEXT : C_CTL;
}

/* What a refusal in <state> is called. */
static const char *reason_of(uint32_t state)
{
	if (state <= SIZE)
		return "bad_chunk_size";
	if (state <= SIZE_LF)
		return "bad_chunk_extension";
	return "bad_chunk_end";
}

void http_chunked_init(struct http_chunked *chunked)
{
	*chunked = (struct http_chunked){.state = SIZE_FIRST};
}

/* NULL, or why the size is not one. Leading zeros are noise and count as extension bytes. */
static const char *add_digit(struct http_chunked *chunked, char c)
{
	unsigned digit =
		byte_is(c, BYTE_DIGIT) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;

	if (++chunked->digits > MAX_SIZE_DIGITS || chunked->left > (uint64_t)INT64_MAX >> 4)
		return "chunk_too_large";
	if (chunked->digits > 1 && chunked->left == 0 && ++chunked->ext_bytes > HTTP_MAX_CHUNK_EXT)
		return "chunk_extensions_too_large";
	chunked->left = chunked->left << 4 | digit;
	return NULL;
}

/* The size line is complete. Paid by the size, not as data comes: how it is split changes nothing.
 */
static void begin_data(struct http_chunked *chunked)
{
	uint64_t paid = chunked->left / DATA_PER_EXT;

	chunked->ext_bytes -= paid < chunked->ext_bytes ? (uint16_t)paid : chunked->ext_bytes;
	chunked->trailers = chunked->left == 0;
	if (chunked->trailers)
		chunked->state = TRAILERS;
}

/* What follows from having moved into <state> by <c>: NULL, or why not. */
static const char *enter(struct http_chunked *chunked, uint8_t state, char c)
{
	chunked->state = state;
	switch (state) {
	case SIZE_FIRST:
		chunked->digits = 0;
		return NULL;
	case SIZE:
		return add_digit(chunked, c);
	case DATA:
		begin_data(chunked);
		return NULL;
	default:
		break;
	}
	if (state >= SIZE_SPACE && state <= EXT_AFTER && ++chunked->ext_bytes > HTTP_MAX_CHUNK_EXT)
		return "chunk_extensions_too_large";
	return NULL;
}

static size_t take_data(struct http_chunked *chunked, struct slice rest, struct slice *ret_data)
{
	size_t len = rest.len < chunked->left ? rest.len : (size_t)chunked->left;

	*ret_data = (struct slice){rest.ptr, len};
	chunked->left -= len;
	if (chunked->left == 0)
		chunked->state = DATA_CR;
	return len;
}

static int step(struct http_chunked *chunked, const char *at, struct http_refusal *refusal)
{
	uint8_t state = moves[chunked->state][class_of(*at)];
	const char *problem = state == BAD ? reason_of(chunked->state) : enter(chunked, state, *at);

	if (!problem)
		return 0;
	chunked->state = BAD;
	*refusal = (struct http_refusal){.status = 400, .reason = problem};
	return -EBADMSG;
}

/* Lines of the trailer section that nobody wants. */
static ssize_t skip_trailers(struct http_chunked *chunked, struct slice in,
			     struct http_refusal *refusal)
{
	struct http_header field;
	size_t used = 0;

	while (!chunked->done) {
		ssize_t n = http_trailer_read(chunked, (struct slice){in.ptr + used, in.len - used},
					      &field, refusal);

		if (n < 0)
			refusal->offset += used;
		if (n < 0)
			return n;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

ssize_t http_chunked_read(struct http_chunked *chunked, struct slice in, struct slice *ret_data,
			  struct http_refusal *ret_refusal)
{
	struct slice data = {in.ptr, 0};
	ssize_t n = 0;
	size_t i = 0;

	if (in.len == 0) {
		*ret_data = in;
		return 0;
	}
	for (; i < in.len && !chunked->trailers && !chunked->done; i++) {
		if (chunked->state == DATA) {
			i += take_data(chunked, (struct slice){in.ptr + i, in.len - i}, &data);
			break;
		}
		if (step(chunked, in.ptr + i, ret_refusal) < 0) {
			ret_refusal->offset = i;
			return -EBADMSG;
		}
	}
	if (chunked->trailers && !chunked->keep_trailers)
		n = skip_trailers(chunked, (struct slice){in.ptr + i, in.len - i}, ret_refusal);
	if (n < 0) {
		ret_refusal->offset += i;
		return n;
	}
	*ret_data = data;
	return (ssize_t)i + n;
}
