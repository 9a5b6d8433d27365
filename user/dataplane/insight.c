/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/insight.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/state.h"

/* ---- Verdicts ------------------------------------------------------------------------------ */

static const char *const verdict_texts[] = {
#define VERDICT_TEXT(name, text, words) [LB_V_##name] = text,
	LB_VERDICTS(VERDICT_TEXT)
#undef VERDICT_TEXT
};
const struct strtable verdict_names = STRTABLE(verdict_texts);

const char *verdict_words(uint32_t verdict)
{
	static const char *const all[] = {
#define VERDICT_WORDS(name, text, words) [LB_V_##name] = words,
		LB_VERDICTS(VERDICT_WORDS)
#undef VERDICT_WORDS
	};

	return verdict < LB_VERDICT_COUNT ? all[verdict] : "?";
}

/* As bpf/event.h, event_is_common(). */
bool verdict_is_told(uint32_t verdict)
{
	switch (verdict) {
	case LB_V_NOT_IP:
	case LB_V_NOT_OURS:
	case LB_V_NOT_HANDLED:
	case LB_V_FORWARDED:
	case LB_V_FORWARDED_NEW:
	case LB_V_REPLIED:
	case LB_V_UNTRACKED:
		return false;
	default:
		return true;
	}
}

/* ---- Heads --------------------------------------------------------------------------------- */

static const struct lb_head *newest(const struct lb_head *heads, int n)
{
	const struct lb_head *best = &heads[0];

	for (int i = 1; i < n; i++) {
		if (heads[i].at > best->at)
			best = &heads[i];
	}
	return best;
}

int dataplane_head(struct dataplane *dp, uint32_t verdict, struct lb_head *ret_head)
{
	int fd = maps_get(&dp->maps, "lb_heads");
	int cpus = libbpf_num_possible_cpus();
	struct lb_head *heads;
	int rc;

	/* Values of per-CPU maps are padded to 8 bytes each; a head is whole words. */
	_Static_assert(sizeof(*heads) % 8 == 0, "no padding between CPUs");
	if (fd < 0 || cpus < 1)
		return -ENOENT;
	heads = calloc((size_t)cpus, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	rc = bpf_map_lookup_elem(fd, &verdict, heads) ? -errno : 0;
	if (rc == 0)
		*ret_head = *newest(heads, cpus);
	free(heads);
	if (rc)
		return rc;
	return ret_head->at ? 0 : -ENOENT;
}

/* ---- Events -------------------------------------------------------------------------------- */

static int on_sample(void *ctx, void *data, size_t size)
{
	const struct event_reader *reader = ctx;

	if (size >= sizeof(struct lb_event) && reader->each)
		reader->each(reader->ctx, data);
	return 0;
}

int dataplane_events_fd(struct dataplane *dp)
{
	struct event_reader *reader = &dp->events;

	if (!reader->ring)
		reader->ring =
			ring_buffer__new(maps_get(&dp->maps, "lb_events"), on_sample, reader, NULL);
	return reader->ring ? ring_buffer__epoll_fd(reader->ring) : -errno;
}

void dataplane_on_events(struct dataplane *dp,
			 void (*each)(void *ctx, const struct lb_event *event), void *ctx)
{
	if (!dp->events.ring)
		return;
	dp->events.each = each;
	dp->events.ctx = ctx;
	(void)ring_buffer__consume(dp->events.ring);
}

void insight_fini(struct dataplane *dp)
{
	ring_buffer__free(dp->events.ring);
	dp->events.ring = NULL;
	dry_fini(&dp->dry[0]);
	dry_fini(&dp->dry[1]);
}
