/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

/* Reads to the end, then answers: only a relay that passes half-closes on gets an answer. */
static void serve_after_end(struct origin *origin, int fd, unsigned n)
{
	static _Thread_local char text[RIG_TEXT];
	size_t total = 0;
	ssize_t len;

	(void)origin;
	(void)n;
	while ((len = recv(fd, text, sizeof(text), 0)) > 0)
		total += (size_t)len;
	snprintf(text, sizeof(text), "got %zu", total);
	rig_say(fd, text);
}

static void serve_echo(struct origin *origin, int fd, unsigned n)
{
	static _Thread_local char text[RIG_TEXT];
	ssize_t len;

	(void)origin;
	(void)n;
	while ((len = recv(fd, text, sizeof(text), 0)) > 0)
		if (!rig_send(fd, text, (size_t)len))
			break;
}

static struct rig *relay_rig(void (*serve)(struct origin *, int, unsigned))
{
	struct rig *rig = rig_new(serve, NULL);

	rig->protocol = PROTOCOL_TCP;
	return rig;
}

static void a_half_close_is_passed_on_and_the_answer_comes_back(void **state)
{
	struct rig *rig = relay_rig(serve_after_end);
	static char big[1 << 20];
	char text[256];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	for (int i = 0; i < 8; i++)
		assert_true(rig_send(fd, big, sizeof(big)));
	shutdown(fd, SHUT_WR);
	assert_true(rig_read_until(fd, text, sizeof(text), NULL) > 0);
	assert_string_equal(text, "got 8388608");
	close(fd);
	rig_free(rig);
}

static void the_relay_counts_its_connection_and_bytes(void **state)
{
	struct rig *rig = relay_rig(serve_echo);
	char text[256];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, "ping");
	assert_int_equal(rig_read_until(fd, text, sizeof(text), "ping"), 4);
	assert_int_equal(rig_read(&rig->live[0].proxy_opened), 1);
	assert_int_equal(rig_read(&rig->live[0].proxy_closed), 0);
	shutdown(fd, SHUT_WR);
	assert_int_equal(rig_read_until(fd, text, sizeof(text), NULL), 0);
	close(fd);
	proxy_free(rig->proxy); /* the counts are at rest */
	rig->proxy = NULL;
	assert_int_equal(rig_read(&rig->live[0].proxy_bytes_in), 4);
	assert_int_equal(rig_read(&rig->live[0].proxy_bytes_out), 4);
	rig_free(rig);
}

static void without_an_eligible_backend_the_client_is_closed(void **state)
{
	struct rig *rig = relay_rig(NULL);
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	assert_true(rig_closed(fd, RIG_WAIT_S * 1000));
	close(fd);
	rig_free(rig);
}

static void a_refused_backend_is_skipped(void **state)
{
	struct rig *rig = relay_rig(serve_echo);
	char text[256];

	(void)state;
	rig_add_dead(rig);
	rig_begin(rig);
	for (int i = 0; i < 6; i++) {
		int fd = rig_connect(&rig->addr);

		rig_say(fd, "ping");
		assert_int_equal(rig_read_until(fd, text, sizeof(text), "ping"), 4);
		close(fd);
	}
	assert_true(rig_read(&rig->live[1].proxy_failed) > 0);
	rig_free(rig);
}

struct retry_row {
	const char *name;
	uint32_t attempts;
	uint32_t on;
	uint32_t dead; /* before the one that lives */
	bool alive;    /* there is one */
	bool served;
	uint64_t failed[RIG_MAX_ORIGINS];
};

static const struct retry_row retry_rows[] = {
	{"each of the others is asked, once", 3, 1U << RETRY_CONNECT, 3, true, true, {1, 1, 1}},
	{"no more are asked than the pool says", 2, 1U << RETRY_CONNECT, 3, true, false, {1, 1, 1}},
	{"without attempts the first is the only one", 0, 1U << RETRY_CONNECT, 1, true, false, {1}},
	{"a pool that does not retry connects", 3, 1U << RETRY_CLOSED, 1, true, false, {1}},
	{"when all have failed they have another turn",
	 3,
	 1U << RETRY_CONNECT,
	 2,
	 false,
	 false,
	 {2, 2}},
	{"the most that a pool may ask for",
	 POOL_MAX_RETRIES,
	 1U << RETRY_CONNECT,
	 1,
	 false,
	 false,
	 {1 + POOL_MAX_RETRIES}},
};

static struct rig *retry_rig(const struct retry_row *row)
{
	struct rig *rig = relay_rig(row->alive ? serve_echo : NULL);

	rig->pool.retries = (struct retry_spec){.attempts = row->attempts, .on = row->on};
	rig->n_origins = row->dead + row->alive;
	rig->origins[row->dead] = rig->origins[0];
	for (uint32_t i = 0; i < row->dead; i++)
		rig_reserve(rig, &rig->origins[i]);
	return rig;
}

static bool echoes(struct rig *rig)
{
	char text[256];
	int fd = rig_connect(&rig->addr);
	bool served;

	rig_say(fd, "ping");
	served = rig_read_until(fd, text, sizeof(text), "ping") == 4;
	close(fd);
	return served;
}

static void a_connect_is_tried_again_as_the_pool_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(retry_rows) / sizeof(*retry_rows); i++) {
		const struct retry_row *row = &retry_rows[i];
		struct rig *rig = retry_rig(row);

		rig_begin(rig);
		if (echoes(rig) != row->served)
			fail_msg("%s: %s", row->name, row->served ? "not served" : "served");
		for (uint32_t b = 0; b < RIG_MAX_ORIGINS; b++) {
			if (rig_read(&rig->live[b].proxy_failed) != row->failed[b])
				fail_msg("%s: backend %u failed %llu times, not %llu", row->name, b,
					 (unsigned long long)rig->live[b].proxy_failed,
					 (unsigned long long)row->failed[b]);
		}
		rig_free(rig);
	}
}

static void an_idle_tunnel_is_ended(void **state)
{
	struct rig *rig = relay_rig(serve_echo);
	char text[256];
	int fd;

	(void)state;
	rig->timeouts.tunnel = 50;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, "ping");
	assert_int_equal(rig_read_until(fd, text, sizeof(text), "ping"), 4);
	assert_true(rig_closed(fd, RIG_WAIT_S * 1000));
	close(fd);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_half_close_is_passed_on_and_the_answer_comes_back),
		cmocka_unit_test(the_relay_counts_its_connection_and_bytes),
		cmocka_unit_test(without_an_eligible_backend_the_client_is_closed),
		cmocka_unit_test(a_refused_backend_is_skipped),
		cmocka_unit_test(a_connect_is_tried_again_as_the_pool_says),
		cmocka_unit_test(an_idle_tunnel_is_ended),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
