/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* One service on line 2; its keys begin in column 47. */
#define SERVICE "pools: {web: {backends: [{address: 10.0.1.1:80}]}}\n" BARE
#define BARE	"services: {s: {listen: 10.0.0.1:80, pool: web, "
#define END	"}}\n"
#define RATE_WHY \
	"must be like 100/1s or 100/1s/24 (1 to 65535 new flows, 100ms to 1h, bits of a prefix), " \
	"or none\n"

struct row {
	const char *name;
	const char *yaml;
	const char *expected; /* all messages, or "" for a good file */
};

static const struct row rows[] = {
	{"prefixes and addresses of both families",
	 SERVICE "allow: [10.0.0.0/8, \"fd00::/8\", 192.0.2.1], deny: [10.1.0.0/16]" END, ""},
	{"one prefix needs no list", SERVICE "deny: 10.0.0.0/8" END, ""},
	{"an empty list is no prefix", SERVICE "allow: []" END, ""},
	{"a wrong prefix has its own place", SERVICE "allow: [10.0.0.0/8, 10.0.0.1/8]" END,
	 "t:2:68: 'allow: 10.0.0.1/8': has bits behind the prefix: write them as zeros\n"},
	{"a name is not looked up", SERVICE "deny: [localhost]" END,
	 "t:2:55: 'deny: localhost': not a prefix (10.0.0.0/8, fd00::/8) or an address\n"},
	{"a prefix is allowed or denied", SERVICE "allow: [10.0.0.0/8], deny: [10.0.0.0/8]" END,
	 "t:2:76: '10.0.0.0/8' is listed already, in 'allow' or 'deny': keep one of the two\n"},
	{"a prefix is listed once", SERVICE "allow: [10.0.0.1, 10.0.0.1/32]" END,
	 "t:2:66: '10.0.0.1/32' is listed already, in 'allow' or 'deny': keep one of the two\n"},
	{"a rate in words", SERVICE "rate: {new: 10, per: 1s, prefix: {ipv4: 24, ipv6: 56}}" END,
	 ""},
	{"a rate in one word", SERVICE "rate: 100/1s/24" END, ""},
	{"no rate", SERVICE "rate: none" END, ""},
	{"a rate needs a number", SERVICE "rate: {per: 1s}" END,
	 "t:2:54: 'new' is missing: how many new flows may a source open?\n"},
	{"a rate has a limit", SERVICE "rate: {new: 65536}" END,
	 "t:2:60: 'new: 65536': must be a number from 1 to 65535\n"},
	{"a rate per nothing", SERVICE "rate: 100" END, "t:2:54: 'rate: 100': " RATE_WHY},
	{"a rate of nothing", SERVICE "rate: 0/1s" END, "t:2:54: 'rate: 0/1s': " RATE_WHY},
	{"a rate per too little", SERVICE "rate: 1/99ms" END, "t:2:54: 'rate: 1/99ms': " RATE_WHY},
	{"a rate per too much", SERVICE "rate: 1/2h" END, "t:2:54: 'rate: 1/2h': " RATE_WHY},
	{"a rate per prefix of no bits", SERVICE "rate: 1/1s/0" END,
	 "t:2:54: 'rate: 1/1s/0': " RATE_WHY},
	{"an IPv4 prefix is short", SERVICE "rate: 1/1s/64" END,
	 "t:2:54: an IPv4 prefix has at most 32 bits, not 64\n"},
	{"a prefix is of one family",
	 "pools: {web: {}}\nservices: {s: {listen: [10.0.0.1:80, \"[fd00::1]:80\"], pool: web, "
	 "rate: 1/1s/24}}\n",
	 "t:2:72: the service listens on both families: write 'prefix: {ipv4: 32, ipv6: 64}'\n"},
	{"what happens without a flow", SERVICE "no-flow: pass" END, ""},
	{"what happens without a flow is one of three", SERVICE "no-flow: rest" END,
	 "t:2:57: 'no-flow: rest' is unknown: did you mean 'reset'?\n"},
	{"every UDP packet may begin a flow", SERVICE "protocol: udp, no-flow: drop" END,
	 "t:2:63: 'no-flow' is for TCP: every UDP packet may begin a flow: remove it\n"},
	{"dsr needs no flow", SERVICE "forward: dsr, no-flow: drop" END,
	 "t:2:62: 'no-flow' is for 'forward: nat' and 'snat': with 'dsr' a packet of no flow goes "
	 "to a backend by its hash: remove it\n"},
	{"timeouts of flows",
	 SERVICE "flow-timeouts: {syn: 5s, open: 2h, fin: 60s, closing: 5s, udp: 60s, "
		 "udp-new: 10s}" END,
	 ""},
	{"a timeout of flows has limits", SERVICE "flow-timeouts: {open: 999ms}" END,
	 "t:2:70: 'open: 999ms': must be from 1000ms to 604800000ms\n"},
	{"two services with the same timeouts of flows",
	 SERVICE "flow-timeouts: {open: 2h}},\n  t: {listen: 10.0.0.2:80, pool: web, "
		 "flow-timeouts: {open: 120m, syn: 9s}" END,
	 ""},
	{"two services with different timeouts of flows",
	 SERVICE "flow-timeouts: {open: 2h}},\n  t: {listen: 10.0.0.2:80, pool: web, "
		 "flow-timeouts: {open: 1h}" END,
	 "t:3:61: 'open' is 3600000ms here and 7200000ms at service 's': the kernel path has one "
	 "set of flow-timeouts for all services: make them equal, or keep one\n"},
	{"the proxy path has allow, deny, rate and limits of connections",
	 "limits: {connections: 100}\npools: {web: {}}\nservices: {s: {listen: 10.0.0.1:80, pool: "
	 "web, protocol: http, allow: [10.0.0.1], deny: [10.0.0.0/8], rate: 1/1s, "
	 "max-connections: 10, max-connections-per-source: 2}}\n",
	 ""},
	{"the proxy path has no flows",
	 "pools: {web: {}}\nservices: {s: {listen: 10.0.0.1:80, pool: web, protocol: http, "
	 "flow-timeouts: {open: 1h}}}\n",
	 "t:2:64: 'flow-timeouts' is for 'path: kernel': remove it\n"},
	{"the kernel path counts flows, not connections", SERVICE "max-connections: 10" END,
	 "t:2:48: 'max-connections' is for 'path: proxy': remove it\n"},
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
