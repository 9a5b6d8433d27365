/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is to be changed in the head of a response, noted while the request is at hand.
 *
 * For: client_request.c (notes), forward.c (applies). Owns: nothing; the notes are in a wire of the
 * exchange. May know: http, wires, header edits.
 * A response may come after the configuration has changed and the request's head is gone: what its
 * route wants is written down with all variables filled in but those of the backend. One line each:
 *
 *	-Server:\n			remove
 *	=X-Pool:web\n			set
 *	+Link:<x>\n			add
 *	*Set-Cookie:lb=\2; Path=/\n	add, if the backend is not the one that the cookie named
 *
 * In a value \1 stands for the backend's name and \2 for its token: no header can hold them.
 */
#ifndef PROXY_REPLY_EDIT_H
#define PROXY_REPLY_EDIT_H

#include "proxy/buffer_pool.h"
#include "proxy/header_edit.h"
#include "proxy/variables.h"

#define REPLY_BACKEND "\1"
#define REPLY_TOKEN   "\2"

/* What is known of the backend that has answered. */
struct reply_backend {
	struct slice name;
	struct slice token; /* that a cookie would name it by */
	bool moved;	    /* the request's cookie has not named it */
};

/* Appends the notes; -EMSGSIZE when they do not fit. */
int reply_edit_note(const struct header_edits *edits, struct variables *variables,
		    struct wire *out);
/* Takes out of <head> (NULL: none) what the notes remove or set; bits of the ids taken. */
uint32_t reply_edit_withhold(struct slice notes, struct http_head *head);
/* Appends what they set or add. */
void reply_edit_put(struct slice notes, const struct reply_backend *backend, struct http_writer *w);

#endif
