/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Views made from weights, for the tests of the algorithms.
 *
 * For: tests/unit/algorithm. Owns: the live rows of the view made last. Knows: pool's views.
 * Include after <cmocka.h>.
 */
#ifndef TESTS_ALGORITHM_VIEWS_H
#define TESTS_ALGORITHM_VIEWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algorithm/balancer.h"

static struct lb_live rows[LB_MAX_BACKENDS];

/* Member i is 10.x.y.z:80 with x.y.z = numbers[i] (NULL: i + 1), id that plus <first_id>. */
static inline struct view *view_of(uint32_t count, const uint16_t *weights, const uint32_t *numbers,
				   uint16_t first_id)
{
	struct view *view;

	assert_int_equal(view_new(count, count, &view), 0);
	memset(rows, 0, sizeof(rows));
	for (uint32_t i = 0; i < count; i++) {
		struct view_member *member = &view->members[i];
		uint32_t number = numbers ? numbers[i] : i + 1;
		char text[ADDR_TEXT_LEN];

		(void)snprintf(text, sizeof(text), "10.%u.%u.%u:80", number >> 16 & 255,
			       number >> 8 & 255, number & 255);
		assert_null(addr_parse(slice_of(text), true, &member->addr));
		member->id = (uint16_t)(first_id + number);
		member->weight = weights ? weights[i] : 1;
		member->live = &rows[member->id];
	}
	return view;
}

/* The balancer keeps the only reference to the view. */
static inline struct balancer *balancer_over(const char *algorithm, struct view *view)
{
	struct balancer *balancer = NULL;

	assert_int_equal(balancer_new(algorithm, view, NULL, &balancer), 0);
	view_put(view);
	return balancer;
}

static inline struct balancer *balancer_of(const char *algorithm, uint32_t count,
					   const uint16_t *weights)
{
	return balancer_over(algorithm, view_of(count, weights, NULL, 0));
}

#endif
