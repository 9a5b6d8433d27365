/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

#define POOL \
	"pools:\n" \
	"  web:\n" \
	"    backends:\n" \
	"      - {address: 10.0.1.11:8080}\n"

#define SERVICE \
	"services:\n" \
	"  front:\n" \
	"    listen: 10.0.0.100:80\n" \
	"    pool: web\n"

struct row {
	const char *name;
	const char *yaml;
	const char *expected; /* all messages, or "" for a good file */
};

static const struct row rows[] = {
	{"a whole file is good", POOL SERVICE, ""},
	{"an empty file is good", "", ""},
	{"an unknown key gets a hint", POOL SERVICE "wrokers: 2\n",
	 "t:9:1: unknown key 'wrokers': did you mean 'workers'?\n"},
	{"a key of the design that is not built is refused", POOL SERVICE "tracing: on\n",
	 "t:9:1: 'tracing' is known but not supported by this version: remove it\n"},
	{"a duplicate key is a syntax error", "workers: 1\nworkers: 2\n",
	 "t:2:1: 'workers' is here already: keep one of the two\n"},
	{"an anchor is refused", "workers: &a 1\n",
	 "t:1:10: anchors and aliases are not allowed: write it out\n"},
	{"a second document is refused", "workers: 1\n---\nworkers: 2\n",
	 "t:2:1: a second document is not allowed\n"},
	{"a weight out of range says the range",
	 "pools:\n  web:\n    backends:\n      - {address: 10.0.1.11:80, weight: 257}\n",
	 "t:4:41: 'weight: 257': must be a number from 0 to 256\n"},
	{"a bad address says why", "pools:\n  web:\n    backends:\n      - {address: web1:80}\n",
	 "t:4:19: 'address: web1:80': not an address (10.0.0.1:80 or \"[fd00::1]:80\"; names are "
	 "not "
	 "looked up)\n"},
	{"queue, retries, limits and passive checks of a pool",
	 POOL "    slow-start: 30s\n    max-connections: 100\n    queue: {size: 10, timeout: 1s}\n"
	      "    retries: {attempts: 1, on: [connect, 503]}\n"
	      "    passive: {failures: 3, window: 5s}\n",
	 ""},
	{"what becomes of flows when a backend goes down", POOL "    on-down: reset\n", ""},
	{"it is kept or reset", POOL "    on-down: rest\n",
	 "t:5:14: 'on-down: rest' is unknown: did you mean 'reset'?\n"},
	{"an unknown cause of retries names the known ones",
	 POOL "    retries: {on: [connect, 500]}\n",
	 "t:5:29: 'on: 500' is unknown: must be of connect, closed, timeout, 502, 503 and 504\n"},
	{"too many attempts say how many", POOL "    retries: {attempts: 11}\n",
	 "t:5:25: 'attempts: 11': must be a number from 0 to 10\n"},
	{"a limit of nothing is none", POOL "    max-connections: 0\n",
	 "t:5:22: 'max-connections: 0': must be a number from 1 to 1000000\n"},
	{"two backends of one name",
	 "pools:\n  web:\n    backends:\n      - {address: 10.0.1.1:80, name: a}\n"
	 "      - {address: 10.0.1.2:80, name: a}\n",
	 "t:5:9: backend 'a' is in this pool already: give it another name\n"},
	{"a missing pool gets a hint",
	 POOL "services:\n  front:\n    listen: 10.0.0.100:80\n    pool: wbe\n",
	 "t:8:11: there is no pool 'wbe': did you mean 'web'?\n"},
	{"overlapping listeners name the other service",
	 POOL SERVICE "  back:\n    listen: 10.0.0.100:80\n    pool: web\n",
	 "t:10:13: '10.0.0.100:80' overlaps a listener of service 'front'\n"},
	{"a wildcard proxy listener overlaps a kernel service",
	 POOL SERVICE "  back:\n    listen: \"[::]:80\"\n    protocol: http\n    pool: web\n",
	 "t:10:13: '[::]:80' overlaps a listener of service 'front'\n"},
	{"http does not run in the kernel",
	 POOL "services:\n  front:\n    listen: 10.0.0.100:80\n    protocol: http\n"
	      "    path: kernel\n    pool: web\n",
	 "t:9:11: 'protocol: http' needs 'path: proxy': leave path out\n"},
	{"a duration needs a unit", "pools:\n  web:\n    health: {interval: 2}\n",
	 "t:3:24: 'interval: 2': must be a duration like 200ms, 2s, 5m or 1h\n"},
	{"every mistake is in one report",
	 "workers: 0\npools:\n  web:\n    algorithm: round-robbin\nservices:\n  front:\n"
	 "    listen: 10.0.0.100\n    pool: web\n",
	 "t:1:10: 'workers: 0': must be a number from 1 to 64\n"
	 "t:4:16: 'algorithm: round-robbin' is unknown: did you mean 'round-robin'?\n"
	 "t:7:13: 'listen: 10.0.0.100': the port is missing\n"},
	{"a bare IPv6 address in a file gets the hint", "services:\n  a:\n    listen: [::]:80\n",
	 "t:3:13: quote IPv6 addresses: \"[fd00::1]:80\"\n"},
	{"other syntax errors do not get it", "a: b: c\n",
	 "t:1:5: mapping values are not allowed in this context\n"},
	{"what is not UTF-8 has its place", "workers: 1\n# \303\251\377\n",
	 "t:2:4: not UTF-8: save the file as UTF-8\n"},
	{"messages are one printable line", "workers: \"a\\nb\"\n",
	 "t:1:10: 'workers: a?b': must be a number from 1 to 64\n"},
	{"an empty pool may be an empty word", "pools:\n  web:\n  api: {backends: }\n", ""},
	{"backends may be a map by name",
	 "pools:\n  web:\n    backends: {a: {address: 10.0.1.1:80}}\n" SERVICE, ""},
	{"a backend is one server", "pools: {web: {backends: [{address: 224.0.0.1:80}]}}\n",
	 "t:1:36: 'address: 224.0.0.1:80': must be the address of one server\n"},
	{"two wrong addresses are two mistakes",
	 "pools:\n  web:\n    backends: [{address: \"10.0.0.1:x\"}, {address: \"10.0.0.2:x\"}]\n",
	 "t:3:26: 'address: 10.0.0.1:x': the port must be a number from 1 to 65535\n"
	 "t:3:51: 'address: 10.0.0.2:x': the port must be a number from 1 to 65535\n"},
	{"a pool's name has no colon", "pools:\n  \"a:b\": {}\n",
	 "t:2:3: 'a:b' is not a name: use 1 to 63 letters, digits, '.', '_' or '-'\n"},
	{"a text must not be empty", "interfaces: [{name: \"\"}]\n",
	 "t:1:21: 'name' is empty: give a value, or leave it out\n"
	 "t:1:14: 'name' is missing: which interface?\n"},
	{"the IPv4 wildcard leaves IPv6 alone",
	 POOL "services:\n  a: {listen: 0.0.0.0:80, protocol: http, pool: web}\n"
	      "  b: {listen: \"[fd00::1]:80\", protocol: http, pool: web}\n",
	 ""},
	{"the IPv6 wildcard takes IPv4 too",
	 POOL "services:\n  a: {listen: \"[::]:80\", protocol: http, pool: web}\n"
	      "  b: {listen: 10.0.0.1:80, protocol: http, pool: web}\n",
	 "t:7:15: '10.0.0.1:80' overlaps a listener of service 'a'\n"},
	{"a long interval takes the default backoff with it",
	 "pools: {web: {health: {interval: 60s}}}\n", ""},
	{"a short interval takes the default timeout with it",
	 "pools: {web: {health: {interval: 500ms}}}\n", ""},
	{"a timeout as long as the interval is good",
	 "pools: {web: {health: {interval: 500ms, timeout: 500ms}}}\n", ""},
	{"a timeout longer than the interval is refused",
	 "pools: {web: {health: {interval: 500ms, timeout: 501ms}}}\n",
	 "t:1:50: 'timeout' (501ms) is longer than 'interval' (500ms): at most the interval\n"},
	{"also when the interval is the default", "pools: {web: {health: {timeout: 3s}}}\n",
	 "t:1:33: 'timeout' (3000ms) is longer than 'interval' (2000ms): at most the interval\n"},
	{"a backoff shorter than the interval is refused",
	 "pools: {web: {health: {backoff-max: 1s}}}\n",
	 "t:1:37: 'backoff-max' (1000ms) is shorter than 'interval' (2000ms): at least the "
	 "interval\n"},
	{"checks of a later version say so",
	 "pools:\n  a: {health: {type: exec}}\n  b: {health: {type: https}}\n",
	 "t:2:22: 'type: exec' is not supported by this version: use tcp, http or none\n"
	 "t:3:22: 'type: https' is not supported by this version: use tcp, http or none\n"},
	{"an unknown check gets a hint", "pools: {web: {health: {type: htpp}}}\n",
	 "t:1:30: 'type: htpp' is unknown: did you mean 'http'?\n"},
	{"a kernel service has no wildcard",
	 POOL "services: {s: {listen: 0.0.0.0:80, pool: web}}\n",
	 "t:5:24: the kernel path needs one address, not a wildcard: name the address that clients "
	 "connect to, or use 'path: proxy'\n"},
	{"a relay may have one",
	 POOL "services: {s: {listen: 0.0.0.0:80, path: proxy, pool: web}}\n", ""},
	{"a kernel service has no timeouts",
	 POOL
	 "services:\n  s:\n    listen: 10.0.0.1:80\n    pool: web\n    timeouts: {drain: 1s}\n",
	 "t:9:5: 'timeouts' are for 'path: proxy': remove it\n"},
	{"every forward mode of every family is good",
	 POOL "services:\n"
	      "  a: {listen: 10.0.0.1:53, protocol: udp, pool: web}\n"
	      "  b: {listen: 10.0.0.1:80, forward: snat, snat-addresses: [10.0.1.1], pool: web}\n"
	      "  c: {listen: 10.0.0.1:8080, forward: dsr, pool: web}\n"
	      "  d: {listen: \"[fd00::1]:8080\", forward: ipip, pool: web}\n"
	      "  e: {listen: \"[fd00::2]:8080\", forward: gue, pool: web}\n",
	 ""},
	{"a relay is for TCP",
	 POOL "services:\n  s: {listen: 10.0.0.1:53, protocol: udp, path: proxy, pool: web}\n",
	 "t:6:49: 'protocol: udp' needs 'path: kernel': the proxy relays TCP\n"},
	{"dsr changes no port",
	 POOL "services:\n  s: {listen: 10.0.0.1:80, forward: dsr, pool: web}\n",
	 "t:6:48: backend '10.0.1.11:8080' of pool 'web' has another port than the service: "
	 "'forward: dsr' changes none; use nat or snat\n"},
	{"nat changes no family", POOL "services:\n  s: {listen: \"[fd00::1]:80\", pool: web}\n",
	 "t:6:37: backend '10.0.1.11:8080' of pool 'web' and the service's address are of "
	 "different families: 'forward: nat' cannot change that; use ipip or gue\n"},
	{"snat needs a source of the service's family",
	 POOL "services:\n  s: {listen: 10.0.0.1:80, forward: snat, pool: web}\n"
	      "  t: {listen: 10.0.0.2:80, forward: snat, snat-addresses: [\"fd00::1\"], pool: "
	      "web}\n",
	 "t:6:6: 'forward: snat' needs 'snat-addresses' with an IPv4 address, the source that "
	 "backends will see\n"
	 "t:7:6: 'forward: snat' needs 'snat-addresses' with an IPv4 address, the source that "
	 "backends will see\n"},
	{"source addresses are for snat, and have no port",
	 POOL "services:\n  s: {listen: 10.0.0.1:80, pool: web, snat-addresses: [10.0.1.1:80]}\n",
	 "t:6:56: 'snat-addresses: 10.0.1.1:80': give the address alone: ports are chosen\n"
	 "t:6:55: 'snat-addresses' are for 'forward: snat': remove them\n"},
	{"a list where a value belongs", "workers: [1]\n",
	 "t:1:10: 'workers' must be a single value, not a list\n"},
};

static void each_file_gets_exactly_its_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *config = NULL;
		struct report report;
		struct doc *doc;
		const char *got;

		report_init(&report, "t");
		doc = doc_from_yaml(rows[i].yaml, strlen(rows[i].yaml), "t", &report);
		if (doc)
			config = config_build(doc, &report);
		got = report.text.ptr ? report.text.ptr : "";
		if (strcmp(got, rows[i].expected) != 0)
			fail_msg("%s: expected\n%s, got\n%s", rows[i].name, rows[i].expected, got);
		assert_int_equal(config != NULL, rows[i].expected[0] == '\0');
		config_free(config);
		doc_free(doc);
		report_fini(&report);
	}
}

static struct config *merged(const char *patch, struct report *report)
{
	json_t *json = json_loads(patch, 0, NULL);
	struct doc *base = doc_from_yaml(POOL SERVICE, strlen(POOL SERVICE), "t", report);
	struct doc *over = doc_from_json(json, report);
	struct config *config;

	assert_non_null(json);
	assert_int_equal(doc_merge(base, over), 0);
	config = config_build(base, report);
	doc_free(base);
	doc_free(over);
	json_decref(json);
	return config;
}

static void the_overlay_changes_adds_and_removes_backends(void **state)
{
	struct report report;
	struct config *config;

	(void)state;
	report_init(&report, "t");
	config = merged("{\"pools\": {\"web\": {\"backends\": {"
			"\"10.0.1.11:8080\": {\"admin\": \"draining\"},"
			"\"web_2\": {\"address\": \"10.0.1.12:8080\", \"weight\": 3}}}}}",
			&report);
	assert_non_null(config);
	assert_int_equal(config->pools[0].pool.n_backends, 2);
	assert_int_equal(config->pools[0].pool.backends[0].admin, ADMIN_DRAINING);
	assert_string_equal(config->pools[0].pool.backends[1].name, "web_2");
	assert_int_equal(config->pools[0].pool.backends[1].weight, 3);
	config_free(config);
	config = merged("{\"pools\": {\"web\": {\"backends\": {\"10.0.1.11:8080\": null}}}}",
			&report);
	assert_non_null(config);
	assert_int_equal(config->pools[0].pool.n_backends, 0);
	config_free(config);
	report_fini(&report);
}

static void an_api_mistake_names_its_field(void **state)
{
	struct report report;

	(void)state;
	report_init(&report, "t");
	assert_null(merged("{\"pools\": {\"web\": {\"health\": {\"interval_ms\": 1}}}}", &report));
	assert_string_equal(report.field, "pools.web.health.interval");
	assert_string_equal(report.message, "'interval: 1ms': must be from 10ms to 3600000ms");
	report_fini(&report);
}

static void a_key_in_two_spellings_is_refused(void **state)
{
	static const char *const bodies[] = {
		"{\"services\": {\"a\": {\"pin-path\": 1, \"pin_path\": 2}}}",
		"{\"health\": {\"interval\": \"2s\", \"interval_ms\": 200}}",
		"{\"pools\": {}, \"pools_ms\": null}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		json_t *json = json_loads(bodies[i], 0, NULL);
		struct report report;

		report_init(&report, "t");
		assert_null(doc_from_json(json, &report));
		assert_int_equal(report.errors, 1);
		json_decref(json);
		report_fini(&report);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_gets_exactly_its_messages),
		cmocka_unit_test(the_overlay_changes_adds_and_removes_backends),
		cmocka_unit_test(an_api_mistake_names_its_field),
		cmocka_unit_test(a_key_in_two_spellings_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
