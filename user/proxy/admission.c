/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/admission.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proxy/worker.h"

/* Who wait and cannot use the room there is, before no more are asked: it is at backends that have
 * failed them. */
#define MAX_CHOOSY 64

/* Full ones the algorithm is asked to choose another than, before all are looked at. */
#define MAX_FULL 4

struct gate {
	_Atomic uint32_t inside;
	atomic_bool barred;	/* not eligible any more */
	bool mark;		/* of admission_bar() */
} __attribute__((aligned(64))); /* two backends do not share a cache line */

struct queue {
	pthread_mutex_t lock;
	struct list waiting;	/* oldest first */
	struct list told;	/* their mail is under way */
	_Atomic uint32_t count; /* of <waiting> */
};

struct admission {
	struct queue *queues[LB_MAX_POOLS];
	struct gate gates[LB_MAX_BACKENDS]; /* pages of ids that nobody has stay untouched */
};

struct waiter {
	struct list node; /* in one of the queue's lists */
	struct mail mail;
	struct worker *worker;
	struct queue *queue;
	uint32_t pool;
	bool was_told;
	uint16_t backend; /* that it was let in to */
	uint16_t tried[ADMISSION_TRIED];
	uint32_t n_tried;
	admission_fn *fn;
	void *owner; /* NULL: it has left meanwhile */
};

/* ---- Life ---------------------------------------------------------------------------------- */

int admission_new(struct admission **ret_admission)
{
	void *memory = mmap(NULL, sizeof(struct admission), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_admission = memory;
	return 0;
}

static void free_waiters(struct list *waiters)
{
	list_for_each_safe (node, waiters)
		free(container_of(node, struct waiter, node));
}

void admission_free(struct admission *admission)
{
	if (!admission)
		return;
	for (uint32_t i = 0; i < LB_MAX_POOLS; i++) {
		struct queue *queue = admission->queues[i];

		if (!queue)
			continue;
		free_waiters(&queue->waiting);
		free_waiters(&queue->told);
		pthread_mutex_destroy(&queue->lock);
		free(queue);
	}
	(void)munmap(admission, sizeof(*admission));
}

static struct queue *queue_new(void)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	pthread_mutex_init(&queue->lock, NULL);
	list_init(&queue->waiting);
	list_init(&queue->told);
	return queue;
}

int admission_prepare(struct admission *admission, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->n_pools; i++) {
		struct queue **queue = &admission->queues[snapshot->pools[i].id];

		if (!*queue)
			*queue = queue_new();
		if (!*queue)
			return -ENOMEM;
	}
	return 0;
}

uint32_t admission_inside(const struct admission *admission, uint16_t backend)
{
	return admission->gates[backend].inside;
}

uint32_t admission_waiting(const struct admission *admission, uint32_t pool)
{
	const struct queue *queue = pool < LB_MAX_POOLS ? admission->queues[pool] : NULL;

	return queue ? queue->count : 0;
}

/* ---- Bars ---------------------------------------------------------------------------------- */

static const struct view *view_of(const struct snapshot *snapshot, uint32_t pool_id)
{
	const struct snapshot_pool *pool = snapshot ? snapshot_pool(snapshot, pool_id) : NULL;

	return pool ? pool->balancer->view : NULL;
}

/* What is in <view> is marked, and let in. */
static void mark(struct admission *admission, const struct view *view, bool marked)
{
	for (uint32_t i = 0; view && i < view->count; i++) {
		struct gate *gate = &admission->gates[view->members[i].id];

		gate->mark = marked;
		if (marked && gate->barred)
			gate->barred = false;
	}
}

static bool bar_unmarked(struct admission *admission, const struct view *view)
{
	bool found = false;

	for (uint32_t i = 0; view && i < view->count; i++) {
		struct gate *gate = &admission->gates[view->members[i].id];

		if (gate->mark)
			continue;
		gate->barred = true;
		found = true;
	}
	return found;
}

bool admission_bar(struct admission *admission, const struct snapshot *before,
		   const struct snapshot *now)
{
	bool found = false;

	for (uint32_t id = 0; id < LB_MAX_POOLS; id++) {
		const struct view *old = view_of(before, id);
		const struct view *new = view_of(now, id);

		if (old == new)
			continue;
		mark(admission, new, true);
		found = bar_unmarked(admission, old) || found;
		mark(admission, new, false);
	}
	return found;
}

bool admission_barred(const struct admission *admission, uint16_t backend)
{
	return admission->gates[backend].barred;
}

/* ---- Gates --------------------------------------------------------------------------------- */

static bool has_room(const struct admission *admission, const struct view_member *member)
{
	return member->max_connections == 0 ||
	       admission_inside(admission, member->id) < member->max_connections;
}

static bool enter(struct admission *admission, const struct view_member *member)
{
	_Atomic uint32_t *inside = &admission->gates[member->id].inside;
	uint32_t limit = member->max_connections;
	uint32_t n;

	if (limit == 0) {
		atomic_fetch_add(inside, 1);
		return true;
	}
	n = atomic_load(inside);
	do {
		if (n >= limit)
			return false;
	} while (!atomic_compare_exchange_weak(inside, &n, n + 1));
	return true;
}

static bool is_among(uint16_t id, const uint16_t *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Inside for its weight, compared by multiplying crosswise. */
static bool emptier(const struct admission *admission, const struct view_member *a,
		    const struct view_member *b)
{
	uint64_t in_a = admission_inside(admission, a->id);
	uint64_t in_b = admission_inside(admission, b->id);

	return in_a * b->weight < in_b * a->weight;
}

static const struct view_member *find_room(const struct admission *admission,
					   const struct view *view, const uint16_t *tried,
					   uint32_t n_tried)
{
	const struct view_member *best = NULL;

	for (uint32_t i = 0; i < view->count; i++) {
		const struct view_member *member = &view->members[i];

		if (is_among(member->id, tried, n_tried) || !has_room(admission, member))
			continue;
		if (!best || emptier(admission, member, best))
			best = member;
	}
	return best;
}

/* Any member with room; NULL: none. Ends: every turn but the last lost a race for the last room. */
static const struct view_member *enter_any(struct admission *admission, const struct view *view,
					   const uint16_t *tried, uint32_t n_tried)
{
	const struct view_member *member;

	do {
		member = find_room(admission, view, tried, n_tried);
	} while (member && !enter(admission, member));
	return member;
}

static bool all_tried(const struct view *view, const uint16_t *tried, uint32_t n_tried)
{
	for (uint32_t i = 0; i < view->count; i++) {
		if (!is_among(view->members[i].id, tried, n_tried))
			return false;
	}
	return true;
}

static bool let_in(struct admission *admission, const struct admission_ask *ask,
		   const struct view_member *member)
{
	return ask->dry ? has_room(admission, member) : enter(admission, member);
}

/* The first choice was full: others by the algorithm, then any. */
static const struct view_member *enter_other(struct admission *admission,
					     const struct admission_ask *ask, uint16_t full)
{
	const struct balancer *balancer = ask->pool->balancer;
	uint16_t not [MAX_FULL + 1] = {full};
	bool again = all_tried(balancer->view, ask->tried, ask->n_tried);

	for (uint32_t n = 1; ask->n_tried == 0 && n <= MAX_FULL; n++) {
		const struct view_member *member = balancer_pick(balancer, ask->key, not, n);

		if (is_among(member->id, not, n))
			return NULL; /* there are no others */
		if (let_in(admission, ask, member))
			return member;
		not [n] = member->id;
	}
	if (ask->dry)
		return find_room(admission, balancer->view, ask->tried, again ? 0 : ask->n_tried);
	return enter_any(admission, balancer->view, ask->tried, again ? 0 : ask->n_tried);
}

enum admission_result admission_enter(struct admission *admission, const struct admission_ask *ask,
				      const struct view_member **ret_member)
{
	const struct view_member *member = ask->preferred;

	if (!member)
		member = balancer_pick(ask->pool->balancer, ask->key, ask->tried, ask->n_tried);

	if (!member)
		return ADMISSION_NONE;
	/* Who was let in before and has failed is no newcomer. */
	if (ask->n_tried == 0 && admission_waiting(admission, ask->pool->id) > 0)
		return ADMISSION_FULL;
	if (!let_in(admission, ask, member))
		member = enter_other(admission, ask, member->id);
	if (!member)
		return ADMISSION_FULL;
	*ret_member = member;
	return ADMISSION_IN;
}

enum admission_result admission_foresee(struct admission *admission,
					const struct admission_ask *ask,
					const struct view_member **ret_member)
{
	struct snapshot_pool pool = *ask->pool;
	struct admission_ask dry = *ask;
	struct balancer balancer;
	struct turn turn;

	balancer_copy(pool.balancer, &turn, &balancer);
	pool.balancer = &balancer;
	dry.pool = &pool;
	dry.dry = true;
	return admission_enter(admission, &dry, ret_member);
}

/* ---- Queues -------------------------------------------------------------------------------- */

static void on_told(struct mail *mail)
{
	struct waiter *waiter = container_of(mail, struct waiter, mail);

	pthread_mutex_lock(&waiter->queue->lock);
	list_remove(&waiter->node);
	pthread_mutex_unlock(&waiter->queue->lock);
	if (waiter->owner)
		waiter->fn(waiter->owner, waiter->backend);
	else if (waiter->backend)
		admission_leave(waiter->worker, waiter->pool, waiter->backend);
	free(waiter);
}

/* Under the lock, also the sending: a worker that ends takes its waiters out first. */
static void tell(struct queue *queue, struct waiter *waiter, uint16_t backend)
{
	list_remove(&waiter->node);
	atomic_fetch_sub(&queue->count, 1);
	list_append(&queue->told, &waiter->node);
	waiter->was_told = true;
	waiter->backend = backend;
	loop_send(waiter->worker->loop, &waiter->mail);
}

/* A backend that has failed <waiter> has room all the time, and would fail it again. */
static const struct view_member *enter_for(struct admission *admission, const struct view *view,
					   const struct waiter *waiter)
{
	bool again = all_tried(view, waiter->tried, waiter->n_tried);

	return enter_any(admission, view, waiter->tried, again ? 0 : waiter->n_tried);
}

/* Lets in the oldest while there is room for them. Under the lock. */
static void serve(struct admission *admission, struct queue *queue, const struct view *view)
{
	uint32_t n_choosy = 0;

	list_for_each_safe (node, &queue->waiting) {
		struct waiter *waiter = container_of(node, struct waiter, node);
		const struct view_member *member = enter_for(admission, view, waiter);

		if (member)
			tell(queue, waiter, member->id);
		else if (waiter->n_tried == 0 || ++n_choosy >= MAX_CHOOSY)
			return;
	}
}

static struct waiter *first_of(struct queue *queue)
{
	return container_of(queue->waiting.next, struct waiter, node);
}

/* <snapshot> is current. Waiters of a pool that is no more are sent away. */
static void serve_pool(struct admission *admission, const struct snapshot *snapshot, uint32_t id)
{
	struct queue *queue = id < LB_MAX_POOLS ? admission->queues[id] : NULL;
	const struct snapshot_pool *pool = snapshot ? snapshot_pool(snapshot, id) : NULL;

	if (!queue || atomic_load(&queue->count) == 0)
		return;
	pthread_mutex_lock(&queue->lock);
	if (pool)
		serve(admission, queue, pool->balancer->view);
	while (!pool && !list_empty(&queue->waiting))
		tell(queue, first_of(queue), 0);
	pthread_mutex_unlock(&queue->lock);
}

void admission_leave(struct worker *worker, uint32_t pool, uint16_t backend)
{
	struct admission *admission = worker->shared->admission;

	atomic_fetch_sub(&admission->gates[backend].inside, 1);
	if (admission_waiting(admission, pool) > 0)
		serve_pool(admission, worker_snapshot(worker), pool);
}

void admission_renew(struct admission *admission, const struct snapshot *snapshot)
{
	for (uint32_t id = 0; id < LB_MAX_POOLS; id++)
		serve_pool(admission, snapshot, id);
}

static struct waiter *waiter_new(struct worker *worker, const struct admission_ask *ask)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	list_init(&waiter->node);
	waiter->mail.on_mail = on_told;
	waiter->worker = worker;
	waiter->queue = worker->shared->admission->queues[ask->pool->id];
	waiter->pool = ask->pool->id;
	waiter->n_tried = ask->n_tried < ADMISSION_TRIED ? ask->n_tried : ADMISSION_TRIED;
	memcpy(waiter->tried, ask->tried, waiter->n_tried * sizeof(*waiter->tried));
	return waiter;
}

int admission_wait(struct worker *worker, const struct admission_ask *ask, bool first,
		   struct waiter **ret_waiter)
{
	const struct snapshot_pool *pool = ask->pool;
	struct admission *admission = worker->shared->admission;
	struct queue *queue = admission->queues[pool->id];
	struct waiter *waiter;

	/* A guess for who need not take the lock to know; the word comes below. */
	if (atomic_load(&queue->count) >= pool->spec->queue.size)
		return -ENOBUFS;
	waiter = waiter_new(worker, ask);
	if (!waiter)
		return -ENOMEM;
	pthread_mutex_lock(&queue->lock);
	if (atomic_load(&queue->count) >= pool->spec->queue.size) {
		pthread_mutex_unlock(&queue->lock);
		free(waiter);
		return -ENOBUFS;
	}
	/* A list's head is a node: before the first, or before the end. */
	list_append(first ? queue->waiting.next : &queue->waiting, &waiter->node);
	atomic_fetch_add(&queue->count, 1);
	serve(admission, queue, pool->balancer->view);
	pthread_mutex_unlock(&queue->lock);
	*ret_waiter = waiter;
	return 0;
}

void waiter_tell(struct waiter *waiter, admission_fn *fn, void *owner)
{
	waiter->fn = fn;
	waiter->owner = owner;
}

void waiter_leave(struct waiter *waiter)
{
	bool told;

	if (!waiter)
		return;
	waiter->owner = NULL;
	pthread_mutex_lock(&waiter->queue->lock);
	told = waiter->was_told;
	if (!told) {
		list_remove(&waiter->node);
		atomic_fetch_sub(&waiter->queue->count, 1);
	}
	pthread_mutex_unlock(&waiter->queue->lock);
	if (!told)
		free(waiter);
}
