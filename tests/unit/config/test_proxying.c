/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* One service on line 2; its keys begin in column 48. */
#define POOL   "pools: {web: {backends: [{address: 10.0.1.1:80}]}}\n"
#define BARE   POOL "services: {s: {listen: 10.0.0.1:80, pool: web, "
#define ROUTED POOL "services: {s: {listen: 10.0.0.1:80, "
#define RELAY  BARE "protocol: tcp, path: proxy, "
#define HTTP   BARE "protocol: http, "
#define END    "}}\n"

struct row {
	const char *name;
	const char *yaml;
	const char *expected; /* all messages, or "" for a good file */
};

static const struct row rows[] = {
	{"a relay accepts and sends PROXY headers",
	 RELAY "proxy-protocol: {accept: true, send: v1}" END, ""},
	{"so does an HTTP service", HTTP "proxy-protocol: {accept: true, send: v2}" END, ""},
	{"both are off unless they are wanted",
	 HTTP "proxy-protocol: {accept: false, send: none}" END, ""},
	{"there are two versions", RELAY "proxy-protocol: {send: v3}" END,
	 "t:2:99: 'send: v3' is unknown: did you mean 'v1'?\n"},
	{"a version is a word", RELAY "proxy-protocol: {send: 2}" END,
	 "t:2:99: 'send: 2' is unknown: did you mean 'v2'?\n"},
	{"accept is true or false", RELAY "proxy-protocol: {accept: yes}" END,
	 "t:2:101: 'accept: yes': must be true or false\n"},
	{"a key nobody knows", RELAY "proxy-protocol: {sends: v1}" END,
	 "t:2:93: unknown key 'sends': did you mean 'send'?\n"},
	{"one word is not enough", RELAY "proxy-protocol: true" END,
	 "t:2:92: 'proxy-protocol' must be keys and values, not a single value\n"},
	{"a relay routes by names",
	 ROUTED "protocol: tcp, path: proxy, routes: [{host: a.example.com, "
		"pool: web}, {host: \"*.example.org\", pool: web}, {pool: web}]" END,
	 ""},
	{"and by nothing else",
	 ROUTED "protocol: tcp, path: proxy, routes: [{host: a, path: /x, pool: web}]" END,
	 "t:2:84: 'path' is for 'protocol: http': a relay routes by the name that a TLS client "
	 "asks for ('host') alone: remove it\n"},
	{"the kernel path has no routes", ROUTED "routes: [{host: a, pool: web}]" END,
	 "t:2:45: 'routes' are for 'path: proxy': use 'pool'\n"},
	{"a relay that accepts headers may say whose",
	 RELAY "proxy-protocol: {accept: true}, trusted-proxies: [10.0.0.0/8]" END, ""},
	{"the kernel path cannot", BARE "proxy-protocol: {accept: true}" END,
	 "t:2:48: 'proxy-protocol' is for 'path: proxy': the kernel path passes a connection's "
	 "bytes on as they are: remove it\n"},
};

static void run(void **state)
{
	const struct row *row = *state;
	struct config *config = NULL;
	struct report report;
	struct doc *doc;

	report_init(&report, "t");
	doc = doc_from_yaml(row->yaml, strlen(row->yaml), "t", &report);
	if (doc)
		config = config_build(doc, &report);
	assert_string_equal(report.text.len ? report.text.ptr : "", row->expected);
	assert_int_equal(config == NULL, row->expected[0] != '\0');
	config_free(config);
	doc_free(doc);
	report_fini(&report);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0])];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = run, .initial_state = (void *)&rows[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
