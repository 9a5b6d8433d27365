/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "config/objects.h"
#include "lb/abi.h"

#define MAX_PREFIXES (LB_MAX_PREFIXES / 2)
#define MAX_RATE     65535 /* tokens of a cell of lb_rates, see bpf/guard.h */
#define MAX_RATE_MS  3600000
#define MIN_RATE_MS  100
#define WEEK_MS	     604800000
#define SECOND_MS    1000

/* ---- allow, deny ---------------------------------------------------------------------------- */

struct prefix_list {
	struct prefix *prefixes;
	uint32_t count;
};

static void read_prefix(struct build *build, const struct place *place, const char *key,
			struct prefix_list *list)
{
	const char *why;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	why = prefix_parse(slice_of(place->doc->text), &list->prefixes[list->count]);
	if (why)
		complain(build, place, "'%s: %.64s': %s", key, place->doc->text, why);
	else
		list->count++;
}

static void read_prefixes(struct build *build, const struct place *place, const char *key,
			  struct prefix_list *ret_list)
{
	uint32_t n = place->doc->kind == DOC_LIST ? doc_count(place->doc) : 1;
	struct prefix_list list = {0};

	if (n > MAX_PREFIXES) {
		complain(build, place, "'%s': at most %d prefixes", key, MAX_PREFIXES);
		return;
	}
	list.prefixes = build_array(build, n, sizeof(*list.prefixes));
	if (list.prefixes && place->doc->kind != DOC_LIST)
		read_prefix(build, place, key, &list);
	for (const struct doc *child = place->doc->kind == DOC_LIST ? place->doc->first : NULL;
	     list.prefixes && child; child = child->next) {
		struct place at = place_child(place, child, "prefix");

		read_prefix(build, &at, key, &list);
	}
	*ret_list = list;
}

void read_allow(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;
	struct prefix_list list = {0};

	read_prefixes(build, place, "allow", &list);
	service->allow = list.prefixes;
	service->n_allow = list.count;
}

void read_deny(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;
	struct prefix_list list = {0};

	read_prefixes(build, place, "deny", &list);
	service->deny = list.prefixes;
	service->n_deny = list.count;
}

void read_trusted(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;
	struct prefix_list list = {0};

	read_prefixes(build, place, "trusted-proxies", &list);
	service->trusted = list.prefixes;
	service->n_trusted = list.count;
}

/* ---- rate ----------------------------------------------------------------------------------- */

#define RATE(name) offsetof(struct rate_spec, name)

static const struct key rate_prefix_keys[] = {
	{"ipv4", KEY_NUMBER, RATE(bits4), 1, 32, NULL, NULL},
	{"ipv6", KEY_NUMBER, RATE(bits6), 1, 128, NULL, NULL},
};

/* A number alone is for the one family that the service has: check_protection() sees to it. */
static bool parse_rate_prefix(struct slice text, struct rate_spec *rate)
{
	uint64_t bits;

	if (!parse_u64(text, &bits) || bits == 0 || bits > 128)
		return false;
	rate->bits4 = bits > 32 ? 32 : (uint32_t)bits;
	rate->bits6 = (uint32_t)bits;
	return true;
}

static void read_rate_prefix(struct build *build, const struct place *place, void *out)
{
	if (place->doc->kind != DOC_SCALAR)
		keys_read(build, place, rate_prefix_keys, COUNT(rate_prefix_keys), out);
	else if (!parse_rate_prefix(slice_of(place->doc->text), out))
		complain(build, place,
			 "'prefix: %.64s': must be a number of bits, or {ipv4: 32, ipv6: 64}",
			 place->doc->text);
}

static const struct key rate_keys[] = {
	{"new", KEY_NUMBER, RATE(new_flows), 1, MAX_RATE, NULL, NULL},
	{"per", KEY_DURATION, RATE(per_ms), MIN_RATE_MS, MAX_RATE_MS, NULL, NULL},
	{"prefix", KEY_OBJECT, 0, 0, 0, NULL, read_rate_prefix},
};

/* "100/1s" or "100/1s/24". */
static bool parse_rate(const char *text, struct rate_spec *rate)
{
	const char *slash = strchr(text, '/');
	const char *second = slash ? strchr(slash + 1, '/') : NULL;
	struct slice per;
	uint64_t new_flows;

	if (!slash)
		return false;
	per = (struct slice){slash + 1, second ? (size_t)(second - slash - 1) : strlen(slash + 1)};
	if (!parse_u64((struct slice){text, (size_t)(slash - text)}, &new_flows) ||
	    new_flows == 0 || new_flows > MAX_RATE || !parse_duration_ms(per, &rate->per_ms) ||
	    rate->per_ms < MIN_RATE_MS || rate->per_ms > MAX_RATE_MS)
		return false;
	rate->new_flows = (uint32_t)new_flows;
	return !second || parse_rate_prefix(slice_of(second + 1), rate);
}

void read_rate(struct build *build, const struct place *place, void *out)
{
	struct rate_spec *rate = out;
	struct rate_spec read = {.per_ms = SECOND_MS, .bits4 = 32, .bits6 = 64};

	if (place->doc->kind != DOC_SCALAR) {
		if (!expect_kind(build, place, DOC_MAP))
			return;
		keys_read(build, place, rate_keys, COUNT(rate_keys), &read);
		if (!doc_get(place->doc, "new"))
			complain(build, place,
				 "'new' is missing: how many new flows may a source open?");
		*rate = read;
	} else if (parse_rate(place->doc->text, &read)) {
		*rate = read;
	} else if (strcmp(place->doc->text, "none") != 0) {
		complain(build, place,
			 "'rate: %.64s': must be like 100/1s or 100/1s/24 (1 to %d new flows, "
			 "100ms to 1h, bits of a prefix), or none",
			 place->doc->text, MAX_RATE);
	}
}

/* ---- flow-timeouts -------------------------------------------------------------------------- */

#define IDLE(name) \
	KEY_DURATION, offsetof(struct flow_timeouts_spec, name), SECOND_MS, WEEK_MS, NULL, NULL

static const struct key flow_timeout_keys[] = {
	{"syn", IDLE(syn)},	    {"open", IDLE(open)},	{"fin", IDLE(fin)},
	{"closing", IDLE(closing)}, {"udp-new", IDLE(udp_new)}, {"udp", IDLE(udp)},
};

void read_flow_timeouts(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, flow_timeout_keys, COUNT(flow_timeout_keys), out);
}

static uint32_t idle_of(const struct service_spec *service, const struct key *key)
{
	return *(const uint32_t *)((const char *)&service->flow_timeouts + key->offset);
}

/* The kernel path has one timeout for each state of a flow, whatever its service. */
static void check_flow_timeout(struct build *build, const struct place *place,
			       const struct service_spec *service, const struct key *key)
{
	const struct config *config = build->config;

	for (const struct service_spec *other = config->services; other < service; other++) {
		uint32_t theirs = idle_of(other, key);
		struct place at;

		if (other->path != PATH_KERNEL || theirs == 0 || theirs == idle_of(service, key))
			continue;
		at = place_at_key(place, "flow-timeouts");
		at = place_at_key(&at, key->name);
		complain(build, &at,
			 "'%s' is %ums here and %ums at service '%s': the kernel path has one set "
			 "of "
			 "flow-timeouts for all services: make them equal, or keep one",
			 key->name, idle_of(service, key), theirs, other->name);
		return;
	}
}

/* ---- What no single key can know ------------------------------------------------------------ */

static bool listens_on(const struct service_spec *service, bool ipv4)
{
	for (uint32_t i = 0; i < service->n_listen; i++) {
		if (addr_is_ipv4(&service->listen[i]) == ipv4)
			return true;
	}
	return false;
}

static bool rate_has_one_prefix(const struct doc *service)
{
	const struct doc *rate = doc_get(service, "rate");
	const struct doc *prefix = rate && rate->kind == DOC_MAP ? doc_get(rate, "prefix") : NULL;

	if (rate && rate->kind == DOC_SCALAR)
		return strchr(rate->text, '/') != strrchr(rate->text, '/');
	return prefix && prefix->kind == DOC_SCALAR;
}

static void check_rate(struct build *build, const struct place *place,
		       const struct service_spec *service)
{
	struct place at = place_at_key(place, "rate");

	if (service->rate.new_flows == 0 || !rate_has_one_prefix(place->doc))
		return;
	if (listens_on(service, true) && listens_on(service, false))
		complain(build, &at,
			 "the service listens on both families: write 'prefix: {ipv4: 32, ipv6: "
			 "64}'");
	else if (listens_on(service, true) && service->rate.bits6 > 32)
		complain(build, &at, "an IPv4 prefix has at most 32 bits, not %u",
			 service->rate.bits6);
}

/* Where a prefix was read: the first n_allow are those of allow. */
struct listed {
	const struct prefix *prefix;
	uint32_t index;
};

static int compare_listed(const void *a, const void *b)
{
	const struct listed *one = a;
	const struct listed *two = b;
	int order = memcmp(one->prefix, two->prefix, sizeof(*one->prefix));

	return order ? order : one->index < two->index ? -1 : one->index > two->index;
}

static struct place place_of_prefix(const struct place *place, const struct service_spec *service,
				    uint32_t index)
{
	bool allow = index < service->n_allow;
	struct place at = place_at_key(place, allow ? "allow" : "deny");
	const struct doc *child = at.doc->kind == DOC_LIST ? at.doc->first : NULL;

	for (uint32_t i = allow ? index : index - service->n_allow; child && i > 0; i--)
		child = child->next;
	return child ? place_child(&at, child, "prefix") : at;
}

static void check_twins(struct build *build, const struct place *place,
			const struct service_spec *service)
{
	uint32_t n = service->n_allow + service->n_deny;
	struct listed *all = build_array(build, n, sizeof(*all));

	for (uint32_t i = 0; all && i < n; i++) {
		all[i].index = i;
		all[i].prefix = i < service->n_allow ? &service->allow[i]
						     : &service->deny[i - service->n_allow];
	}
	if (all)
		qsort(all, n, sizeof(*all), compare_listed);
	for (uint32_t i = 1; all && i < n; i++) {
		struct place at = place_of_prefix(place, service, all[i].index);
		char text[PREFIX_TEXT_LEN];

		if (prefix_equal(all[i - 1].prefix, all[i].prefix))
			complain(
				build, &at,
				"'%s' is listed already, in 'allow' or 'deny': keep one of the two",
				prefix_format(all[i].prefix, text));
	}
	free(all);
}

static void check_no_flow(struct build *build, const struct place *place,
			  const struct service_spec *service)
{
	struct place at = place_at_key(place, "no-flow");

	if (!doc_get(place->doc, "no-flow"))
		return;
	if (service->protocol == PROTOCOL_UDP)
		complain_key(build, &at,
			     "'no-flow' is for TCP: every UDP packet may begin a flow: remove it");
	else if (service->forward >= FORWARD_DSR)
		complain_key(build, &at,
			     "'no-flow' is for 'forward: nat' and 'snat': with '%s' a packet of no "
			     "flow goes to a backend by its hash: remove it",
			     strtable_name(&forward_names, (int)service->forward));
}

void check_protection(struct build *build, const struct place *place,
		      const struct service_spec *service)
{
	static const char *const kernel_keys[] = {"flow-timeouts", "no-flow", "snat-addresses"};
	static const char *const proxy_keys[] = {"max-connections", "max-connections-per-source"};

	for (size_t i = 0; service->path != PATH_KERNEL && i < COUNT(kernel_keys); i++) {
		struct place at = place_at_key(place, kernel_keys[i]);

		if (doc_get(place->doc, kernel_keys[i]))
			complain_key(build, &at, "'%s' is for 'path: kernel': remove it",
				     kernel_keys[i]);
	}
	for (size_t i = 0; service->path == PATH_KERNEL && i < COUNT(proxy_keys); i++) {
		struct place at = place_at_key(place, proxy_keys[i]);

		if (doc_get(place->doc, proxy_keys[i]))
			complain_key(build, &at, "'%s' is for 'path: proxy': remove it",
				     proxy_keys[i]);
	}
	check_rate(build, place, service);
	check_twins(build, place, service);
	if (service->path != PATH_KERNEL)
		return;
	check_no_flow(build, place, service);
	for (size_t i = 0; i < COUNT(flow_timeout_keys); i++) {
		if (idle_of(service, &flow_timeout_keys[i]))
			check_flow_timeout(build, place, service, &flow_timeout_keys[i]);
	}
}

void check_prefix_count(struct build *build, const struct place *place)
{
	const struct config *config = build->config;
	uint32_t n = 0;

	/* One more a service for the other family, see daemon/project.c. */
	for (uint32_t i = 0; i < config->n_services; i++) {
		uint32_t own = config->services[i].n_allow + config->services[i].n_deny;

		if (config->services[i].path != PATH_KERNEL)
			continue;
		n += own ? own + 1 : 0;
	}
	if (n > LB_MAX_PREFIXES)
		complain(build, place, "all services have %u allow and deny prefixes: at most %d",
			 n, LB_MAX_PREFIXES);
}
