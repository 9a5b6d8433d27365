/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The server name in the first message of a TLS client (RFC 6066 section 3, RFC 8446
 * section 4.1.2), read without ending the encryption.
 *
 * For: relays that route by it. Owns: nothing. Pure. May know: base.
 * Must never know: sockets, keys, what follows the message.
 */
#ifndef PROXY_SNI_H
#define PROXY_SNI_H

#include "base/slice.h"

#define SNI_MAX_HELLO 16000 /* the whole ClientHello, so that it fits a wire with its records */
#define SNI_MAX_NAME  255

enum sni_result {
	SNI_MORE,    /* the ClientHello is not all there */
	SNI_NAME,    /* it names a server */
	SNI_NO_NAME, /* it names none */
	SNI_NO_TLS,  /* another protocol */
	SNI_BAD,     /* begins like TLS and is not */
};

struct sni {
	char name[SNI_MAX_NAME + 1]; /* SNI_NAME: lower case */
	const char *reason;	     /* SNI_BAD: a constant word */
};

/* However the bytes arrive, and whatever records they come in, the answer is the same. */
enum sni_result sni_peek(struct slice in, struct sni *ret_sni);

#endif
