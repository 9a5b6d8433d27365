/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include "proxy/forward.h"
#include "proxy/route_table.h"
#include "proxy/sticky.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ID    "X-Request-ID: me\r\n"
#define TRACE "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
#define NAMES ID TRACE

/* What lbd adds for a request to h from 192.0.2.9. */
#define HOPS \
	"X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.9;host=h;proto=http\r\n" \
	"X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
#define VIA "Via: 1.1 lbd\r\n"

struct row {
	const char *name;
	const char *peer;
	const char *fields; /* of the request; behind "GET /p?q HTTP/1.1\r\nHost: h\r\n" */
	const char *want;   /* behind "GET /p?q HTTP/1.1\r\n", without the empty line */
	const char *client; /* whose request it is taken for; NULL: the peer's */
	const char *cookie; /* of ours */
	struct header_spec edits[4];
};

/* 10.0.0.0/8 and fd00::/8 are trusted. */
static const struct row rows[] = {
	{"a request gets what tells of its way",
	 "192.0.2.9",
	 NAMES "A: b\r\n",
	 "Host: h\r\n" HOPS NAMES "A: b\r\n" VIA,
	 NULL,
	 NULL,
	 {{HEADER_REMOVE, NULL, NULL}}},
	{"what a stranger says of hops before is dropped",
	 "192.0.2.9",
	 "X-Forwarded-For: 1.1.1.1\r\n" NAMES "Forwarded: for=2.2.2.2\r\n"
	 "X-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\nX-Forwarded-For: 3.3.3.3\r\n",
	 "Host: h\r\n" HOPS NAMES VIA,
	 NULL,
	 NULL,
	 {{HEADER_REMOVE, NULL, NULL}}},
	{"a trusted proxy's word is kept and continued",
	 "10.0.0.1",
	 "X-Forwarded-For: 1.1.1.1\r\n" NAMES "X-Forwarded-For: 2.2.2.2, 10.9.9.9\r\n"
	 "Forwarded: for=1.1.1.1;proto=https\r\nX-Forwarded-Proto: https\r\n"
	 "X-Forwarded-Host: x\r\n",
	 "Host: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.9.9.9, 10.0.0.1\r\n"
	 "Forwarded: for=1.1.1.1;proto=https, for=10.0.0.1;host=h;proto=http\r\n" NAMES
	 "X-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n" VIA,
	 "2.2.2.2",
	 NULL,
	 {{HEADER_REMOVE, NULL, NULL}}},
	{"the client may be told by Forwarded alone",
	 "fd00::1",
	 "Forwarded: for=\"[2001:db8::1]:99\";by=x, For=10.1.1.1\r\n" NAMES,
	 "Host: h\r\nX-Forwarded-For: fd00::1\r\n"
	 "Forwarded: for=\"[2001:db8::1]:99\";by=x, For=10.1.1.1, "
	 "for=\"[fd00::1]\";host=h;proto=http\r\n"
	 "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n" NAMES VIA,
	 "[2001:db8::1]:99",
	 NULL,
	 {{HEADER_REMOVE, NULL, NULL}}},
	{"a Forwarded that cannot be read is not continued",
	 "10.0.0.1",
	 "Forwarded: for=\"1.1.1.1\r\n" NAMES,
	 "Host: h\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1;host=h;proto=http\r\n"
	 "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n" NAMES VIA,
	 NULL,
	 NULL,
	 {{HEADER_REMOVE, NULL, NULL}}},
	{"a header is removed, in any case",
	 "192.0.2.9",
	 NAMES "a: 1\r\nB: 2\r\nA: 3\r\n",
	 "Host: h\r\n" HOPS NAMES "B: 2\r\n" VIA,
	 NULL,
	 NULL,
	 {{HEADER_REMOVE, "A", ""}}},
	{"a header is set, another added",
	 "192.0.2.9",
	 NAMES "A: 1\r\nB: 2\r\n",
	 "Host: h\r\n" HOPS NAMES "B: 2\r\n" VIA "A: x192.0.2.9:0y\r\nB: /p GET /p?q h http\r\n",
	 NULL,
	 NULL,
	 {{HEADER_SET, "A", "x${client_ip}:${client_port}y"},
	  {HEADER_ADD, "B", "${path} ${method} ${target} ${host} ${proto}"}}},
	{"what lbd adds can be left out",
	 "192.0.2.9",
	 NAMES "Forwarded: for=7.7.7.7\r\n",
	 "Host: h\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n" TRACE,
	 NULL,
	 NULL,
	 {{HEADER_REMOVE, "X-Forwarded-For", ""},
	  {HEADER_REMOVE, "forwarded", ""},
	  {HEADER_REMOVE, "Via", ""},
	  {HEADER_REMOVE, "X-Request-Id", ""}}},
	{"what lbd adds can be replaced",
	 "192.0.2.9",
	 NAMES,
	 "Host: other\r\nX-Forwarded-For: 192.0.2.9\r\n"
	 "Forwarded: for=192.0.2.9;host=h;proto=http\r\nX-Forwarded-Host: h\r\n" TRACE VIA
	 "X-Request-ID: r-me\r\nX-Forwarded-Proto: https\r\n",
	 NULL,
	 NULL,
	 {{HEADER_SET, "X-Request-ID", "r-${request_id}"},
	  {HEADER_SET, "Host", "other"},
	  {HEADER_SET, "X-Forwarded-Proto", "https"}}},
	{"a cookie of ours goes no further",
	 "192.0.2.9",
	 NAMES "Cookie: a=1; lb=2;b=lb=3\r\nCookie: lb=4\r\nCookie: lbx=5\r\n",
	 "Host: h\r\n" HOPS "Cookie: a=1; b=lb=3\r\n" NAMES "Cookie: lbx=5\r\n" VIA,
	 NULL,
	 "lb",
	 {{HEADER_REMOVE, NULL, NULL}}},
};

static struct prefix trusted[2];

static uint32_t count_edits(const struct row *row)
{
	uint32_t n = 0;

	while (n < COUNT(row->edits) && row->edits[n].name)
		n++;
	return n;
}

static void put(const struct row *row, struct http_head *head, const struct addr *peer,
		struct wire *out)
{
	struct service_spec service = {.name = "front", .trusted = trusted, .n_trusted = 2};
	struct headers_spec spec = {(struct header_spec *)row->edits, count_edits(row)};
	struct header_edits edits;
	struct forwarded forwarded;
	struct request_id names;
	struct variables variables = {.head = head, .proto = "http", .service = "front"};
	struct forward_request forward = {.forwarded = &forwarded,
					  .names = &names,
					  .edits = &edits,
					  .variables = &variables,
					  .cookie_name = slice_of(row->cookie)};
	struct addr want = *peer;

	assert_int_equal(header_edits_init(&edits, &spec), 0);
	forwarded_find(&service, peer, head, &forwarded);
	if (row->client)
		assert_null(addr_parse(slice_of(row->client), false, &want));
	assert_true(addr_equal(&forwarded.client, &want));
	request_id_take(&names, head);
	variables.client = forwarded.client;
	variables.request_id = names.id;
	variables.traceparent = names.trace;
	assert_int_equal(forward_request_put(&forward, head, out), 0);
	header_edits_fini(&edits);
}

static void a_request_goes_on_as_it_should(void **state)
{
	const struct row *row = *state;
	static struct http_head head;
	static struct wire out;
	struct http_refusal refusal;
	char text[1024], want[2048];
	struct addr peer;
	ssize_t n;

	snprintf(text, sizeof(text), "GET /p?q HTTP/1.1\r\nHost: h\r\n%s\r\n", row->fields);
	snprintf(want, sizeof(want), "GET /p?q HTTP/1.1\r\n%s\r\n", row->want);
	n = http_parse_request(slice_of(text), &head, &refusal);
	assert_int_equal(n, strlen(text));
	assert_null(addr_parse(slice_of(row->peer), false, &peer));
	out.len = 0;
	put(row, &head, &peer, &out);
	if (!slice_eq(wire_slice(&out), slice_of(want)))
		fail_msg("%s:\nexpected:\n%s\ngot:\n%.*s", row->name, want,
			 SLICE_ARG(wire_slice(&out)));
}

/* ---- Who the client is ---------------------------------------------------------------------- */

static void the_client_is_the_last_that_no_trusted_proxy_is(void **state)
{
	static const struct {
		const char *field, *client;
	} cases[] = {
		{"X-Forwarded-For: 1.1.1.1", "1.1.1.1"},
		{"X-Forwarded-For: 6.6.6.6, 1.1.1.1", "1.1.1.1"},
		{"X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.2.2.2,10.3.3.3", "1.1.1.1"},
		{"X-Forwarded-For: 10.2.2.2, 10.3.3.3", "10.2.2.2"},
		{"X-Forwarded-For: 1.1.1.1:4711", "1.1.1.1:4711"},
		{"X-Forwarded-For: 2001:db8::5", "2001:db8::5"},
		{"X-Forwarded-For: [2001:db8::5]:80", "[2001:db8::5]:80"},
		{"X-Forwarded-For: ::ffff:1.1.1.1", "1.1.1.1"},
		{"X-Forwarded-For:", "10.0.0.1"},
		{"X-Forwarded-For: , ,", "10.0.0.1"},
		{"X-Forwarded-For: unknown", "10.0.0.1"},
		{"X-Forwarded-For: 1.1.1.1, nonsense", "10.0.0.1"},
		{"X-Forwarded-For: 1.1.1.1, nonsense, 10.2.2.2", "10.2.2.2"},
		{"X-Forwarded-For: 0.0.0.0", "10.0.0.1"},
		{"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2", "2.2.2.2"},
		{"X-Forwarded-For: 1.1.1.1\r\nForwarded: for=2.2.2.2", "1.1.1.1"},
		{"Forwarded: for=1.1.1.1", "1.1.1.1"},
		{"Forwarded: FOR=\"1.1.1.1:80\" ; by=9.9.9.9;host=\"a,for=8.8.8.8\"", "1.1.1.1:80"},
		{"Forwarded: for=1.1.1.1, for=2.2.2.2, for=10.2.2.2", "2.2.2.2"},
		{"Forwarded: for=1.1.1.1, for=unknown", "10.0.0.1"},
		{"Forwarded: for=1.1.1.1, for=_hidden, for=10.7.7.7", "10.7.7.7"},
		{"Forwarded: for=1.1.1.1, proto=http", "10.0.0.1"},
		{"Forwarded: for=1.1.1.1,", "1.1.1.1"},
		{"Forwarded: for=\"[2001:db8::5]\"", "2001:db8::5"},
		{"Forwarded: for=2001:db8::5", "10.0.0.1"},
		{"Forwarded: for=1.1.1.1;", "10.0.0.1"},
		{"Forwarded: for", "10.0.0.1"},
		{"Forwarded: for=", "10.0.0.1"},
		{"Forwarded: for=1.1.1.1 for=2.2.2.2", "10.0.0.1"},
		{"Forwarded: for=\"1.1.1.1", "10.0.0.1"},
		{"Forwarded: for=\"1.1.1.1\\", "10.0.0.1"},
		{"Forwarded:", "10.0.0.1"},
	};
	struct service_spec service = {.trusted = trusted, .n_trusted = 2};
	static struct http_head head;
	struct http_refusal refusal;
	struct forwarded forwarded;
	struct addr peer, want;
	char text[512], got[ADDR_TEXT_LEN];

	(void)state;
	assert_null(addr_parse(SLICE("10.0.0.1"), false, &peer));
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n",
			 cases[i].field);
		assert_true(http_parse_request(slice_of(text), &head, &refusal) > 0);
		assert_null(addr_parse(slice_of(cases[i].client), false, &want));
		forwarded_find(&service, &peer, &head, &forwarded);
		if (!addr_equal(&forwarded.client, &want))
			fail_msg("%s: expected %s, got %s", cases[i].field, cases[i].client,
				 addr_format(&forwarded.client, got));
	}
}

/* ---- Names ---------------------------------------------------------------------------------- */

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

static void a_trace_goes_on_if_it_can_be_read(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"00-" TRACE_ID "-01", true},
		{"00-" TRACE_ID "-ff", true},
		{"01-" TRACE_ID "-01", true},
		{"01-" TRACE_ID "-01-more", true},
		{"00-" TRACE_ID "-01-more", false},
		{"01-" TRACE_ID "-01more", false},
		{"ff-" TRACE_ID "-01", false},
		{"00-" TRACE_ID "-0", false},
		{"00-" TRACE_ID "-0g", false},
		{"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
		{"00_" TRACE_ID "-01", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (traceparent_valid(slice_of(cases[i].text)) != cases[i].valid)
			fail_msg("'%s': expected %s", cases[i].text,
				 cases[i].valid ? "valid" : "invalid");
}

static void names_are_made_where_there_are_none_to_keep(void **state)
{
	static const struct {
		const char *fields;
		bool id, trace; /* kept */
	} cases[] = {
		{"", false, false},
		{NAMES, true, true},
		{ID, true, false},
		{TRACE "tracestate: a=b\r\n", false, true},
		{"tracestate: a=b\r\n", false, false},
		{"traceparent: x\r\nTraceState: a=b\r\n", false, false},
		{TRACE TRACE, false, false},
		{ID ID, false, false},
		{"X-Request-ID:\r\n", false, false},
		{"X-Request-ID: a b\r\n", false, false},
		{"X-Request-ID: a\"b\r\n", false, false},
		{"X-Request-ID: \xc3\xa9\r\n", false, false},
		{"X-Request-ID: 7/A+b=_.:~\r\n", true, false},
	};
	static struct http_head head;
	struct http_refusal refusal;
	struct request_id a, b;
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n",
			 cases[i].fields);
		assert_true(http_parse_request(slice_of(text), &head, &refusal) > 0);
		request_id_take(&a, &head);
		if (a.made_id == cases[i].id || a.made_trace == cases[i].trace)
			fail_msg("'%s': kept %d %d, expected %d %d", cases[i].fields, !a.made_id,
				 !a.made_trace, cases[i].id, cases[i].trace);
		assert_true(traceparent_valid(a.trace));
		for (unsigned j = 1; j < head.n_headers; j++) {
			bool id = head.headers[j].id == HTTP_H_X_REQUEST_ID;

			assert_int_equal(head.headers[j].hop, id ? a.made_id : a.made_trace);
		}
		if (!a.made_id)
			continue;
		assert_int_equal(a.id.len, REQUEST_ID_MADE);
		request_id_take(&b, &head);
		assert_false(slice_eq(a.id, b.id));
	}
}

/* ---- Responses ------------------------------------------------------------------------------ */

static void a_response_is_changed_as_was_noted(void **state)
{
	static struct header_spec specs[] = {{HEADER_REMOVE, "Server", ""},
					     {HEADER_SET, "Via", "none"},
					     {HEADER_SET, "X-B", "${backend}!${backend}"},
					     {HEADER_ADD, "A", "${host}${path}"}};
	static const struct headers_spec spec = {specs, COUNT(specs)};
	static const struct sticky_spec sticky = {.cookie = "lb",
						  .path = "/",
						  .max_age_ms = 3600000,
						  .secure = true,
						  .http_only = true};
	static const char response[] = "HTTP/1.1 200 OK\r\nA: 1\r\nserver: x\r\nX-B: y\r\n"
				       "Content-Length: 2\r\n\r\n";
	static const char changed[] = "HTTP/1.1 200 OK\r\nA: 1\r\nVia: none\r\nX-B: b1!b1\r\n"
				      "A: h/p\r\n";
	static const char cookie[] = "Set-Cookie: lb=00000000000000ff; Path=/; Max-Age=3600; "
				     "Secure; HttpOnly; SameSite=Lax\r\n";
	static struct http_head head, reply;
	static struct wire notes, out;
	struct variables variables = {.head = &head};
	struct header_edits edits;
	char token[STICKY_TOKEN_LEN];
	struct reply_backend backend = {.name = SLICE("b1"), .token = sticky_write(255, token)};
	struct forward_response forward = {.client_minor = 1,
					   .framing = HTTP_BODY_LENGTH,
					   .keep_alive = true,
					   .backend = &backend};
	struct http_refusal refusal;
	char want[512];

	(void)state;
	head.authority = SLICE("h");
	head.target = SLICE("/p?q");
	assert_int_equal(header_edits_init(&edits, &spec), 0);
	assert_int_equal(reply_edit_note(&edits, &variables, &notes), 0);
	assert_int_equal(sticky_note(&sticky, &notes), 0);
	header_edits_fini(&edits);
	forward.notes = wire_slice(&notes);
	for (int moved = 0; moved < 2; moved++) {
		backend.moved = moved;
		out.len = 0;
		assert_true(http_parse_response(slice_of(response), HTTP_GET, &reply, &refusal) >
			    0);
		assert_int_equal(forward_response_put(&forward, &reply, &out), 0);
		snprintf(want, sizeof(want), "%s%sContent-Length: 2\r\n\r\n", changed,
			 moved ? cookie : "");
		if (!slice_eq(wire_slice(&out), slice_of(want)))
			fail_msg("expected:\n%s\ngot:\n%.*s", want, SLICE_ARG(wire_slice(&out)));
	}
}

static void a_sticky_cookie_names_a_backend(void **state)
{
	static const struct sticky_spec sticky = {.cookie = "lb"};
	static const struct {
		const char *field;
		uint64_t want;
	} cases[] = {
		{"Cookie: lb=00000000000000ff", 255},
		{"Cookie: a=b; lb=0123456789abcdef; c=d", 0x0123456789abcdef},
		{"Cookie: lb=0123456789ABCDEF", 0},
		{"Cookie: lb=0123456789abcde", 0},
		{"Cookie: lb=0123456789abcdefg", 0},
		{"Cookie: lbx=0123456789abcdef", 0},
		{"Cookie: x=lb=0123456789abcdef", 0},
		{"Cookie:", 0},
		{"X: y", 0},
	};
	static struct http_head head;
	struct http_refusal refusal;
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n",
			 cases[i].field);
		assert_true(http_parse_request(slice_of(text), &head, &refusal) > 0);
		if (sticky_read(&sticky, &head) != cases[i].want)
			fail_msg("%s: expected %#lx, got %#lx", cases[i].field, cases[i].want,
				 sticky_read(&sticky, &head));
	}
	assert_int_not_equal(backend_token("a", "bc"), backend_token("ab", "c"));
	/* Two lbds of two versions must agree. */
	assert_true(backend_token("web", "b1") == 0x8afa033a44432553);
}

int main(void)
{
	struct CMUnitTest tests[COUNT(rows) + 5] = {
		cmocka_unit_test(the_client_is_the_last_that_no_trusted_proxy_is),
		cmocka_unit_test(a_trace_goes_on_if_it_can_be_read),
		cmocka_unit_test(names_are_made_where_there_are_none_to_keep),
		cmocka_unit_test(a_response_is_changed_as_was_noted),
		cmocka_unit_test(a_sticky_cookie_names_a_backend),
	};

	prefix_parse(SLICE("10.0.0.0/8"), &trusted[0]);
	prefix_parse(SLICE("fd00::/8"), &trusted[1]);
	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i + 5] = (struct CMUnitTest){.name = rows[i].name,
						   .test_func = a_request_goes_on_as_it_should,
						   .initial_state = (void *)&rows[i]};
	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
