/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include "proxy/path.h"
#include "proxy/route.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Paths ---------------------------------------------------------------------------------- */

static void a_path_is_compared_in_its_clean_form(void **state)
{
	static const struct {
		const char *path, *want;
	} rows[] = {
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/%61dmin", "/admin"},
		{"/%2561dmin", "/%61dmin"}, /* decoded once */
		{"/a%2Fb", "/a/b"},
		{"/a/%2e%2E/b", "/b"},
		{"/a/../admin", "/admin"},
		{"/../../admin", "/admin"},
		{"/a/b/../../..", "/"},
		{"/a/./b/.", "/a/b/"},
		{"/a/..", "/"},
		{"/a/b/..", "/a/"},
		{"//admin", "/admin"},
		{"/a///b//", "/a/b/"},
		{"/.a/..b/c.", "/.a/..b/c."},
		{"/a/...", "/a/..."},
		{"/100%", "/100%"},
		{"/%zz/%4", "/%zz/%4"},
		{"/%2f%2e%2e%2fadmin", "/admin"},
		{"*", "*"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buffer[64] = "";
		struct slice clean = path_clean(slice_of(rows[i].path), buffer);

		if (!slice_eq(clean, slice_of(rows[i].want)))
			fail_msg("%s: expected '%s', got '%.*s'", rows[i].path, rows[i].want,
				 SLICE_ARG(clean));
	}
}

/* ---- The first that fits -------------------------------------------------------------------- */

static struct http_head request_for(const char *method, const char *host, const char *target)
{
	return (struct http_head){.method = http_method_of(slice_of(method)),
				  .method_text = slice_of(method),
				  .authority = slice_of(host),
				  .target = slice_of(target)};
}

static int find(const struct service_spec *spec, const char *method, const char *host,
		const char *target)
{
	struct http_head head = request_for(method, host, target);
	struct route_table *table;
	int route;

	assert_int_equal(route_table_new(spec, &table), 0);
	route = route_find(table, &head);
	route_table_free(table);
	return route;
}

static void the_first_route_that_fits_is_taken(void **state)
{
	static struct route_spec routes[] = {
		{.host = "api.example.com", .path = "/v1/"},
		{.host = "*.example.com"},
		{.host = "", .path = "/static"},
		{.host = "", .path = "/form", .methods = {"POST", "PURGE"}, .n_methods = 2},
		{.host = "form", .path = "/", .methods = {"GET"}, .n_methods = 1},
		{.host = "", .path = "/admin"},
	};
	static const struct service_spec spec = {.routes = routes, .n_routes = COUNT(routes)};
	static const struct {
		const char *method, *host, *target;
		int want;
	} rows[] = {
		{"GET", "api.example.com", "/v1/x", 0},
		{"GET", "API.Example.com:8080", "/v1/", 0},
		{"GET", "api.example.com.", "/v1/?q", 0},
		{"GET", "api.example.com", "/v1?x=/v1/", 1},
		{"GET", "a.b.example.com", "/", 1},
		{"GET", "example.com", "/", -ENOENT},
		{"GET", "badexample.com", "/", -ENOENT},
		{"GET", "other", "/static/x", 2},
		{"GET", "", "/static", 2},
		{"GET", "[::1]:80", "/statically", 2},
		{"OPTIONS", "other", "*", -ENOENT},
		{"POST", "other", "/form", 3},
		{"PURGE", "other", "/form", 3},
		{"LINK", "other", "/form", -ENOENT},
		{"GET", "other", "/form", -ENOENT},
		{"GET", "form", "/form", 4},
		{"HEAD", "form", "/form", -ENOENT},
		{"GET", "other", "/%61dmin", 5},
		{"GET", "other", "/x/../admin", 5},
		{"GET", "other", "//admin/", 5},
		{"GET", "other", "/static/../admin", 5},
		{"GET", "other", "/x?/admin", -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int got = find(&spec, rows[i].method, rows[i].host, rows[i].target);

		if (got != rows[i].want)
			fail_msg("%s %s%s: expected route %d, got %d", rows[i].method, rows[i].host,
				 rows[i].target, rows[i].want, got);
	}
}

/* Many routes, as generated: what the index finds must be what a walk along all of them finds. */
#define MANY 200

static void many_routes_are_found_as_few_are(void **state)
{
	static struct route_spec routes[MANY];
	struct service_spec spec = {.routes = routes, .n_routes = MANY};
	struct route_table *table;
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		const char *const hosts[] = {"", "*.w%u.org", "H%u.org", "h%u.org"};

		snprintf(routes[i].host, sizeof(routes[i].host), hosts[i % 7 ? 3 : i % 3], i / 3);
		for (char *c = routes[i].host; *c; c++)
			*c |= 0x20 & -(*c >= 'A' && *c <= 'Z');
		snprintf(routes[i].path, sizeof(routes[i].path), "/%u", i % 5);
	}
	assert_int_equal(route_table_new(&spec, &table), 0);
	assert_non_null(route_table_list(table, SLICE("x")));
	for (unsigned i = 0; i < MANY * 15; i++) {
		char host[64], path[64];
		struct http_head head;
		int want = -ENOENT;

		snprintf(host, sizeof(host), i % 3 ? "H%u.ORG:80" : "a.W%u.org", i / 30);
		snprintf(path, sizeof(path), "/%u/x", i % 6);
		head = request_for("GET", host, path);
		for (int j = MANY - 1; j >= 0; j--) {
			struct slice own = slice_of(routes[j].path);

			if (route_host_fits(slice_of(routes[j].host), route_host(head.authority)) &&
			    slice_starts(head.target, own))
				want = j;
		}
		found += want >= 0;
		if (route_find(table, &head) != want)
			fail_msg("%s%s: expected route %d, got %d", host, path, want,
				 route_find(table, &head));
	}
	assert_true(found > MANY);
	route_table_free(table);
}

/* ---- Shares --------------------------------------------------------------------------------- */

static void shares_are_exact_and_evenly_spread(void **state)
{
	static struct share_spec shares[] = {{"a", 90}, {"b", 9}, {"c", 1}, {"d", 0}};
	static struct route_spec route = {.shares = shares, .n_shares = 4};
	static const struct service_spec spec = {.routes = &route, .n_routes = 1};
	struct route_table *table;
	unsigned counts[4] = {0}, since_b = 0, longest = 0;

	(void)state;
	assert_int_equal(route_table_new(&spec, &table), 0);
	assert_int_equal(table->n_pools, 4);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t pool = route_turn(&table->rules[0]);

		counts[pool]++;
		since_b = pool == 1 ? 0 : since_b + 1;
		longest = since_b > longest ? since_b : longest;
	}
	assert_int_equal(counts[0], 900);
	assert_int_equal(counts[1], 90);
	assert_int_equal(counts[2], 10);
	assert_int_equal(counts[3], 0);
	assert_true(longest < 20);
	route_table_free(table);
}

static void what_a_route_does_not_say_is_the_services(void **state)
{
	static struct route_spec route = {.timeouts = {.connect = 5}};
	static const struct service_spec spec = {
		.routes = &route, .n_routes = 1, .timeouts = {.connect = 7, .tunnel = 9}};
	struct route_table *table;

	(void)state;
	assert_int_equal(route_table_new(&spec, &table), 0);
	assert_int_equal(table->rules[0].timeouts.connect, 5);
	assert_int_equal(table->rules[0].timeouts.tunnel, 9);
	route_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_compared_in_its_clean_form),
		cmocka_unit_test(the_first_route_that_fits_is_taken),
		cmocka_unit_test(many_routes_are_found_as_few_are),
		cmocka_unit_test(shares_are_exact_and_evenly_spread),
		cmocka_unit_test(what_a_route_does_not_say_is_the_services),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
