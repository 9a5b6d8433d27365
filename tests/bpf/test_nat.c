/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Forwarding: what leaves, byte for byte. */

#include "talk.h"

static void a_connection_is_translated_both_ways(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("handshake, data, close");
	talk_open(&talk);
	talk_say(&talk, BY_CLIENT, ACK | PSH, 100, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, ACK | PSH, 1460, LB_V_REPLIED);
	talk_say(&talk, BY_CLIENT, ACK | FIN, 0, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, ACK | FIN, 0, LB_V_REPLIED);
	talk_say(&talk, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_translated_both_ways),
		TEST_ON(a_connection_is_translated_both_ways, tc_complete),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
