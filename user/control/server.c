/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/socket.h"

#define SOCKET_MODE 0660

/*
 * Takes what waits while there are places. Out of descriptors or memory is said once and not tried
 * again before a connection has ended or the next client comes.
 */
static void on_client(struct source *source)
{
	struct control *control = container_of(source, struct control, listener);

	while (control->n_connections < CONTROL_MAX_CONNECTIONS) {
		int fd = socket_accept(source->fd, NULL);
		int err = fd;

		if (err == -EAGAIN)
			return;
		if (fd >= 0) {
			err = connection_open(control, fd);
			if (err < 0)
				close(fd);
		}
		if (err < 0) {
			log_warning("cannot accept on '%s': %s", control->path, strerror(-err));
			return;
		}
	}
}

static void free_deferred(struct deferred *deferred)
{
	struct control *control = container_of(deferred, struct control, deferred);

	free(control->path);
	free(control);
}

int control_start(struct loop *loop, const char *path, const struct control_route *routes,
		  void *ctx, struct control **ret_control, struct error *err)
{
	int fd = socket_listen_unix(path, SOCKET_MODE);
	int code;

	if (fd < 0)
		return error_set(err, fd, "admin.socket", "cannot listen on '%s': %s", path,
				 strerror(-fd));
	code = control_adopt(loop, fd, path, routes, ctx, ret_control);
	if (code == 0)
		return 0;
	close(fd);
	(void)unlink(path);
	return error_set(err, code, "admin.socket", "cannot listen on '%s': %s", path,
			 strerror(-code));
}

/* NOLINTNEXTLINE(readability-function-size): one parameter over, as control_start has them */
int control_adopt(struct loop *loop, int fd, const char *path, const struct control_route *routes,
		  void *ctx, struct control **ret_control)
{
	struct control *control = calloc(1, sizeof(*control));
	char *copy = strdup(path);
	int code = -ENOMEM;

	if (!control || !copy)
		goto fail;
	*control = (struct control){
		.loop = loop,
		.path = copy,
		.routes = routes,
		.ctx = ctx,
		.timeout_ms = CONTROL_TIMEOUT_MS,
		.deferred.run = free_deferred,
	};
	list_init(&control->connections);
	code = loop_add(loop, &control->listener, fd, on_client);
	if (code < 0)
		goto fail;
	*ret_control = control;
	return 0;
fail:
	free(copy);
	free(control);
	return code;
}

int control_fd(const struct control *control)
{
	return control->listener.fd;
}

void control_wake(struct control *control)
{
	if (!control || control->n_streams == 0)
		return;
	list_for_each (node, &control->connections) {
		struct connection *connection = container_of(node, struct connection, node);

		if (connection->state == CONNECTION_STREAM)
			loop_run_again(control->loop, &connection->source);
	}
}

/* Memory goes at the end of the turn: a verb may close the server it was called by. */
void control_give_up(struct control *control)
{
	if (!control)
		return;
	loop_remove(control->loop, &control->listener);
	list_for_each_safe (node, &control->connections)
		connection_close(container_of(node, struct connection, node));
	close(control->listener.fd);
	loop_defer(control->loop, &control->deferred);
}

void control_close(struct control *control)
{
	if (control)
		(void)unlink(control->path);
	control_give_up(control);
}
