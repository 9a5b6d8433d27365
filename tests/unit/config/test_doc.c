/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/equal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* DESIGN's example without what this version refuses: admin.listen. */
static const char good[] =
	"interfaces:\n"
	"  - {name: eth0, hook: auto}\n"
	"workers: 2\n"
	"pin-path: /sys/fs/bpf/lbd\n"
	"admin:\n"
	"  socket: /run/lbd/lbd.sock\n"
	"pools:\n"
	"  web:\n"
	"    algorithm: least-connections\n"
	"    health: {type: http, path: /healthz, interval: 2s, timeout: 1s,\n"
	"             rise: 2, fall: 3, backoff-max: 30s, status: [200, 204-299]}\n"
	"    backends:\n"
	"      - {address: 10.0.1.11:8080, weight: 3}\n"
	"      - {address: 10.0.1.12:8080, name: web2, admin: draining}\n"
	"  api: {start: up, when-all-down: all, backends: []}\n"
	"services:\n"
	"  web-l4:\n"
	"    listen: 10.0.0.100:80\n"
	"    protocol: tcp\n"
	"    path: kernel\n"
	"    forward: nat\n"
	"    pool: web\n"
	"  web-l7:\n"
	"    listen: [\"[::]:8080\", \"[fd00::1]:8081\"]\n"
	"    protocol: http\n"
	"    timeouts: {connect: 200ms, tunnel: 2h}\n"
	"    routes:\n"
	"      - {host: API.example.com, path: /v1/, pool: api}\n"
	"      - {pool: web}\n";

static struct doc *read_good(struct report *report)
{
	return doc_from_yaml(good, strlen(good), "t", report);
}

static struct config *build_good(void)
{
	struct report report;
	struct config *config;
	struct doc *doc;

	report_init(&report, "t");
	doc = read_good(&report);
	config = config_build(doc, &report);
	if (!config)
		fail_msg("%s", report.text.ptr);
	doc_free(doc);
	report_fini(&report);
	return config;
}

static void the_design_example_gives_its_pools(void **state)
{
	struct config *config = build_good();
	const struct config_pool *web = config_find_pool(config, "web");
	const struct config_pool *api = config_find_pool(config, "api");

	(void)state;
	assert_string_equal(config->interfaces[0].name, "eth0");
	assert_int_equal(config->workers, 2);
	assert_string_equal(web->pool.algorithm, "least-connections");
	assert_int_equal(web->health.type, HEALTH_HTTP);
	assert_string_equal(web->health.path, "/healthz");
	assert_int_equal(web->health.n_status, 2);
	assert_int_equal(web->health.status[1].last, 299);
	assert_string_equal(web->pool.backends[0].name, "10.0.1.11:8080");
	assert_int_equal(web->pool.backends[0].weight, 3);
	assert_string_equal(web->pool.backends[1].name, "web2");
	assert_int_equal(web->pool.backends[1].admin, ADMIN_DRAINING);
	assert_true(api->pool.start_up);
	assert_int_equal(api->pool.when_all_down, WHEN_ALL_DOWN_ALL);
	assert_int_equal(api->health.type, HEALTH_TCP);
	assert_int_equal(api->health.interval_ms, 2000);
	assert_int_equal(api->health.jitter_percent, 5);
	assert_null(config_find_pool(config, "nobody"));
	config_free(config);
}

static void the_design_example_gives_its_services(void **state)
{
	struct config *config = build_good();
	const struct service_spec *l4 = config_find_service(config, "web-l4");
	const struct service_spec *l7 = config_find_service(config, "web-l7");

	(void)state;
	assert_int_equal(l4->path, PATH_KERNEL);
	assert_int_equal(l4->n_routes, 1);
	assert_string_equal(l4->routes[0].pool, "web");
	assert_true(l4->enabled);
	assert_int_equal(l7->path, PATH_PROXY);
	assert_int_equal(l7->n_listen, 2);
	assert_string_equal(l7->routes[0].host, "api.example.com");
	assert_int_equal(l7->timeouts.connect, 200);
	assert_int_equal(l7->timeouts.tunnel, 7200000);
	assert_int_equal(l7->timeouts.drain, 30000);
	assert_true(config_has_kernel_service(config));
	config_free(config);
}

static void two_builds_of_one_file_are_equal_until_something_changes(void **state)
{
	struct config *a = build_good();
	struct config *b = build_good();
	struct config_pool *pool = &b->pools[0];

	(void)state;
	assert_true(health_spec_equal(&a->pools[0].health, &pool->health));
	assert_true(backend_spec_equal(&a->pools[0].pool.backends[0], &pool->pool.backends[0]));
	pool->health.status[1].last++;
	assert_false(health_spec_equal(&a->pools[0].health, &pool->health));
	pool->pool.backends[0].weight++;
	assert_false(backend_spec_equal(&a->pools[0].pool.backends[0], &pool->pool.backends[0]));
	config_free(a);
	config_free(b);
}

static bool doc_equal(const struct doc *a, const struct doc *b)
{
	const struct doc *x = a->first;
	const struct doc *y = b->first;

	if (a->kind != b->kind || !a->key != !b->key || (a->key && strcmp(a->key, b->key) != 0))
		return false;
	if (a->kind == DOC_SCALAR && strcmp(a->text, b->text) != 0)
		return false;
	for (; x && y; x = x->next, y = y->next) {
		if (!doc_equal(x, y))
			return false;
	}
	return !x && !y;
}

static void a_document_survives_json_and_copying(void **state)
{
	struct report report;
	struct doc *doc;
	struct doc *again;
	struct doc *copy;
	json_t *json;

	(void)state;
	report_init(&report, "t");
	doc = read_good(&report);
	json = doc_to_json(doc);
	again = doc_from_json(json, &report);
	copy = doc_copy(doc);
	assert_true(doc_equal(doc, again));
	assert_true(doc_equal(doc, copy));
	assert_int_equal(report.errors, 0);
	doc_free(doc);
	doc_free(again);
	doc_free(copy);
	json_decref(json);
	report_fini(&report);
}

struct merge_row {
	const char *name;
	const char *base, *overlay, *expected; /* JSON */
};

/* The first rows are of RFC 7396 appendix A. */
static const struct merge_row merge_rows[] = {
	{"a value is replaced", "{\"a\": \"b\"}", "{\"a\": \"c\"}", "{\"a\": \"c\"}"},
	{"a value is added", "{\"a\": \"b\"}", "{\"b\": \"c\"}", "{\"a\": \"b\", \"b\": \"c\"}"},
	{"null removes", "{\"a\": \"b\", \"b\": \"c\"}", "{\"a\": null}", "{\"b\": \"c\"}"},
	{"null of what is not there does nothing", "{\"a\": \"b\"}", "{\"c\": null}",
	 "{\"a\": \"b\"}"},
	{"a list of values is replaced whole", "{\"a\": [\"b\"]}", "{\"a\": \"c\"}",
	 "{\"a\": \"c\"}"},
	{"maps are merged at every depth", "{\"a\": {\"b\": \"c\", \"d\": \"e\"}}",
	 "{\"a\": {\"b\": \"x\", \"d\": null}}", "{\"a\": {\"b\": \"x\"}}"},
	{"nulls in what is new are left out", "{}", "{\"a\": {\"b\": {\"c\": null}}}",
	 "{\"a\": {\"b\": {}}}"},
	{"an entry is found by its name", "{\"l\": [{\"name\": \"x\", \"w\": \"1\"}]}",
	 "{\"l\": {\"x\": {\"w\": \"2\"}}}", "{\"l\": [{\"name\": \"x\", \"w\": \"2\"}]}"},
	{"an entry without a name is found by its address", "{\"l\": [{\"address\": \"a:1\"}]}",
	 "{\"l\": {\"a:1\": {\"w\": \"2\"}}}", "{\"l\": [{\"address\": \"a:1\", \"w\": \"2\"}]}"},
	{"a new entry gets its key as name", "{\"l\": []}", "{\"l\": {\"x\": {\"w\": \"1\"}}}",
	 "{\"l\": [{\"name\": \"x\", \"w\": \"1\"}]}"},
	{"null removes an entry", "{\"l\": [{\"name\": \"x\"}, {\"name\": \"y\"}]}",
	 "{\"l\": {\"x\": null}}", "{\"l\": [{\"name\": \"y\"}]}"},
	{"a list replaces a list", "{\"l\": [{\"name\": \"x\"}]}", "{\"l\": [{\"name\": \"y\"}]}",
	 "{\"l\": [{\"name\": \"y\"}]}"},
};

static struct doc *doc_of(const char *text, struct report *report)
{
	json_t *json = json_loads(text, 0, NULL);
	struct doc *doc;

	assert_non_null(json);
	doc = doc_from_json(json, report);
	json_decref(json);
	return doc;
}

static void the_overlay_is_a_merge_patch_that_knows_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(merge_rows); i++) {
		const struct merge_row *row = &merge_rows[i];
		json_t *expected = json_loads(row->expected, 0, NULL);
		struct report report;
		struct doc *base;
		struct doc *overlay;
		json_t *got;

		report_init(&report, "t");
		base = doc_of(row->base, &report);
		overlay = doc_of(row->overlay, &report);
		assert_int_equal(doc_merge(base, overlay), 0);
		got = doc_to_json(base);
		if (!json_equal(got, expected)) {
			char *text = json_dumps(got, 0);

			fail_msg("%s: expected %s, got %s", row->name, row->expected, text);
		}
		json_decref(got);
		json_decref(expected);
		doc_free(base);
		doc_free(overlay);
		report_fini(&report);
	}
}

static void words_change_their_dashes_and_names_keep_theirs(void **state)
{
	struct report report;
	struct doc *doc;

	(void)state;
	report_init(&report, "t");
	doc = doc_of("{\"pools\": {\"a_b\": {\"when_all_down\": \"all\","
		     " \"health\": {\"interval_ms\": 200, \"backoff_max\": \"3s\"}}}}",
		     &report);
	assert_non_null(doc_get(doc_get(doc, "pools"), "a_b"));
	assert_non_null(doc_get(doc_get(doc_get(doc, "pools"), "a_b"), "when-all-down"));
	assert_string_equal(
		doc_get(doc_get(doc_get(doc_get(doc, "pools"), "a_b"), "health"), "interval")->text,
		"200ms");
	assert_string_equal(
		doc_get(doc_get(doc_get(doc_get(doc, "pools"), "a_b"), "health"), "backoff-max")
			->text,
		"3s");
	doc_free(doc);
	report_fini(&report);
}

#define MUTATIONS  100000
#define MUTATION_S 3

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223; /* Numerical Recipes; the same in every run */
	return *seed >> 8;
}

/* A byte changed, a piece removed, or a piece moved over another. */
static size_t mutate(char *text, size_t len, uint32_t *seed)
{
	static const char bytes[] = "{}[]:,-\"'#&*!|>% \n\t\0\377az09";
	size_t at = next_random(seed) % len;
	size_t from = next_random(seed) % len;
	size_t n = next_random(seed) % 16;

	if (at + n >= len || from + n >= len)
		n = 0;
	switch (next_random(seed) % 3) {
	case 0:
		text[at] = bytes[next_random(seed) % (sizeof(bytes) - 1)];
		break;
	case 1:
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	default:
		memmove(text + at, text + from, n);
	}
	return len;
}

static void no_mutation_of_a_good_file_is_taken_amiss(void **state)
{
	time_t end = time(NULL) + MUTATION_S;
	uint32_t seed = 1;
	unsigned refused = 0;
	char text[sizeof(good)];

	(void)state;
	for (unsigned i = 0; i < MUTATIONS && time(NULL) < end; i++) {
		size_t len = sizeof(good) - 1;
		struct config *config = NULL;
		struct report report;
		struct doc *doc;

		memcpy(text, good, sizeof(good));
		for (uint32_t n = next_random(&seed) % 4 + 1; n > 0; n--)
			len = mutate(text, len, &seed);
		report_init(&report, "t");
		doc = doc_from_yaml(text, len, "t", &report);
		if (doc)
			config = config_build(doc, &report);
		/* Refused exactly when something was said. */
		assert_int_equal(config == NULL, report.errors > 0);
		refused += config == NULL;
		config_free(config);
		doc_free(doc);
		report_fini(&report);
	}
	assert_true(refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_design_example_gives_its_pools),
		cmocka_unit_test(the_design_example_gives_its_services),
		cmocka_unit_test(two_builds_of_one_file_are_equal_until_something_changes),
		cmocka_unit_test(a_document_survives_json_and_copying),
		cmocka_unit_test(the_overlay_is_a_merge_patch_that_knows_names),
		cmocka_unit_test(words_change_their_dashes_and_names_keep_theirs),
		cmocka_unit_test(no_mutation_of_a_good_file_is_taken_amiss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
