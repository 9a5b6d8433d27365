/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lbd's API: one request over its Unix socket, one JSON answer.
 *
 * For: the nouns' files. Owns: one connection, kept between requests until api_close.
 * May know: base, libcurl, jansson. What went wrong is said on stderr here, so that a caller has
 * only to hand on the exit status.
 */
#ifndef CLI_API_H
#define CLI_API_H

#include "base/buffer.h"
#include "cli/cli.h"

/*
 * <body> may be NULL and is taken. On CLI_DONE *ret_answer is the answer, an empty object when
 * there is none (204): the caller's. With --json a refusal is printed to stdout as it came, too.
 */
enum cli_exit api_call(const struct call *call, const char *method, const char *path, json_t *body,
		       json_t **ret_answer);
/*
 * GETs a stream of server-sent events and hands each one's data to <each> until it returns false or
 * the stream ends.
 */
enum cli_exit api_stream(const struct call *call, const char *path,
			 bool (*each)(void *ctx, const json_t *event), void *ctx);
void api_close(void);

/* "/pools/a%2Fb": a slash and <text>, with what a path segment may not hold escaped. */
void path_segment(struct buffer *path, const char *text);
/* "?key=value" or "&key=value". */
void path_query(struct buffer *path, const char *key, const char *value);

#endif
