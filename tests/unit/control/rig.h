/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A control server on a thread of its own, and blocking clients for it.
 *
 * For: the tests of control. Owns: the thread, the loop, a temporary directory.
 * A client that waits longer than RIG_WAIT_S gets an error and fails its test.
 */
#ifndef TESTS_CONTROL_RIG_H
#define TESTS_CONTROL_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/parse.h"
#include "control/server.h"

#define RIG_WAIT_S 20

struct rig {
	char dir[32];
	char path[64];
	struct loop *loop;
	struct control *control;
	pthread_t thread;
};

/* Says back what it was asked. */
static inline void rig_echo(void *ctx, const struct control_request *request,
			    struct control_reply *reply)
{
	json_t *params = json_object();

	(void)ctx;
	for (unsigned i = 0; i < request->n_params; i++)
		json_object_set_new(params, request->params[i].name,
				    json_string(request->params[i].value));
	reply->body = json_pack("{s:i, s:s, s:s?, s:o, s:O?}", "method", request->method, "path",
				request->path, "arg", request->args[0], "params", params, "body",
				request->body);
}

/* As many letters as ?size= says. */
static inline void rig_big(void *ctx, const struct control_request *request,
			   struct control_reply *reply)
{
	const char *size = control_param(request, "size");
	uint64_t len = 0;
	char *text;

	(void)ctx;
	if (!size || !parse_u64(slice_of(size), &len)) {
		control_fail(reply, 400, "bad_size", "size", "'%s' is no size", size ? size : "");
		return;
	}
	text = malloc(len + 1);
	assert_non_null(text);
	memset(text, 'x', len);
	reply->body = json_pack("{s:s#}", "text", text, (int)len);
	free(text);
}

static inline void rig_nothing(void *ctx, const struct control_request *request,
			       struct control_reply *reply)
{
	(void)ctx;
	(void)request;
	reply->status = 202;
}

/* The server is gone when its verb returns. */
static inline void rig_close(void *ctx, const struct control_request *request,
			     struct control_reply *reply)
{
	struct rig *rig = ctx;

	(void)request;
	(void)reply;
	control_close(rig->control);
	rig->control = NULL;
}

static const struct control_route rig_routes[] = {
	{HTTP_GET, "/v1/things", rig_echo},
	{HTTP_GET, "/v1/things/*", rig_echo},
	{HTTP_PUT, "/v1/things/*", rig_echo},
	{HTTP_DELETE, "/v1/things/*", rig_nothing},
	{HTTP_GET, "/v1/big", rig_big},
	{HTTP_POST, "/v1/close", rig_close},
	{HTTP_OTHER, NULL, NULL},
};

static inline void *rig_run(void *arg)
{
	struct rig *rig = arg;

	return (void *)(intptr_t)loop_run(rig->loop);
}

/* <timeout_ms> 0: the usual one. */
static inline void rig_start_routes(struct rig *rig, uint32_t timeout_ms,
				    const struct control_route *routes)
{
	struct error err;

	*rig = (struct rig){.dir = "/tmp/control-test-XXXXXX"};
	assert_non_null(mkdtemp(rig->dir));
	(void)snprintf(rig->path, sizeof(rig->path), "%s/socket", rig->dir);
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(control_start(rig->loop, rig->path, routes, rig, &rig->control, &err), 0);
	if (timeout_ms > 0)
		rig->control->timeout_ms = timeout_ms;
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_run, rig), 0);
}

static inline void rig_start(struct rig *rig, uint32_t timeout_ms)
{
	rig_start_routes(rig, timeout_ms, rig_routes);
}

static inline void rig_stop(struct rig *rig)
{
	void *result;

	loop_stop(rig->loop);
	assert_int_equal(pthread_join(rig->thread, &result), 0);
	assert_null(result);
	control_close(rig->control);
	loop_free(rig->loop);
	assert_int_equal(access(rig->path, F_OK), -1);
	assert_int_equal(rmdir(rig->dir), 0);
}

static inline int rig_connect(const struct rig *rig)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = RIG_WAIT_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(name.sun_path, rig->path, sizeof(rig->path));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

/* A server that has refused may have stopped reading: that is not our failure. */
static inline void rig_send(int fd, struct slice text)
{
	while (text.len > 0) {
		ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return;
		assert_true(n > 0);
		text = (struct slice){text.ptr + n, text.len - (size_t)n};
	}
}

/* Exactly so much. */
static inline void rig_read(int fd, char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, text, len, 0);

		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

/* All up to the end of the connection; the caller ends <ret_text>. */
static inline void rig_read_all(int fd, struct buffer *ret_text)
{
	char piece[4096];
	ssize_t n;

	*ret_text = (struct buffer){0};
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		buffer_append(ret_text, piece, (size_t)n);
	assert_int_equal(n, 0);
	buffer_append(ret_text, "", 0);
	assert_false(ret_text->failed);
}

/* Connect, send, read all, close. */
static inline void rig_ask(const struct rig *rig, struct slice text, struct buffer *ret_text)
{
	int fd = rig_connect(rig);

	rig_send(fd, text);
	rig_read_all(fd, ret_text);
	close(fd);
}

#endif
