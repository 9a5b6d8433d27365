/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/equal.h"

/* Nine lines; what a row adds is on line 10 or begins there. */
#define HEAD \
	"pools:\n" \
	"  web:\n" \
	"    backends: [{address: 10.0.1.11:8080}]\n" \
	"  api: {backends: []}\n" \
	"services:\n" \
	"  front:\n" \
	"    listen: 10.0.0.100:80\n" \
	"    protocol: http\n" \
	"    routes:\n"

#define WEB "    - {pool: web}\n"

struct row {
	const char *name;
	const char *yaml;     /* behind HEAD */
	const char *expected; /* all messages, or "" for a good file */
};

static const struct row rows[] = {
	{"a route may say all it takes",
	 "    - {host: \"*.Example.com\", path: /v1/, method: [GET, PURGE], pool: web}\n", ""},
	{"one method needs no list", "    - {method: GET, pool: web}\n", ""},
	{"a host has no port", "    - {host: \"example.com:80\", pool: web}\n",
	 "t:10:14: 'host: example.com:80': must be a name without a port, like example.com, or "
	 "*.example.com for every name below it\n"},
	{"a star stands in front alone", "    - {host: \"a.*.com\", pool: web}\n",
	 "t:10:14: 'host: a.*.com': must be a name without a port, like example.com, or "
	 "*.example.com for every name below it\n"},
	{"a path begins with a slash", "    - {path: v1, pool: web}\n",
	 "t:10:14: 'path: v1': must begin with '/'\n"},
	{"a path is written decoded", "    - {path: /a%20b, pool: web}\n",
	 "t:10:14: 'path: /a%20b': write it decoded: requests are compared with it after "
	 "decoding\n"},
	{"a path that is resolved before would never fit", "    - {path: /a/../b, pool: web}\n",
	 "t:10:14: 'path: /a/../b': would never fit: '//', '/./' and '/../' are resolved before\n"},
	{"a query is no path", "    - {path: \"/a?b\", pool: web}\n",
	 "t:10:14: 'path: /a?b': queries and fragments are not looked at: leave out what follows "
	 "the path\n"},
	{"methods are capitals", "    - {method: [GET, get], pool: web}\n",
	 "t:10:22: 'method: get': must be a method in capitals, like GET\n"},
	{"what lbd refuses is no method of a route", "    - {method: TRACE, pool: web}\n",
	 "t:10:16: 'method: TRACE' would never fit: lbd refuses it with 405\n"},
	{"a route leads somewhere", "    - {path: /v1/}\n",
	 "t:10:7: 'pool' is missing: a route leads to one, or has 'pools' or a 'redirect'\n"},
	{"a route leads to one end", "    - {pool: web, redirect: {to: \"https://a/\"}}\n",
	 "t:10:19: 'pool' and 'redirect' exclude each other: keep one\n"},
	{"pools may share a route",
	 "    - {pools: [{pool: web, weight: 9}, {pool: api}, {pool: web2, weight: 0}]}\n",
	 "t:10:60: there is no pool 'web2': did you mean 'web'?\n"},
	{"a share names its pool", "    - {pools: [{weight: 9}]}\n",
	 "t:10:16: 'pool' is missing: whose weight is it?\n"},
	{"one share at least has a weight", "    - {pools: [{pool: web, weight: 0}]}\n",
	 "t:10:15: 'pools': one weight at least must be above 0\n"},
	{"a pool has one share", "    - {pools: [{pool: web}, {pool: web}]}\n",
	 "t:10:15: pool 'web' is here twice: add the weights\n"},
	{"a redirect", "    - redirect: {to: \"https://${host}${target}\", code: 308}\n", ""},
	{"a redirect has a default code", "    - redirect: {to: /new/}\n", ""},
	{"a redirect leads where the operator says", "    - redirect: {to: \"${target}\"}\n",
	 "t:10:22: 'to: ${target}': must begin with https://, http:// or a path of your own, like "
	 "https://${host}${target}\n"},
	{"also not to another host by two slashes", "    - redirect: {to: \"/${path}\"}\n",
	 "t:10:22: 'to: /${path}': must begin with https://, http:// or a path of your own, like "
	 "https://${host}${target}\n"},
	{"a redirect's variables are known", "    - redirect: {to: \"https://${hots}/\"}\n",
	 "t:10:22: 'to: https://${hots}/': unknown variable '${hots}', did you mean '${host}'?\n"},
	{"a redirect has no backend", "    - redirect: {to: \"https://${backend}/\"}\n",
	 "t:10:22: 'to: https://${backend}/': '${backend}': a redirect has none\n"},
	{"a redirect's code is one", "    - redirect: {to: /a, code: 300}\n",
	 "t:10:32: 'code: 300': must be one of 301, 302, 303, 307, 308\n"},
	{"a redirect leads somewhere", "    - redirect: {code: 301}\n",
	 "t:10:17: 'to' is missing: where should it lead?\n"},
	{"a route may have time-outs", "    - {pool: web, timeouts: {connect: 1s, tunnel: 1h}}\n",
	 ""},
	{"a route may change headers",
	 "    - {pool: web, headers: {set: {Host: a, X-A: \"${client_ip}\"}, remove: [Via, X-B]},\n"
	 "       response-headers: {add: {X-C: \"${backend} of ${pool}\"}, remove: Server}}\n",
	 ""},
	{"what frames a message is not changed",
	 "    - {pool: web, headers: {set: {content-length: 1}}}\n",
	 "t:10:35: 'content-length' frames the message or belongs to one connection: lbd writes "
	 "it\n"},
	{"nor removed", "    - {pool: web, response-headers: {remove: [Connection]}}\n",
	 "t:10:47: 'Connection' frames the message or belongs to one connection: lbd writes it\n"},
	{"a host is not removed", "    - {pool: web, headers: {remove: [Host]}}\n",
	 "t:10:38: 'Host' must be there once: it can be set only\n"},
	{"a host is not for responses", "    - {pool: web, response-headers: {set: {Host: a}}}\n",
	 "t:10:44: 'Host' is a header of requests\n"},
	{"a header's name is a token", "    - {pool: web, headers: {add: {\"a b\": c}}}\n",
	 "t:10:35: 'a b' not a header name: use letters, digits and '-'\n"},
	{"a header's value has no line end",
	 "    - {pool: web, headers: {add: {a: \"b\\r\\nc\"}}}\n",
	 "t:10:38: the value holds a control character: remove it\n"},
	{"a header's variables are known",
	 "    - {pool: web, headers: {add: {a: \"${clientip}\"}}}\n",
	 "t:10:38: '${clientip}': unknown variable '${clientip}', did you mean "
	 "'${client_ip}'?\n"},
	{"a request has no backend yet", "    - {pool: web, headers: {add: {a: \"${backend}\"}}}\n",
	 "t:10:38: '${backend}' is known in 'response-headers' only: the backend is chosen after "
	 "the request is written\n"},
	{"headers are under set, add or remove", "    - {pool: web, headers: {X-A: b}}\n",
	 "t:10:29: unknown key 'X-A': see the README for the words\n"},
	{"a redirect's requests go nowhere", "    - {redirect: {to: /a}, headers: {set: {a: b}}}\n",
	 "t:10:28: 'headers' are for requests to a pool: a redirect's own are in "
	 "'response-headers'\n"},
	{"a service may keep clients at their backends",
	 WEB "    sticky: {cookie: LB, max-age: 1h, same-site: none, secure: true, path: /a}\n",
	 ""},
	{"browsers want secure cookies across sites",
	 WEB "    sticky: {cookie: LB, same-site: none}\n",
	 "t:11:37: browsers refuse 'same-site: none' without 'secure: true': add it\n"},
	{"a cookie has a name", WEB "    sticky: {path: /}\n",
	 "t:11:13: 'cookie' is missing: what is it to be called?\n"},
	{"a cookie's name is plain", WEB "    sticky: {cookie: \"a;b\"}\n",
	 "t:11:22: 'cookie: a;b': use letters, digits, '.', '_' or '-' for its name\n"},
	{"a cookie's path does not end it", WEB "    sticky: {cookie: a, path: \"/;x\"}\n",
	 "t:11:31: 'path: /;x': must begin with '/' and hold no ';'\n"},
	{"proxies may be trusted", WEB "    trusted-proxies: [10.0.0.0/8, \"fd00::/8\"]\n", ""},
	{"a trusted proxy is a prefix", WEB "    trusted-proxies: [proxy1]\n",
	 "t:11:23: 'trusted-proxies: proxy1': not a prefix (10.0.0.0/8, fd00::/8) or an address\n"},
	{"but not those of the connection", "    - {pool: web, timeouts: {client-idle: 1s}}\n",
	 "t:10:30: 'client-idle' is the service's, no route's: move it there\n"},
};

static struct config *build(const char *text, struct report *report)
{
	struct doc *doc;
	struct config *config;

	report_init(report, "t");
	doc = doc_from_yaml(text, strlen(text), "t", report);
	config = doc ? config_build(doc, report) : NULL;
	doc_free(doc);
	return config;
}

static void run(void **state)
{
	const struct row *row = *state;
	char text[2048];
	struct report report;
	struct config *config;

	(void)snprintf(text, sizeof(text), "%s%s", HEAD, row->yaml);
	config = build(text, &report);
	if (strcmp(report.text.ptr ? report.text.ptr : "", row->expected) != 0)
		fail_msg("%s:\nexpected: %sgot:      %s", row->yaml, row->expected,
			 report.text.ptr);
	assert_true((config != NULL) == (row->expected[0] == '\0'));
	config_free(config);
	report_fini(&report);
}

/* By the API "_" in a key stands for "-", but a header's name is no word of ours. */
static void a_headers_name_is_the_same_by_the_api(void **state)
{
	static const char text[] =
		"{\"pools\": {\"web\": {}}, \"services\": {\"front\": {\"listen\": \"10.0.0.1:80\","
		" \"protocol\": \"http\", \"routes\": [{\"pool\": \"web\", \"response_headers\":"
		" {\"set\": {\"X_A\": \"b\"}, \"remove\": [\"X_B\"]}}]}}}";
	json_t *json = json_loads(text, 0, NULL);
	struct report report;
	struct config *config;
	struct doc *doc;

	(void)state;
	report_init(&report, "t");
	doc = doc_from_json(json, &report);
	assert_non_null(doc);
	config = config_build(doc, &report);
	if (!config)
		fail_msg("%s", report.text.ptr);
	assert_int_equal(config->services[0].routes[0].response_headers.n, 2);
	assert_string_equal(config->services[0].routes[0].response_headers.headers[0].name, "X_B");
	assert_string_equal(config->services[0].routes[0].response_headers.headers[1].name, "X_A");
	config_free(config);
	doc_free(doc);
	json_decref(json);
	report_fini(&report);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0]) + 2] = {
		cmocka_unit_test(a_headers_name_is_the_same_by_the_api),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[i + 2] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = run, .initial_state = (void *)&rows[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
