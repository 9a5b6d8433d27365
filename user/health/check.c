/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/health.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "health/backoff.h"
#include "health/probe.h"
#include "health/state.h"

static const char *const reason_words[] = {
	[HEALTH_NOT_CHECKED] = "not_checked",
	[HEALTH_OK] = "ok",
	[HEALTH_CONNECT_REFUSED] = "connect_refused",
	[HEALTH_CONNECT_TIMEOUT] = "connect_timeout",
	[HEALTH_CONNECT_UNREACHABLE] = "connect_unreachable",
	[HEALTH_CONNECT_FAILED] = "connect_failed",
	[HEALTH_CLOSED] = "closed",
	[HEALTH_ANSWER_TIMEOUT] = "answer_timeout",
	[HEALTH_BAD_RESPONSE] = "bad_response",
	[HEALTH_WRONG_STATUS] = "wrong_status",
	[HEALTH_WRONG_BODY] = "wrong_body",
};
const struct strtable health_reason_names = STRTABLE(reason_words);
_Static_assert(sizeof(reason_words) / sizeof(reason_words[0]) == HEALTH_REASON_COUNT,
	       "every reason has a word");

struct health_check {
	struct loop *loop;
	struct health_spec spec;
	struct addr addr;
	health_result_fn *on_result;
	void *owner;
	struct health_state state;
	struct health_backoff backoff;
	struct probe probe;
	struct timer next; /* runs exactly while no probe does */
	struct deferred freeing;
	uint64_t started_ms; /* the last probe */
	uint64_t probed_wall_ms;
	uint64_t good_wall_ms;
	enum health_reason reason;
	uint32_t delay_ms;
	bool phased;	  /* the phase was drawn */
	bool suspected;	  /* traffic failed since the last regular probe began */
	bool out_of_turn; /* <next> is for a probe that was asked for */
	bool starved;	  /* the last probe failed for want of something of our own */
};

/* ---- One probe after the other ------------------------------------------------------------- */

static uint32_t dice(void)
{
	return (uint32_t)random_u64();
}

/* Delays count from start to start: a slow answer does not slow the checks down. */
static void schedule(struct health_check *check, bool good)
{
	uint64_t now_ms = loop_now_ms(check->loop);
	uint64_t due_ms;

	check->delay_ms = health_backoff_next(&check->backoff, check->state.status, good, dice());
	if (!check->phased)
		check->delay_ms = health_backoff_phase(&check->backoff, dice());
	check->phased = true;
	due_ms = check->started_ms + check->delay_ms;
	timer_start(check->loop, &check->next, due_ms > now_ms ? due_ms - now_ms : 0);
}

/* Once for a row of them: the want is the process's, and every check feels it. */
static void complain(struct health_check *check)
{
	char text[ADDR_TEXT_LEN];

	if (!check->starved)
		log_warning("cannot probe '%s': no descriptor, memory or local port is free",
			    addr_format(&check->addr, text));
	check->starved = true;
}

static void on_done(struct probe *probe, enum health_reason reason)
{
	struct health_check *check = container_of(probe, struct health_check, probe);
	bool good = reason == HEALTH_OK;

	if (reason == HEALTH_NOT_CHECKED) {
		complain(check);
		schedule(check, true);
		return;
	}
	check->starved = false;
	check->reason = reason;
	check->probed_wall_ms = clock_wall_ms();
	if (good)
		check->good_wall_ms = check->probed_wall_ms;
	(void)health_state_step(&check->state, good ? HEALTH_GOOD : HEALTH_BAD);
	schedule(check, good);
	check->on_result(check->owner, check->state.status, reason); /* may close the check */
}

static void on_next(struct timer *timer)
{
	struct health_check *check = container_of(timer, struct health_check, next);

	if (!check->out_of_turn)
		check->suspected = false;
	check->out_of_turn = false;
	check->started_ms = loop_now_ms(check->loop);
	probe_start(&check->probe, &check->spec, &check->addr); /* may end in on_done */
}

/* ---- For the owner ------------------------------------------------------------------------- */

static bool is_visible(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

/* What would make a probe run wild or break its request in two. */
static bool is_valid(const struct health_spec *spec, const struct addr *addr)
{
	return health_ops_find(spec->type) && spec->interval_ms > 0 && spec->timeout_ms > 0 &&
	       spec->rise > 0 && spec->fall > 0 && spec->n_status <= HEALTH_MAX_STATUS &&
	       spec->port <= UINT16_MAX && (spec->port > 0 || addr->port != 0) &&
	       is_visible(spec->host) && is_visible(spec->path) && is_visible(spec->method);
}

/* NOLINTNEXTLINE(readability-function-size): one parameter over, all of them told once, here */
int health_start(struct loop *loop, const struct health_spec *spec, const struct addr *addr,
		 enum health_status start, health_result_fn *on_result, void *owner,
		 struct health_check **ret_check)
{
	struct health_check *check;

	if (!is_valid(spec, addr))
		return -EINVAL;
	check = calloc(1, sizeof(*check));
	if (!check)
		return -ENOMEM;
	check->loop = loop;
	check->spec = *spec;
	check->addr = *addr;
	if (spec->port > 0)
		check->addr.port = htons((uint16_t)spec->port);
	check->on_result = on_result;
	check->owner = owner;
	health_state_init(&check->state, start, spec->rise, spec->fall);
	health_backoff_init(&check->backoff, spec);
	probe_init(&check->probe, loop, health_ops_find(spec->type), on_done);
	timer_init(&check->next, on_next);
	if (start != HEALTH_IS_UNKNOWN) {
		check->phased = true;
		check->delay_ms = health_backoff_phase(&check->backoff, dice());
	}
	timer_start(loop, &check->next, check->delay_ms);
	*ret_check = check;
	return 0;
}

/* By the timer, so that the owner is never called from inside its own call. */
void health_run(struct health_check *check)
{
	if (check->probe.phase != PROBE_IDLE)
		return;
	check->out_of_turn = true;
	timer_start(check->loop, &check->next, 0);
}

/* Once between two regular probes: failing traffic must not turn into a storm of probes. */
void health_suspect(struct health_check *check)
{
	if (check->suspected || check->state.status != HEALTH_IS_UP)
		return;
	check->suspected = true;
	(void)health_state_step(&check->state, HEALTH_SUSPECT);
	health_run(check);
}

void health_info(const struct health_check *check, struct health_info *ret_info)
{
	uint64_t now_ms = loop_now_ms(check->loop);
	uint64_t due_ms = timer_running(&check->next) ? check->next.due_ms : now_ms;

	*ret_info = (struct health_info){
		.status = check->state.status,
		.reason = check->reason,
		.streak = check->state.streak,
		.probed_wall_ms = check->probed_wall_ms,
		.good_wall_ms = check->good_wall_ms,
		.next_in_ms = due_ms > now_ms ? (uint32_t)(due_ms - now_ms) : 0,
		.delay_ms = check->delay_ms,
	};
}

void health_carry(struct health_check *check, const struct health_info *earlier)
{
	check->reason = earlier->reason;
	check->probed_wall_ms = earlier->probed_wall_ms;
	check->good_wall_ms = earlier->good_wall_ms;
}

static void free_check(struct deferred *deferred)
{
	free(container_of(deferred, struct health_check, freeing));
}

void health_close(struct health_check *check)
{
	if (!check)
		return;
	probe_cancel(&check->probe);
	timer_stop(check->loop, &check->next);
	check->freeing.run = free_check;
	loop_defer(check->loop, &check->freeing);
}
