/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/sni.h"

#include <ctype.h>
#include <stdint.h>

/* RFC 8446 section 5.1 and section 4. */
#define RECORD_HEAD	 5
#define RECORD_MAX	 16384
#define RECORD_HANDSHAKE 22
#define HELLO_HEAD	 4
#define HELLO_CLIENT	 1

enum { EXTENSION_SERVER_NAME = 0, NAME_TYPE_HOST = 0 };

/* ---- Records -------------------------------------------------------------------------------- */

/* The handshake's bytes, without the records' heads. */
struct hello {
	unsigned char bytes[SNI_MAX_HELLO];
	size_t len;
	size_t want; /* HELLO_HEAD and then all of it */
};

static enum sni_result bad(struct sni *ret_sni, const char *reason)
{
	ret_sni->reason = reason;
	return SNI_BAD;
}

static size_t u16(const unsigned char *at)
{
	return (size_t)at[0] << 8 | at[1];
}

/* What of <head> there is must be that of a handshake's record. */
static enum sni_result check_record(struct slice head, bool first, struct sni *ret_sni)
{
	const unsigned char *at = (const unsigned char *)head.ptr;

	if (head.len > 0 && at[0] != RECORD_HANDSHAKE)
		return first ? SNI_NO_TLS : bad(ret_sni, "unexpected_record");
	if (head.len > 1 && at[1] != 3)
		return first ? SNI_NO_TLS : bad(ret_sni, "unexpected_version");
	if (head.len < RECORD_HEAD)
		return SNI_MORE;
	/* Empty ones are not allowed for handshakes. */
	if (u16(at + 3) == 0 || u16(at + 3) > RECORD_MAX)
		return bad(ret_sni, "bad_record_length");
	return SNI_NAME;
}

/* As soon as its head is there: what the whole message takes. */
static enum sni_result measure(struct hello *hello, struct sni *ret_sni)
{
	size_t len;

	if (hello->len > 0 && hello->bytes[0] != HELLO_CLIENT)
		return bad(ret_sni, "no_client_hello");
	if (hello->len < HELLO_HEAD)
		return SNI_MORE;
	len = (size_t)hello->bytes[1] << 16 | u16(hello->bytes + 2);
	if (len > SNI_MAX_HELLO - HELLO_HEAD)
		return bad(ret_sni, "client_hello_too_long");
	hello->want = HELLO_HEAD + len;
	return hello->len < hello->want ? SNI_MORE : SNI_NAME;
}

static void append(struct hello *hello, struct slice data)
{
	size_t room = SNI_MAX_HELLO - hello->len;
	size_t len = data.len < room ? data.len : room;

	memcpy(hello->bytes + hello->len, data.ptr, len);
	hello->len += len;
}

/* SNI_NAME when all of the message is in <hello>. */
static enum sni_result collect(struct slice in, struct hello *hello, struct sni *ret_sni)
{
	bool first = true;

	for (;;) {
		enum sni_result result = check_record(in, first, ret_sni);
		struct slice body;

		if (result != SNI_NAME)
			return result;
		body = (struct slice){in.ptr + RECORD_HEAD, in.len - RECORD_HEAD};
		if (body.len > u16((const unsigned char *)in.ptr + 3))
			body.len = u16((const unsigned char *)in.ptr + 3);
		append(hello, body);
		result = measure(hello, ret_sni);
		in.ptr += RECORD_HEAD + body.len;
		in.len -= RECORD_HEAD + body.len;
		if (result != SNI_MORE || in.len == 0)
			return result;
		first = false;
	}
}

/* ---- The message ---------------------------------------------------------------------------- */

/* What is left of a vector; NULL once something was longer than it. */
struct part {
	const unsigned char *at;
	size_t len;
};

static struct part take(struct part *from, size_t len)
{
	struct part part = {NULL, 0};

	if (!from->at || len > from->len) {
		from->at = NULL;
		from->len = 0;
		return part;
	}
	part = (struct part){from->at, len};
	from->at += len;
	from->len -= len;
	return part;
}

/* A vector with its length in <size> bytes before it. */
static struct part take_vector(struct part *from, size_t size)
{
	struct part head = take(from, size);

	if (!head.at)
		return head;
	return take(from, size == 1 ? head.at[0] : u16(head.at));
}

static bool copy_name(struct part name, struct sni *ret_sni)
{
	if (name.len == 0 || name.len > SNI_MAX_NAME)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = name.at[i];

		if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '.' && c != '_'))
			return false;
		ret_sni->name[i] = (char)tolower(c);
	}
	ret_sni->name[name.len] = '\0';
	return name.at[0] != '.' && name.at[name.len - 1] != '.';
}

/* One name of the type that everybody uses; others are skipped (RFC 6066 section 3). */
static enum sni_result read_names(struct part extension, struct sni *ret_sni)
{
	struct part names = take_vector(&extension, 2);
	bool found = false;

	if (!names.at || names.len == 0 || extension.len > 0)
		return bad(ret_sni, "bad_server_name");
	while (names.len > 0) {
		struct part type = take(&names, 1);
		struct part name = take_vector(&names, 2);

		if (!type.at || !name.at)
			return bad(ret_sni, "bad_server_name");
		if (type.at[0] != NAME_TYPE_HOST)
			continue;
		if (found || !copy_name(name, ret_sni))
			return bad(ret_sni, "bad_server_name");
		found = true;
	}
	return found ? SNI_NAME : SNI_NO_NAME;
}

static enum sni_result read_extensions(struct part extensions, struct sni *ret_sni)
{
	enum sni_result result = SNI_NO_NAME;
	bool seen = false;

	while (extensions.len > 0) {
		struct part type = take(&extensions, 2);
		struct part data = take_vector(&extensions, 2);

		if (!data.at)
			return bad(ret_sni, "bad_extensions");
		if (u16(type.at) != EXTENSION_SERVER_NAME)
			continue;
		if (seen)
			return bad(ret_sni, "two_server_names");
		seen = true;
		result = read_names(data, ret_sni);
		if (result == SNI_BAD)
			return result;
	}
	return result;
}

static enum sni_result read_hello(struct part hello, struct sni *ret_sni)
{
	struct part suites, methods, extensions;

	take(&hello, 2 + 32); /* version, random */
	if (take_vector(&hello, 1).len > 32)
		return bad(ret_sni, "bad_session_id");
	suites = take_vector(&hello, 2);
	methods = take_vector(&hello, 1);
	if (!methods.at || suites.len < 2 || suites.len % 2 || methods.len == 0)
		return bad(ret_sni, "bad_client_hello");
	if (hello.len == 0)
		return SNI_NO_NAME; /* extensions came with TLS 1.2 */
	extensions = take_vector(&hello, 2);
	if (!extensions.at || hello.len > 0)
		return bad(ret_sni, "bad_extensions");
	return read_extensions(extensions, ret_sni);
}

enum sni_result sni_peek(struct slice in, struct sni *ret_sni)
{
	struct hello hello;
	enum sni_result result;

	hello.len = 0;
	hello.want = 0;
	result = collect(in, &hello, ret_sni);
	if (result != SNI_NAME)
		return result;
	return read_hello((struct part){hello.bytes + HELLO_HEAD, hello.want - HELLO_HEAD},
			  ret_sni);
}
