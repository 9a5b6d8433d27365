/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ?dry_run=1: whether a change would be taken, and what it would move; nothing is changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/moves.h"
#include "daemon/overlay.h"
#include "daemon/project.h"
#include "daemon/service_counts.h"

bool api_is_dry(const struct control_request *request)
{
	const char *value = control_param(request, "dry_run");

	return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* ---- The view there would be ---------------------------------------------------------------- */

/* A backend that is new is taken to be up: the question is what happens once it serves. */
static bool would_be_eligible(const struct backend_spec *spec, const struct backend *now,
			      const struct pool_spec *pool)
{
	bool up = !now || now->health == HEALTH_UP ||
		  (now->health == HEALTH_UNKNOWN && pool->start_up);

	return spec->admin == ADMIN_ENABLED && spec->weight > 0 && up;
}

static int compare_members(const void *a, const void *b)
{
	const struct view_member *one = a;
	const struct view_member *two = b;

	return addr_compare(&one->addr, &two->addr);
}

static void fill(struct view *view, const struct backend_spec *spec)
{
	struct view_member *member = &view->members[view->count++];

	member->weight = (uint16_t)spec->weight;
	member->addr = spec->addr;
	(void)snprintf(member->name, sizeof(member->name), "%s", spec->name);
}

/* Room for all; those who would not be eligible are left out. */
static int view_of(const struct pool_spec *spec, struct pool_entry *entry, struct view **ret_view)
{
	struct view *view;
	int r = view_new(spec->n_backends, spec->n_backends, &view);

	if (r < 0)
		return r;
	view->count = 0;
	for (uint32_t i = 0; i < spec->n_backends; i++) {
		const struct backend *now =
			entry ? pool_find(entry->pool, spec->backends[i].name) : NULL;

		if (would_be_eligible(&spec->backends[i], now, spec))
			fill(view, &spec->backends[i]);
	}
	qsort(view->members, view->count, sizeof(view->members[0]), compare_members);
	*ret_view = view;
	return 0;
}

static int balancer_of(const struct pool_spec *spec, struct pool_entry *entry, uint32_t steps,
		       struct balancer **ret_balancer)
{
	struct view *view;
	int r = view_of(spec, entry, &view);

	if (r < 0)
		return r;
	r = balancer_new_sized(spec->algorithm, view,
			       project_table_size(spec, spec->n_backends, steps), NULL,
			       ret_balancer);
	view_put(view);
	return r;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static bool add_share(json_t *list, const struct balancer *before, const struct balancer *after,
		      const struct view_member *member)
{
	double was = moves_share(before, &member->addr);
	double is = moves_share(after, &member->addr);
	char text[ADDR_TEXT_LEN];

	(void)json_array_append_new(list, json_pack("{s:s,s:s,s:f,s:f}", "name", member->name,
						    "address", addr_format(&member->addr, text),
						    "share_before", was, "share_after", is));
	return was != is;
}

/* Those that are eligible after the change, then those that are not any more. */
static bool add_shares(json_t *list, const struct balancer *before, const struct balancer *after)
{
	bool differ = false;

	for (uint32_t i = 0; i < after->view->count; i++)
		differ |= add_share(list, before, after, &after->view->members[i]);
	for (uint32_t i = 0; before && i < before->view->count; i++) {
		const struct view_member *member = &before->view->members[i];

		if (moves_share(after, &member->addr) == 0)
			differ |= add_share(list, before, after, member);
	}
	return differ;
}

static json_t *moves_json(const struct pool_spec *spec, const struct moves *moves, json_t *shares)
{
	json_t *json = json_pack("{s:s,s:s,s:i,s:i,s:O}", "name", spec->name, "algorithm",
				 spec->algorithm, "slots_before", (int)moves->slots_before,
				 "slots_after", (int)moves->slots_after, "backends", shares);

	if (moves->by_hash) {
		(void)json_object_set_new(json, "moved", json_real(moves->moved));
		(void)json_object_set_new(json, "needed", json_real(moves->needed));
		if (moves->slots_before == moves->slots_after)
			(void)json_object_set_new(json, "moved_slots",
						  json_integer((json_int_t)moves->moved_slots));
	}
	return json;
}

/* Nothing is added for a pool that stays as it is. */
static int add_pool(struct load_balancer *lb, const struct pool_spec *spec, uint32_t steps,
		    json_t *list)
{
	struct pool_entry *entry = entry_find(lb, spec->name);
	const struct balancer *before = entry && entry->shared ? entry->shared->balancer : NULL;
	struct balancer *after = NULL;
	json_t *shares = json_array();
	struct moves moves;
	int r = balancer_of(spec, entry, steps, &after);

	if (r == 0) {
		moves_of(before, after, &moves);
		if (add_shares(shares, before, after) || moves.moved > 0 ||
		    moves.slots_before != moves.slots_after)
			(void)json_array_append_new(list, moves_json(spec, &moves, shares));
	}
	balancer_free(after);
	json_decref(shares);
	return r;
}

/* Open connections of kernel services that the change removes. */
static json_int_t flows_ended(struct load_balancer *lb, const struct config *config)
{
	json_int_t ended = 0;

	service_counts_walk(lb);
	for (uint32_t i = 0; i < lb->config->n_services; i++) {
		const struct service_spec *service = &lb->config->services[i];
		struct service_numbers numbers;

		if (service->path != PATH_KERNEL || config_find_service(config, service->name))
			continue;
		service_counts_read(lb, service, &numbers);
		ended += (json_int_t)numbers.open;
	}
	return ended;
}

void api_rehearse(struct load_balancer *lb, const char *const *at, const json_t *patch,
		  struct control_reply *reply)
{
	struct config *config = NULL;
	struct error err = {0};
	json_t *pools = json_array();
	int r = overlay_rehearse(lb, at, patch, &config, &err);
	uint32_t steps = r == 0 ? project_table_steps(config) : 0;

	for (uint32_t i = 0; r == 0 && i < config->n_pools; i++) {
		r = add_pool(lb, &config->pools[i].pool, steps, pools);
		if (r < 0)
			(void)error_set(&err, r, "", "cannot build a balancer: %s", strerror(-r));
	}
	if (r < 0)
		api_refused(&err, r, reply);
	else
		reply->body = json_pack("{s:b,s:I,s:O}", "dry_run", 1, "flows_ended",
					flows_ended(lb, config), "pools", pools);
	json_decref(pools);
	config_free(config);
}
