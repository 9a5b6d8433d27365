/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "daemon/entry.h"
#include "daemon/generation.h"
#include "daemon/handover.h"
#include "daemon/supervise.h"
#include "proxy/session.h"

struct inheritance {
	int channel;
	int old_pid;
	int api, lock, rows; /* -1: none */
	int *listeners;
	uint32_t n_listeners;
	json_t *ids;	/* [{id, pool, address}] */
	json_t *health; /* {"POOL/NAME": {...}} */
	json_t *counts; /* of the process before */
	json_t *older;	/* the counts of the generation that was named last */
};

/* ---- Receiving ----------------------------------------------------------------------------- */

static int take_fd(struct handover_message *message)
{
	int fd = message->n_fds > 0 ? message->fds[0] : -1;

	if (message->n_fds > 0)
		message->fds[0] = -1;
	return fd;
}

static int keep_listeners(struct inheritance *inheritance, struct handover_message *message)
{
	size_t n = inheritance->n_listeners + (size_t)message->n_fds;
	int *longer = reallocarray(inheritance->listeners, n + 1, sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	inheritance->listeners = longer;
	for (unsigned i = 0; i < message->n_fds; i++) {
		longer[inheritance->n_listeners++] = message->fds[i];
		message->fds[i] = -1;
	}
	return 0;
}

static int keep_generation(struct load_balancer *lb, struct handover_message *message)
{
	int fd = take_fd(message);

	json_decref(lb->inheritance->older);
	lb->inheritance->older = json_object();
	return fd < 0 ? -EBADMSG
		      : generation_add(lb, fd, json_incref(message->json),
				       json_incref(lb->inheritance->older));
}

static void keep_counts(struct load_balancer *lb, const json_t *message)
{
	struct inheritance *inheritance = lb->inheritance;
	const char *of = json_string_value(json_object_get(message, "of"));
	json_t *to = NULL;

	if (of && strcmp(of, "past") == 0)
		to = lb->past;
	else if (of && strcmp(of, "generation") == 0)
		to = inheritance->older;
	else if (of)
		to = inheritance->counts;
	(void)json_object_update(to, json_object_get(message, "services"));
}

static json_t *health_key(const char *pool, const char *name)
{
	return json_sprintf("%s/%s", pool, name);
}

static void keep_health(struct inheritance *inheritance, const json_t *list)
{
	size_t i;
	json_t *backend;

	json_array_foreach ((json_t *)list, i, backend) {
		json_t *key = health_key(json_string_value(json_object_get(backend, "pool")),
					 json_string_value(json_object_get(backend, "name")));

		if (key)
			(void)json_object_set(inheritance->health, json_string_value(key), backend);
		json_decref(key);
	}
}

static int keep_fd(struct load_balancer *lb, struct handover_message *message)
{
	struct inheritance *inheritance = lb->inheritance;

	if (strcmp(message->type, "listener") == 0)
		return keep_listeners(inheritance, message);
	if (strcmp(message->type, "api") == 0)
		inheritance->api = take_fd(message);
	else if (strcmp(message->type, "lock") == 0)
		inheritance->lock = take_fd(message);
	else if (strcmp(message->type, "rows") == 0)
		inheritance->rows = take_fd(message);
	else if (strcmp(message->type, "generation") == 0)
		return keep_generation(lb, message);
	return 0;
}

static void keep_names(struct load_balancer *lb, const json_t *json)
{
	const json_t *last = json_object_get(json, "last_session");

	lb->inheritance->old_pid = (int)json_integer_value(json_object_get(json, "pid"));
	lb->last_session = (uint64_t)json_integer_value(last);
	session_number_from(lb->last_session);
}

static int keep(struct load_balancer *lb, struct handover_message *message)
{
	struct inheritance *inheritance = lb->inheritance;
	const json_t *backends = json_object_get(message->json, "backends");

	if (message->n_fds > 0)
		return keep_fd(lb, message);
	if (strcmp(message->type, "ids") == 0)
		(void)json_array_extend(inheritance->ids, (json_t *)backends);
	else if (strcmp(message->type, "health") == 0)
		keep_health(inheritance, backends);
	else if (strcmp(message->type, "counts") == 0)
		keep_counts(lb, message->json);
	else if (strcmp(message->type, "prepare") == 0)
		keep_names(lb, message->json);
	return 0;
}

/* Everything up to a message of type <last>. */
static int receive_until(struct load_balancer *lb, const char *last)
{
	struct pollfd wait = {.fd = lb->inheritance->channel, .events = POLLIN};
	struct handover_message message;

	for (;;) {
		bool was_last;
		int r = handover_receive(wait.fd, &message);

		if (r == -EAGAIN && poll(&wait, 1, -1) >= 0)
			continue;
		if (r <= 0)
			return r < 0 ? r : -ECONNRESET;
		r = keep(lb, &message);
		was_last = strcmp(message.type, last) == 0;
		handover_message_fini(&message);
		if (r < 0 || was_last)
			return r;
	}
}

static int fetch(struct load_balancer *lb, const char *last, struct error *err)
{
	int r = receive_until(lb, last);

	return r == 0 ? 0
		      : error_set(err, r, "", "the lbd before this one did not hand over: %s",
				  strerror(-r));
}

static int say(struct load_balancer *lb, json_t *json, struct error *err)
{
	int r = handover_send(lb->inheritance->channel, json, NULL, 0);

	return r == 0 ? 0
		      : error_set(err, r, "", "cannot talk to the lbd before this one: %s",
				  strerror(-r));
}

/* ---- Before this one writes ----------------------------------------------------------------- */

/* The number in the environment, once: a child of ours must not find it. */
static int channel_of_environment(void)
{
	const char *text = getenv(HANDOVER_VARIABLE);
	char *end;
	long fd;
	int type = 0;
	socklen_t len = sizeof(type);

	if (!text)
		return -1;
	fd = strtol(text, &end, 10);
	(void)unsetenv(HANDOVER_VARIABLE);
	if (*end || fd < 0 || fd > INT_MAX ||
	    getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return -1;
	(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return (int)fd;
}

int inherit_open(struct load_balancer *lb, struct error *err)
{
	struct inheritance *inheritance;
	int channel = channel_of_environment();
	int r;

	if (channel < 0)
		return 0;
	inheritance = calloc(1, sizeof(*inheritance));
	if (!inheritance) {
		close(channel);
		return error_set(err, -ENOMEM, "", "out of memory");
	}
	*inheritance = (struct inheritance){.channel = channel, .api = -1, .lock = -1, .rows = -1};
	inheritance->ids = json_array();
	inheritance->health = json_object();
	inheritance->counts = json_object();
	lb->inheritance = inheritance;
	r = say(lb,
		json_pack("{s:s,s:s,s:i}", "type", "hello", "version", lb->version, "pid",
			  (int)getpid()),
		err);
	return r == 0 ? fetch(lb, "prepare", err) : r;
}

int inherit_listeners(struct load_balancer *lb, struct error *err)
{
	struct inheritance *inheritance = lb->inheritance;

	while (inheritance && lb->proxy && inheritance->n_listeners > 0) {
		int r = proxy_inherit(lb->proxy,
				      inheritance->listeners[inheritance->n_listeners - 1]);

		if (r < 0)
			return error_set(err, r, "listen", "cannot take a listener over: %s",
					 strerror(-r));
		inheritance->n_listeners--;
	}
	return 0;
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int inherit_lock(struct load_balancer *lb)
{
	return lb->inheritance ? take(&lb->inheritance->lock) : -1;
}

int inherit_rows(struct load_balancer *lb)
{
	return lb->inheritance ? take(&lb->inheritance->rows) : -1;
}

void inherit_each_id(struct load_balancer *lb,
		     void (*each)(void *ctx, uint16_t id, const char *pool,
				  const struct addr *addr))
{
	size_t i;
	json_t *json;

	if (!lb->inheritance)
		return;
	json_array_foreach (lb->inheritance->ids, i, json) {
		const char *text = json_string_value(json_object_get(json, "address"));
		const char *pool = json_string_value(json_object_get(json, "pool"));
		json_int_t id = json_integer_value(json_object_get(json, "id"));
		struct addr addr;

		if (text && pool && id > 0 && id < LB_MAX_BACKENDS &&
		    !addr_parse(slice_of(text), false, &addr))
			each(lb, (uint16_t)id, pool, &addr);
	}
}

int inherit_writing(struct load_balancer *lb, struct error *err)
{
	int r;

	if (!lb->inheritance)
		return 0;
	r = say(lb, json_pack("{s:s}", "type", "ready"), err);
	if (r == 0)
		r = fetch(lb, "go", err);
	if (r == 0 && lb->dataplane)
		r = dataplane_write(lb->dataplane, err);
	return r;
}

/* ---- Health -------------------------------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* A word of ours, as pools want constants. */
static const char *reason_word(const char *text)
{
	int reason = text ? strtable_value(&health_reason_names, slice_of(text)) : -1;

	return strtable_name(&health_reason_names, reason < 0 ? HEALTH_NOT_CHECKED : reason);
}

static enum backend_health health_of(json_int_t value)
{
	return value == HEALTH_UP || value == HEALTH_DOWN ? (enum backend_health)value
							  : HEALTH_UNKNOWN;
}

static void restore_history(struct backend *backend, const json_t *list)
{
	size_t i;
	json_t *change;

	backend->n_history = 0;
	json_array_foreach ((json_t *)list, i, change) {
		if (i >= BACKEND_HISTORY)
			break;
		backend->history[backend->n_history++] = (struct health_change){
			.at_wall_ms = (uint64_t)json_integer_value(json_array_get(change, 0)),
			.from = health_of(json_integer_value(json_array_get(change, 1))),
			.to = health_of(json_integer_value(json_array_get(change, 2))),
			.reason = reason_word(json_string_value(json_array_get(change, 3))),
		};
	}
}

void inherit_health(struct load_balancer *lb, struct pool_entry *entry, struct backend *backend)
{
	struct backend_check *check = backend->user;
	char address[ADDR_TEXT_LEN];
	const json_t *known;
	const char *was;
	json_t *key;
	uint64_t reason;

	if (!lb->inheritance)
		return;
	key = health_key(pool_spec(entry->pool)->name, backend->spec.name);
	known = json_object_get(lb->inheritance->health, json_string_value(key));
	json_decref(key);
	was = json_string_value(json_object_get(known, "address"));
	if (!was || strcmp(was, addr_format(&backend->spec.addr, address)) != 0)
		return;
	pool_mark(entry->pool, backend, health_of((json_int_t)number(known, "health")),
		  reason_word(json_string_value(json_object_get(known, "reason"))));
	backend->changed_wall_ms = number(known, "changed");
	if (number(known, "eligible_since"))
		backend->eligible_since_wall_ms = number(known, "eligible_since");
	restore_history(backend, json_object_get(known, "history"));
	reason = number(known, "last_reason");
	check->last.reason =
		reason < HEALTH_REASON_COUNT ? (enum health_reason)reason : HEALTH_NOT_CHECKED;
	check->last.probed_wall_ms = number(known, "probed");
	check->last.good_wall_ms = number(known, "good");
}

/* ---- Serving ------------------------------------------------------------------------------- */

int inherit_api(struct load_balancer *lb, int *ret_fd)
{
	struct sockaddr_un name = {0};
	socklen_t len = sizeof(name) - 1;

	if (!lb->inheritance || lb->inheritance->api < 0 ||
	    getsockname(lb->inheritance->api, (struct sockaddr *)&name, &len) < 0 ||
	    strcmp(name.sun_path, lb->config->socket) != 0)
		return -ENOENT;
	*ret_fd = take(&lb->inheritance->api);
	return 0;
}

static void add_unused(void *ctx, const struct addr *addr)
{
	char text[ADDR_TEXT_LEN];

	(void)json_array_append_new(ctx, json_string(addr_format(addr, text)));
}

int inherit_serving(struct load_balancer *lb, struct error *err)
{
	struct inheritance *inheritance = lb->inheritance;
	json_t *unused = json_array();
	json_t *state;
	int r;

	if (lb->proxy)
		proxy_each_unused(lb->proxy, add_unused, unused);
	r = say(lb, json_pack("{s:s,s:o}", "type", "serving", "unused", unused), err);
	if (r < 0)
		return r;
	state = json_pack("{s:i,s:i,s:i}", "pid", inheritance->old_pid, "sessions", 0,
			  "deadline_ms", 0);
	r = generation_add(lb, take(&inheritance->channel), state,
			   json_incref(inheritance->counts));
	generations_count(lb);
	return r == 0 ? 0 : error_set(err, r, "", "cannot listen to the lbd before this one");
}

bool inherit_is_from(const struct load_balancer *lb, long long pid)
{
	return lb->inheritance && lb->inheritance->old_pid == pid;
}

void inherit_finish(struct load_balancer *lb)
{
	log_info("took over from process %d", lb->inheritance->old_pid);
	if (lb->proxy)
		proxy_accept(lb->proxy);
	supervise_ready(lb);
	inherit_free(lb);
}

void inherit_fail(struct load_balancer *lb, const char *why)
{
	if (lb->inheritance && lb->inheritance->channel >= 0)
		(void)handover_send(lb->inheritance->channel,
				    json_pack("{s:s,s:s}", "type", "failed", "why", why), NULL, 0);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void inherit_free(struct load_balancer *lb)
{
	struct inheritance *inheritance = lb->inheritance;

	if (!inheritance)
		return;
	for (uint32_t i = 0; i < inheritance->n_listeners; i++)
		close_fd(inheritance->listeners[i]);
	close_fd(inheritance->channel);
	close_fd(inheritance->api);
	close_fd(inheritance->lock);
	close_fd(inheritance->rows);
	json_decref(inheritance->ids);
	json_decref(inheritance->health);
	json_decref(inheritance->counts);
	json_decref(inheritance->older);
	free(inheritance->listeners);
	free(inheritance);
	lb->inheritance = NULL;
}
