/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_WAIT_MS 1000

/* ---- Messages ------------------------------------------------------------------------------ */

int handover_send(int channel, json_t *json, const int *fds, unsigned n)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct pollfd wait = {.fd = channel, .events = POLLOUT};
	int r = -ENOMEM;

	if (text)
		r = passing_send(channel, text, strlen(text), fds, n);
	if (r == -EAGAIN && poll(&wait, 1, SEND_WAIT_MS) == 1)
		r = passing_send(channel, text, strlen(text), fds, n);
	free(text);
	json_decref(json);
	return r;
}

int handover_receive(int channel, struct handover_message *ret_message)
{
	char *text = malloc(PASSING_MAX_BYTES);
	struct handover_message message = {0};
	ssize_t n = -ENOMEM;

	if (text)
		n = passing_receive(channel, text, PASSING_MAX_BYTES, message.fds, &message.n_fds);
	if (n > 0)
		message.json = json_loadb(text, (size_t)n, 0, NULL);
	free(text);
	if (n <= 0)
		return (int)n;
	message.type = json_string_value(json_object_get(message.json, "type"));
	if (!message.type) {
		handover_message_fini(&message);
		return -EBADMSG;
	}
	*ret_message = message;
	return 1;
}

void handover_message_fini(struct handover_message *message)
{
	for (unsigned i = 0; i < message->n_fds; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	json_decref(message->json);
	*message = (struct handover_message){0};
}

/* ---- Counts -------------------------------------------------------------------------------- */

#define N_COUNTS (sizeof(struct proxy_stats) / sizeof(uint64_t))

/* Every member of struct proxy_stats is a uint64_t. */
union numbers {
	struct proxy_stats stats;
	uint64_t n[N_COUNTS];
};
_Static_assert(sizeof(union numbers) == sizeof(struct proxy_stats), "nothing but counters");

static json_t *numbers_json(const union numbers *numbers)
{
	json_t *list = json_array();

	for (size_t i = 0; i < N_COUNTS; i++)
		(void)json_array_append_new(list, json_integer((json_int_t)numbers->n[i]));
	return list;
}

void handover_read_counts(const json_t *counts, const char *service, struct proxy_stats *ret_stats)
{
	const json_t *list = json_object_get(counts, service);
	union numbers numbers = {0};

	for (size_t i = 0; i < N_COUNTS; i++)
		numbers.n[i] = (uint64_t)json_integer_value(json_array_get(list, i));
	*ret_stats = numbers.stats;
}

json_t *handover_counts(struct load_balancer *lb)
{
	json_t *counts = json_object();

	for (uint32_t i = 0; lb->proxy && i < lb->config->n_services; i++) {
		const struct service_spec *service = &lb->config->services[i];
		uint32_t id = ids_find(&lb->service_ids, service->name);
		union numbers numbers;

		if (service->path != PATH_PROXY || id == 0)
			continue;
		proxy_stats_own(lb->proxy, id, &numbers.stats);
		(void)json_object_set_new(counts, service->name, numbers_json(&numbers));
	}
	return counts;
}

static int send_part(int channel, const char *of, json_t *part)
{
	return handover_send(
		channel, json_pack("{s:s,s:s,s:o}", "type", "counts", "of", of, "services", part),
		NULL, 0);
}

int handover_send_counts(int channel, const char *of, json_t *counts)
{
	json_t *part = json_object();
	const char *service;
	json_t *list;
	int r = 0;

	json_object_foreach (counts, service, list) {
		(void)json_object_set(part, service, list);
		if (r < 0 || json_object_size(part) < HANDOVER_LIST)
			continue;
		r = send_part(channel, of, part);
		part = json_object();
	}
	if (r == 0 && json_object_size(part) > 0)
		r = send_part(channel, of, json_incref(part));
	json_decref(part);
	json_decref(counts);
	return r;
}

void handover_add_counts(json_t *sum, const json_t *more)
{
	const char *service;
	json_t *list;

	json_object_foreach ((json_t *)more, service, list) {
		union numbers a, b;

		handover_read_counts(sum, service, &a.stats);
		handover_read_counts(more, service, &b.stats);
		for (size_t i = 0; i < N_COUNTS; i++)
			a.n[i] += b.n[i];
		(void)json_object_set_new(sum, service, numbers_json(&a));
	}
}
