/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/generation.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/inherit.h"
#include "daemon/upgrade.h"

#define SILENT_MS 2000 /* they report four times a second */

struct generation {
	struct list node; /* lb->generations */
	struct load_balancer *lb;
	struct source source;
	struct deferred freeing;
	int channel;
	json_t *state;	/* what it said last */
	json_t *counts; /* of services, likewise */
	uint64_t heard_ms;
	bool silent;	   /* it has not answered the last question */
	long long awaited; /* number of the question that it has to answer; 0: none */
	json_t *answer;	   /* to that, NULL: none yet */
};

static struct generation *generation_of(struct list *node)
{
	return container_of(node, struct generation, node);
}

static void free_deferred(struct deferred *deferred)
{
	free(container_of(deferred, struct generation, freeing));
}

static void remove_generation(struct generation *generation)
{
	struct loop *loop = generation->lb->loop;

	list_remove(&generation->node);
	loop_remove(loop, &generation->source);
	close(generation->channel);
	json_decref(generation->state);
	json_decref(generation->counts);
	json_decref(generation->answer);
	generation->freeing.run = free_deferred;
	loop_defer(loop, &generation->freeing);
}

static long long number(const struct generation *generation, const char *key)
{
	return json_integer_value(json_object_get(generation->state, key));
}

/* What it counted stays counted. */
static void on_end(struct generation *generation)
{
	struct load_balancer *lb = generation->lb;
	bool replaced = inherit_is_from(lb, number(generation, "pid"));

	log_info("the lbd before, process %lld, has ended", number(generation, "pid"));
	handover_add_counts(lb->past, generation->counts);
	remove_generation(generation);
	generations_count(lb);
	if (replaced) /* without a word: it has not outlived its last one */
		inherit_finish(lb);
}

/* One to a question that was given up comes too late. */
static void take_answer(struct generation *generation, const json_t *json)
{
	long long number = json_integer_value(json_object_get(json, "number"));
	json_t *body = json_object_get(json, "body");

	if (generation->awaited == 0 || number != generation->awaited || !json_is_object(body))
		return;
	generation->answer = json_incref(body);
	generation->awaited = 0;
}

static void on_message(struct generation *generation, struct handover_message *message)
{
	struct load_balancer *lb = generation->lb;

	if (strcmp(message->type, "draining") == 0) {
		(void)json_object_update(generation->state, message->json);
		generation->heard_ms = clock_ms();
	} else if (strcmp(message->type, "counts") == 0) {
		(void)json_object_update(generation->counts,
					 json_object_get(message->json, "services"));
		generations_count(lb);
	} else if (strcmp(message->type, "answer") == 0) {
		take_answer(generation, message->json);
	} else if (strcmp(message->type, "main") == 0 &&
		   inherit_is_from(lb, number(generation, "pid"))) {
		inherit_finish(lb);
	}
	handover_message_fini(message);
}

static void on_ready(struct source *source)
{
	struct generation *generation = container_of(source, struct generation, source);
	struct handover_message message;
	int r;

	while ((r = handover_receive(generation->channel, &message)) == 1)
		on_message(generation, &message);
	source->ready &= ~(unsigned)LOOP_READ;
	if (r != -EAGAIN)
		on_end(generation);
}

int generation_add(struct load_balancer *lb, int channel, json_t *state, json_t *counts)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	int r = -ENOMEM;

	if (generation && state && counts)
		r = loop_add(lb->loop, &generation->source, channel, on_ready);

	if (r < 0) {
		free(generation);
		close(channel);
		json_decref(state);
		json_decref(counts);
		return r;
	}
	generation->lb = lb;
	generation->channel = channel;
	generation->state = state;
	generation->counts = counts;
	generation->heard_ms = clock_ms();
	list_append(&lb->generations, &generation->node);
	return 0;
}

void generations_pause(struct load_balancer *lb)
{
	list_for_each (node, &lb->generations)
		loop_remove(lb->loop, &generation_of(node)->source);
}

void generations_resume(struct load_balancer *lb)
{
	list_for_each (node, &lb->generations) {
		struct generation *generation = generation_of(node);

		(void)loop_add(lb->loop, &generation->source, generation->channel, on_ready);
	}
}

int generations_send(struct load_balancer *lb, int channel)
{
	int r = 0;

	list_for_each (node, &lb->generations) {
		struct generation *generation = generation_of(node);
		json_t *json = json_deep_copy(generation->state);

		(void)json_object_set_new(json, "type", json_string("generation"));
		if (r < 0) {
			json_decref(json);
			continue;
		}
		r = handover_send(channel, json, &generation->channel, 1);
		if (r == 0)
			r = handover_send_counts(channel, "generation",
						 json_deep_copy(generation->counts));
	}
	return r;
}

void generations_free(struct load_balancer *lb)
{
	list_for_each_safe (node, &lb->generations)
		remove_generation(generation_of(node));
}

static json_t *generation_json(const struct generation *generation)
{
	long long passed_ms = (long long)(clock_ms() - generation->heard_ms);
	long long left_ms = number(generation, "deadline_ms") - passed_ms;

	return json_pack("{s:I,s:I,s:I}", "pid", (json_int_t)number(generation, "pid"), "sessions",
			 (json_int_t)number(generation, "sessions"), "deadline_ms",
			 (json_int_t)(left_ms > 0 ? left_ms : 0));
}

json_t *generations_json(struct load_balancer *lb)
{
	json_t *list = json_array();

	list_for_each (node, &lb->generations)
		(void)json_array_append_new(list, generation_json(generation_of(node)));
	return list;
}

/* ---- Questions ------------------------------------------------------------------------------ */

/* An older version does not know what it would be told; in an upgrade the channels change hands;
 * and one that is silent may not read either, which sending would wait for. */
static bool listens(const struct generation *generation)
{
	const struct load_balancer *lb = generation->lb;

	return json_is_true(json_object_get(generation->state, "asks")) && !lb->inheritance &&
	       !upgrade_busy(lb) && clock_ms() - generation->heard_ms < SILENT_MS;
}

void generations_tell(struct load_balancer *lb, json_t *json)
{
	list_for_each (node, &lb->generations) {
		struct generation *generation = generation_of(node);

		if (listens(generation))
			(void)handover_send(generation->channel, json_incref(json), NULL, 0);
	}
	json_decref(json);
}

static void put_question(struct generation *generation, const char *act, const json_t *params)
{
	static long long last_number;
	json_t *json;

	generation->awaited = 0;
	if (!listens(generation))
		return;
	json = json_pack("{s:s,s:I,s:s,s:O}", "type", "ask", "number", (json_int_t)++last_number,
			 "act", act, "params", params);
	if (handover_send(generation->channel, json, NULL, 0) == 0)
		generation->awaited = last_number;
}

/* What else it says meanwhile is heard too; its end is told by the loop. */
static void await(struct generation *generation, uint64_t until_ms)
{
	struct pollfd wait = {.fd = generation->channel, .events = POLLIN};
	struct handover_message message;

	while (generation->awaited) {
		uint64_t now = clock_ms();
		int r = handover_receive(generation->channel, &message);

		if (r == 1)
			on_message(generation, &message);
		else if (r != -EAGAIN || now >= until_ms ||
			 poll(&wait, 1, (int)(until_ms - now)) < 0)
			return;
	}
}

json_t *generations_ask(struct load_balancer *lb, const char *act, const json_t *params)
{
	uint64_t until_ms = clock_ms() + GENERATION_WAIT_MS;
	json_t *answers = json_array();

	list_for_each (node, &lb->generations)
		put_question(generation_of(node), act, params);
	list_for_each (node, &lb->generations) {
		struct generation *generation = generation_of(node);

		await(generation, until_ms);
		generation->awaited = 0; /* what comes later is about another moment */
		generation->silent = !generation->answer;
		if (generation->answer)
			(void)json_array_append_new(answers, generation->answer);
		generation->answer = NULL;
	}
	return answers;
}

void generations_note(struct load_balancer *lb, json_t *body)
{
	json_t *list = json_array();

	list_for_each (node, &lb->generations)
		if (generation_of(node)->silent)
			(void)json_array_append_new(list, generation_json(generation_of(node)));
	if (json_array_size(list) > 0)
		(void)json_object_set(body, "draining", list);
	json_decref(list);
}

void generations_count(struct load_balancer *lb)
{
	json_t *sum = json_deep_copy(lb->past);
	const char *service;
	json_t *list;

	list_for_each (node, &lb->generations)
		handover_add_counts(sum, generation_of(node)->counts);
	json_object_foreach (sum, service, list) {
		uint32_t id = ids_find(&lb->service_ids, service);
		struct proxy_stats stats;

		handover_read_counts(sum, service, &stats);
		if (id != 0 && lb->proxy)
			proxy_stats_before(lb->proxy, id, &stats);
	}
	json_decref(sum);
}
