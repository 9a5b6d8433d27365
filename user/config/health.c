/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "config/objects.h"

#define MIN_INTERVAL_MS 10
#define MAX_INTERVAL_MS 3600000

static void read_status_range(struct build *build, const struct place *place,
			      struct health_spec *health)
{
	const char *text = place->doc->text;
	const char *dash = strchr(text, '-');
	size_t len = dash ? (size_t)(dash - text) : strlen(text);
	uint64_t first;
	uint64_t last;

	if (!parse_u64((struct slice){text, len}, &first) ||
	    !parse_u64(dash ? slice_of(dash + 1) : (struct slice){text, len}, &last) ||
	    first < 100 || last > 599 || first > last) {
		complain(build, place,
			 "'status: %.32s': must be a status like 200 or a range like 200-399",
			 text);
		return;
	}
	if (health->n_status == HEALTH_MAX_STATUS) {
		complain(build, place, "'status': at most %d ranges", HEALTH_MAX_STATUS);
		return;
	}
	health->status[health->n_status].first = (uint16_t)first;
	health->status[health->n_status++].last = (uint16_t)last;
}

static void read_status(struct build *build, const struct place *place, void *out)
{
	struct health_spec *health = out;

	if (place->doc->kind == DOC_SCALAR) {
		read_status_range(build, place, health);
		return;
	}
	if (!expect_kind(build, place, DOC_LIST))
		return;
	for (const struct doc *child = place->doc->first; child; child = child->next) {
		struct place at = place_child(place, child, "status");

		if (expect_kind(build, &at, DOC_SCALAR))
			read_status_range(build, &at, health);
	}
}

#define FIELD(name) offsetof(struct health_spec, name)
#define SIZE(name)  sizeof(((struct health_spec *)NULL)->name)

/* Words of the design that this version does not do: no near miss of one that it does. */
static void read_type(struct build *build, const struct place *place, void *out)
{
	static const struct key type = {.name = "type",
					.kind = KEY_WORD,
					.offset = FIELD(type),
					.words = &health_type_names};
	const char *text = place->doc->kind == DOC_SCALAR ? place->doc->text : "";

	if (strcmp(text, "exec") == 0 || strcmp(text, "https") == 0)
		complain(build, place,
			 "'type: %s' is not supported by this version: use tcp, http or none",
			 text);
	else
		key_read(build, place, &type, out);
}

static const struct key keys[] = {
	{"type", KEY_OBJECT, 0, 0, 0, NULL, read_type},
	{"interval", KEY_DURATION, FIELD(interval_ms), MIN_INTERVAL_MS, MAX_INTERVAL_MS, NULL,
	 NULL},
	{"timeout", KEY_DURATION, FIELD(timeout_ms), 1, MAX_INTERVAL_MS, NULL, NULL},
	{"rise", KEY_NUMBER, FIELD(rise), 1, 1000, NULL, NULL},
	{"fall", KEY_NUMBER, FIELD(fall), 1, 1000, NULL, NULL},
	{"jitter", KEY_NUMBER, FIELD(jitter_percent), 0, 50, NULL, NULL},
	{"backoff-max", KEY_DURATION, FIELD(backoff_max_ms), MIN_INTERVAL_MS, MAX_INTERVAL_MS, NULL,
	 NULL},
	{"port", KEY_NUMBER, FIELD(port), 1, 65535, NULL, NULL},
	{"host", KEY_TEXT, FIELD(host), 0, SIZE(host), NULL, NULL},
	{"path", KEY_TEXT, FIELD(path), 0, SIZE(path), NULL, NULL},
	{"method", KEY_TEXT, FIELD(method), 0, SIZE(method), NULL, NULL},
	{"body", KEY_TEXT, FIELD(body), 0, SIZE(body), NULL, NULL},
	{"status", KEY_OBJECT, 0, 0, 0, NULL, read_status},
	{"fast-interval", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"command", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"flap", KEY_LATER, 0, 0, 0, NULL, NULL},
};

void health_defaults(struct health_spec *health)
{
	*health = (struct health_spec){.type = HEALTH_TCP,
				       .interval_ms = 2000,
				       .timeout_ms = 1000,
				       .rise = 2,
				       .fall = 3,
				       .jitter_percent = 5,
				       .backoff_max_ms = 30000,
				       .path = "/",
				       .method = "GET"};
}

static bool is_clean(const char *text, bool (*bad)(char c))
{
	while (*text) {
		if (bad(*text++))
			return false;
	}
	return true;
}

/* These go into a request line and a header as they are (RFC 9112 sections 3 and 5). */
static bool is_space_or_control(char c)
{
	return (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f;
}

/*
 * Defaults give way to the interval. A timeout that is given may not be longer: probes of a hung
 * server would start later and later, and it would be found after fall * timeout.
 */
static void check_times(struct build *build, const struct place *place, struct health_spec *health)
{
	struct place at = place_at_key(place, "timeout");

	if (!doc_get(place->doc, "timeout") && health->timeout_ms > health->interval_ms)
		health->timeout_ms = health->interval_ms;
	if (health->timeout_ms > health->interval_ms)
		complain(build, &at,
			 "'timeout' (%ums) is longer than 'interval' (%ums): at most the interval",
			 health->timeout_ms, health->interval_ms);
	at = place_at_key(place, "backoff-max");
	if (!doc_get(place->doc, "backoff-max") && health->backoff_max_ms < health->interval_ms)
		health->backoff_max_ms = health->interval_ms;
	if (health->backoff_max_ms < health->interval_ms)
		complain(build, &at,
			 "'backoff-max' (%ums) is shorter than 'interval' (%ums): at least the "
			 "interval",
			 health->backoff_max_ms, health->interval_ms);
}

void read_health(struct build *build, const struct place *place, void *out)
{
	struct health_spec *health = out;

	keys_read(build, place, keys, COUNT(keys), health);
	check_times(build, place, health);
	if (health->path[0] != '/' || !is_clean(health->path, is_space_or_control))
		complain(build, place, "'path' must begin with '/' and hold no spaces");
	if (!health->method[0] || !is_clean(health->method, is_space_or_control) ||
	    !is_clean(health->host, is_space_or_control))
		complain(build, place, "'method' and 'host' must hold no spaces");
}
