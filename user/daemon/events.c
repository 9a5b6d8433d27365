/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/events.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/load_balancer.h"
#include "daemon/upgrade.h"
#include "dataplane/insight.h"

#define FEED_BYTES 65536
#define NS_PER_MS  1000000

#define PACKET_EVERY_MS 100 /* of one verdict */

/* ---- The ring ------------------------------------------------------------------------------ */

/* JSON texts are UTF-8; what is not is left out. */
static json_t *text_json(const char *text)
{
	json_t *json = text ? json_string(text) : NULL;

	return json ? json : json_null();
}

void events_add(struct load_balancer *lb, const struct event *event)
{
	struct events *events = &lb->events;
	uint64_t number = events->next ? events->next : 1;
	uint64_t time_ms = event->time_ms ? event->time_ms : clock_wall_ms();
	json_t *json = json_pack("{s:I,s:I,s:s,s:o,s:o,s:o,s:o}", "seq", (json_int_t)number, "time",
				 (json_int_t)time_ms, "kind", event->kind, "object",
				 text_json(event->object), "from", text_json(event->from), "to",
				 text_json(event->to), "reason", text_json(event->reason));
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (!text)
		return; /* out of memory: the event is lost, its number is not used */
	free(events->kept[number % EVENTS_KEPT]);
	events->kept[number % EVENTS_KEPT] = text;
	events->next = number + 1;
	control_wake(lb->control);
}

void events_backend(struct load_balancer *lb, const struct pool *pool,
		    const struct backend *backend, struct event event)
{
	char object[2 * POOL_NAME_LEN];

	(void)snprintf(object, sizeof(object), "%s/%s", pool_spec(pool)->name, backend->spec.name);
	event.object = object;
	events_add(lb, &event);
}

static uint64_t oldest(const struct events *events)
{
	return events->next > EVENTS_KEPT ? events->next - EVENTS_KEPT : 1;
}

void events_feed(void *ctx, uint64_t *cursor, struct buffer *out)
{
	const struct load_balancer *lb = ctx;
	const struct events *events = &lb->events;
	uint64_t next = *cursor + 1;

	/* A number of an lbd before this one: all of ours is news. */
	if (*cursor >= events->next)
		next = 1;
	if (next < oldest(events)) {
		buffer_print(out, ": %llu events were lost\n\n",
			     (unsigned long long)(oldest(events) - next));
		next = oldest(events);
	}
	for (; next < events->next && out->len < FEED_BYTES; next++)
		buffer_print(out, "id: %llu\ndata: %s\n\n", (unsigned long long)next,
			     events->kept[next % EVENTS_KEPT]);
	*cursor = next - 1;
}

/* ---- The kernel's -------------------------------------------------------------------------- */

static const char *end_text(const struct lb_ip *ip, __be16 port, char text[static ADDR_TEXT_LEN])
{
	struct addr addr = {.port = port};

	memcpy(addr.ip, ip->b, sizeof(addr.ip));
	return addr_format(&addr, text);
}

static const char *protocol_text(uint8_t proto)
{
	if (proto == LB_PROTO_TCP)
		return "tcp";
	if (proto == LB_PROTO_UDP)
		return "udp";
	return proto == LB_PROTO_ICMP ? "icmp" : "ip";
}

/* A flood of one verdict must not push out what else happened. */
static bool is_too_soon(struct events *events, const struct lb_event *packet)
{
	uint64_t at_ms = packet->at / NS_PER_MS;
	uint64_t *told_ms;

	if (packet->verdict >= LB_VERDICT_COUNT)
		return true;
	told_ms = &events->told_ms[packet->verdict];
	if (*told_ms && at_ms < *told_ms + PACKET_EVERY_MS)
		return true;
	*told_ms = at_ms;
	return false;
}

static void on_packet(void *ctx, const struct lb_event *packet)
{
	struct load_balancer *lb = ctx;
	uint64_t now = clock_ns();
	char source[ADDR_TEXT_LEN];
	char destination[ADDR_TEXT_LEN];
	char object[2 * ADDR_TEXT_LEN + 16];
	char ifname[IF_NAMESIZE] = "?";

	if (is_too_soon(&lb->events, packet))
		return;
	(void)snprintf(object, sizeof(object), "%s %s > %s", protocol_text(packet->key.proto),
		       end_text(&packet->key.saddr, packet->key.sport, source),
		       end_text(&packet->key.daddr, packet->key.dport, destination));
	(void)if_indextoname(packet->ifindex, ifname);
	events_add(lb, &(struct event){
			       .time_ms = clock_wall_ms() -
					  (now > packet->at ? (now - packet->at) / NS_PER_MS : 0),
			       .kind = "packet",
			       .object = object,
			       .from = ifname,
			       .to = strtable_name(&verdict_names, (int)packet->verdict),
			       .reason = verdict_words(packet->verdict),
		       });
}

static void on_kernel(struct source *source)
{
	struct events *events = container_of(source, struct events, source);

	source->ready &= ~(unsigned)LOOP_READ; /* all of it is read */
	if (upgrade_frozen(events->lb))
		return; /* another lbd does */
	dataplane_on_events(events->lb->dataplane, on_packet, events->lb);
}

int events_start(struct load_balancer *lb)
{
	int fd;

	lb->events.lb = lb;
	if (!lb->dataplane)
		return 0;
	fd = dataplane_events_fd(lb->dataplane);
	return fd < 0 ? fd : loop_add(lb->loop, &lb->events.source, fd, on_kernel);
}

void events_fini(struct load_balancer *lb)
{
	if (lb->events.source.on_ready)
		loop_remove(lb->loop, &lb->events.source);
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(lb->events.kept[i]);
	lb->events = (struct events){0};
}
