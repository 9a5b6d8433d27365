/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/prune.h"

#define OLD \
	"interfaces: [{name: eth0, hook: tc}, {name: eth1, hook: tc}]\n" \
	"pools:\n" \
	"  web: {algorithm: maglev, backends: [{address: 10.0.0.1:80, name: b1}, " \
	"{address: 10.0.0.2:80}]}\n" \
	"  api: {algorithm: maglev, backends: [{address: 10.0.0.3:80, name: b1}]}\n" \
	"services:\n" \
	"  web: {listen: 192.0.2.1:80, protocol: tcp, pool: web}\n" \
	"  api: {listen: 192.0.2.1:81, protocol: tcp, pool: api}\n"
#define NEW \
	"interfaces: [{name: eth0, hook: tc}]\n" \
	"pools:\n" \
	"  web: {algorithm: maglev, backends: [{address: 10.0.0.1:80, name: b1}]}\n" \
	"services:\n" \
	"  web: {listen: 192.0.2.1:80, protocol: tcp, pool: web}\n"

static struct config *build(const char *yaml)
{
	struct config *config = NULL;
	struct report report;
	struct doc *doc;

	report_init(&report, "test");
	doc = doc_from_yaml(yaml, strlen(yaml), "test", &report);
	if (doc)
		config = config_build(doc, &report);
	if (!config)
		fail_msg("%s", report.message);
	doc_free(doc);
	report_fini(&report);
	return config;
}

static json_t *json_of(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

struct row {
	const char *name;
	const char *overlay;
	const char *left;
	const char *dropped;
	const char *left_unknown; /* without the old file; NULL: the same */
	const char *dropped_unknown;
};

static void check_row(const struct row *row, bool knows_before)
{
	struct config *before = knows_before ? build(OLD) : NULL;
	bool other = !knows_before && row->left_unknown;
	json_t *overlay = json_of(row->overlay);
	json_t *left = json_of(other ? row->left_unknown : row->left);
	json_t *names = json_of(other ? row->dropped_unknown : row->dropped);
	struct config *after = build(NEW);
	json_t *dropped = json_array();
	json_t *got = prune_overlay(overlay, before, after, dropped);

	if (!json_equal(got, left) || !json_equal(dropped, names))
		fail_msg("%s, old file %s: left %s, dropped %s", row->name,
			 knows_before ? "known" : "not known", json_dumps(got, 0),
			 json_dumps(dropped, 0));
	json_decref(got);
	json_decref(dropped);
	json_decref(names);
	json_decref(left);
	json_decref(overlay);
	config_free(after);
	config_free(before);
}

static void changes_go_with_their_objects_and_additions_stay(void **unused)
{
	static const struct row rows[] = {
		{"nothing", "{}", "{}", "[]", NULL, NULL},
		{"a change of what is there still",
		 "{\"pools\": {\"web\": {\"backends\": {\"b1\": {\"admin\": \"draining\"}}}}}",
		 "{\"pools\": {\"web\": {\"backends\": {\"b1\": {\"admin\": \"draining\"}}}}}",
		 "[]", NULL, NULL},
		{"a backend of that name in another pool",
		 "{\"pools\": {\"web\": {\"backends\": {\"b1\": {\"weight\": 2}, "
		 "\"10.0.0.2:80\": {\"weight\": 2}}}}}",
		 "{\"pools\": {\"web\": {\"backends\": {\"b1\": {\"weight\": 2}}}}}",
		 "[\"pools.web.backends.10.0.0.2:80\"]", NULL, NULL},
		{"the only change of a pool",
		 "{\"pools\": {\"web\": {\"backends\": {\"10.0.0.2:80\": {\"weight\": 2}}}}}",
		 "{\"pools\": {}}", "[\"pools.web.backends.10.0.0.2:80\"]", NULL, NULL},
		{"a removal of what is gone",
		 "{\"pools\": {\"api\": null, \"web\": {\"algorithm\": \"random-two\", "
		 "\"backends\": {\"10.0.0.2:80\": null}}}, \"interfaces\": {\"eth1\": null}}",
		 "{\"pools\": {\"web\": {\"algorithm\": \"random-two\"}}, \"interfaces\": {}}",
		 "[]", NULL, NULL},
		{"a backend that was added",
		 "{\"pools\": {\"web\": {\"backends\": {\"b9\": {\"address\": "
		 "\"10.0.0.9:80\"}}}}}",
		 "{\"pools\": {\"web\": {\"backends\": {\"b9\": {\"address\": "
		 "\"10.0.0.9:80\"}}}}}",
		 "[]", NULL, NULL},
		{"a pool that was added, its backends a list",
		 "{\"pools\": {\"new\": {\"algorithm\": \"maglev\", \"backends\": [{\"address\": "
		 "\"10.0.0.9:80\"}]}, \"bare\": {}}}",
		 "{\"pools\": {\"new\": {\"algorithm\": \"maglev\", \"backends\": [{\"address\": "
		 "\"10.0.0.9:80\"}]}, \"bare\": {}}}",
		 "[]", NULL, NULL},
		{"a service that was changed and one that was added",
		 "{\"services\": {\"api\": {\"enabled\": false}, \"more\": {\"listen\": "
		 "\"192.0.2.1:82\", \"protocol\": \"tcp\", \"pool\": \"web\"}}}",
		 "{\"services\": {\"more\": {\"listen\": \"192.0.2.1:82\", \"protocol\": \"tcp\", "
		 "\"pool\": \"web\"}}}",
		 "[\"services.api\"]", NULL, NULL},
		/* Only the old file tells these from additions. */
		{"a pool's and an interface's change",
		 "{\"pools\": {\"api\": {\"algorithm\": \"random-two\"}}, \"interfaces\": "
		 "{\"eth1\": {\"hook\": \"native\"}}}",
		 "{\"pools\": {}, \"interfaces\": {}}", "[\"pools.api\", \"interfaces.eth1\"]",
		 "{\"pools\": {\"api\": {\"algorithm\": \"random-two\"}}, \"interfaces\": "
		 "{\"eth1\": {\"hook\": \"native\"}}}",
		 "[]"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		check_row(&rows[i], true);
		check_row(&rows[i], false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_go_with_their_objects_and_additions_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
