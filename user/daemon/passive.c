/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/passive.h"

#include "base/log.h"
#include "daemon/entry.h"

static void on_back(struct timer *timer)
{
	struct backend_check *check = container_of(timer, struct backend_check, passive.back);

	check->passive.half_open = true;
	entry_mark(check, HEALTH_UP, "tried_again");
}

void passive_init(struct backend_check *check)
{
	timer_init(&check->passive.back, on_back);
}

void passive_fini(struct backend_check *check)
{
	timer_stop(check->entry->lb->loop, &check->passive.back);
}

static struct backend_check *find(struct load_balancer *lb, uint16_t id)
{
	struct pool_entry *entry;
	struct addr addr;
	const char *pool;

	if (!registry_identity(lb->registry, id, &pool, &addr))
		return NULL;
	entry = entry_find(lb, pool);
	if (!entry)
		return NULL;
	list_for_each (node, pool_all(entry->pool)) {
		if (backend_of(node)->id == id)
			return backend_of(node)->user;
	}
	return NULL;
}

/* Every request ends once, well or not; one that failed is counted as such before it ends, so this
 * never runs ahead. */
static int64_t ended_well(const struct lb_live *live)
{
	uint64_t ended = __atomic_load_n(&live->proxy_closed, __ATOMIC_ACQUIRE);
	uint64_t failed = __atomic_load_n(&live->proxy_failed, __ATOMIC_RELAXED);

	return (int64_t)(ended - failed);
}

static void note_successes(struct backend_check *check)
{
	struct passive *passive = &check->passive;
	int64_t now = ended_well(check->backend->live);

	if (now <= passive->ended_well)
		return;
	passive->ended_well = now;
	passive->failures = 0;
	passive->half_open = false;
	passive->out_ms = 0;
}

static void take_out(struct backend_check *check, const char *why)
{
	struct passive *passive = &check->passive;
	uint32_t most = check->entry->health.backoff_max_ms;
	uint32_t ms = passive->out_ms ? passive->out_ms * 2 : PASSIVE_LEAST_MS;

	if (timer_running(&passive->back) || pool_eligible(check->entry->pool)->count <= 1)
		return;
	passive->out_ms = ms < most ? ms : most;
	passive->half_open = false;
	timer_start(check->entry->lb->loop, &passive->back, passive->out_ms);
	entry_mark(check, HEALTH_DOWN, why);
}

static void suspect(struct backend_check *check, const char *why)
{
	if (check->check) {
		log_info("backend '%s' of pool '%s' is suspect: %s", check->backend->spec.name,
			 pool_spec(check->entry->pool)->name, why);
		health_suspect(check->check);
	} else if (check->entry->health.type == HEALTH_NONE) {
		take_out(check, why);
	}
}

static struct passive_spec rules_of(const struct pool_entry *entry)
{
	struct passive_spec rules = pool_spec(entry->pool)->passive;

	/* To probe once more does no harm; to take out what nobody checks must be asked for. */
	if (rules.failures == 0 && entry->health.type != HEALTH_NONE)
		rules = (struct passive_spec){.failures = PASSIVE_FAILURES,
					      .window_ms = PASSIVE_WINDOW_MS};
	return rules;
}

void passive_report(void *ctx, const struct pool_report *report)
{
	struct backend_check *check = find(ctx, report->backend);
	struct passive *passive = check ? &check->passive : NULL;
	struct passive_spec rules;

	if (!check)
		return; /* it was removed meanwhile */
	rules = rules_of(check->entry);
	if (rules.failures == 0)
		return;
	note_successes(check);
	if (passive->failures == 0 || report->at_ms - passive->first_ms > rules.window_ms) {
		passive->failures = 0;
		passive->first_ms = report->at_ms;
	}
	passive->failures++;
	if (passive->failures < rules.failures && !passive->half_open)
		return;
	passive->failures = 0;
	suspect(check, report->reason);
}
