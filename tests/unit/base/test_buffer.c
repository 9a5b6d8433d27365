/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/random.h"

/* ---- Buffers ------------------------------------------------------------------------------- */

static void text_grows_and_stays_terminated(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	for (size_t i = 1; i <= 1000; i++) {
		buffer_append(&buffer, "abc", i % 4 ? i % 4 : 0);
		assert_int_equal(strlen(buffer.ptr), buffer.len);
	}
	assert_false(buffer.failed);
	assert_int_equal(buffer.len, 250 * 6);
	buffer_fini(&buffer);
	assert_null(buffer.ptr);
	buffer_fini(&buffer);
}

static void prints_of_every_length_are_whole(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	for (int len = 0; len < 600; len++) {
		size_t before = buffer.len;

		buffer_print(&buffer, "%*d;", len, 7);
		assert_int_equal(buffer.len - before, (len > 0 ? len : 1) + 1);
		assert_string_equal(buffer.ptr + buffer.len - 2, "7;");
	}
	buffer_fini(&buffer);
}

static void a_cleared_buffer_reads_as_empty(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	buffer_clear(&buffer);
	buffer_append(&buffer, "old", 3);
	buffer_clear(&buffer);
	assert_int_equal(buffer.len, 0);
	assert_string_equal(buffer.ptr, "");
	buffer_fini(&buffer);
}

static void what_cannot_fit_is_told_and_dropped(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	buffer_append(&buffer, "kept", 4);
	buffer_append(&buffer, "x", SIZE_MAX - 2);
	assert_true(buffer.failed);
	assert_string_equal(buffer.ptr, "kept");
	buffer_fini(&buffer);
}

/* ---- Lists --------------------------------------------------------------------------------- */

struct item {
	int number;
	struct list node;
};

static int sum(struct list *head)
{
	int digits = 0;

	list_for_each (node, head)
		digits = digits * 10 + container_of(node, struct item, node)->number;
	return digits;
}

static void a_list_keeps_the_order_it_was_given(void **state)
{
	struct item items[5];
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
	for (int i = 0; i < 5; i++) {
		items[i].number = i + 1;
		list_init(&items[i].node);
		list_remove(&items[i].node); /* in no list: nothing happens */
		if (i < 3)
			list_append(&head, &items[i].node);
		else
			list_prepend(&head, &items[i].node);
	}
	assert_int_equal(sum(&head), 54123);
	list_remove(&items[0].node);
	list_remove(&items[0].node);
	assert_int_equal(sum(&head), 5423);
	assert_ptr_equal(list_pop(&head), &items[4].node);
	assert_true(list_empty(&items[4].node));
	list_for_each_safe (node, &head)
		list_remove(node);
	assert_true(list_empty(&head));
}

/* ---- Random -------------------------------------------------------------------------------- */

static void random_numbers_stay_below_their_bound_and_reach_all(void **state)
{
	unsigned seen = 0;

	(void)state;
	assert_int_equal(random_below(0), 0);
	for (int i = 0; i < 1000; i++) {
		uint32_t n = random_below(10);

		assert_true(n < 10);
		seen |= 1U << n;
	}
	assert_int_equal(seen, 0x3ff);
	assert_true(random_u64() != random_u64());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows_and_stays_terminated),
		cmocka_unit_test(prints_of_every_length_are_whole),
		cmocka_unit_test(a_cleared_buffer_reads_as_empty),
		cmocka_unit_test(what_cannot_fit_is_told_and_dropped),
		cmocka_unit_test(a_list_keeps_the_order_it_was_given),
		cmocka_unit_test(random_numbers_stay_below_their_bound_and_reach_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
