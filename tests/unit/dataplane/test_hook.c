/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/hook.h"
#include "dataplane/requirements.h"

static void auto_takes_native_only_where_xdp_frames_can_be_sent(void **unused)
{
	static const struct {
		const char *driver;
		enum hook_transmits transmits;
		enum hook hook;
		const char *says;
	} rows[] = {
		{"ixgbe", HOOK_TRANSMITS_YES, HOOK_NATIVE, "transmits XDP frames"},
		{"mlx5_core", HOOK_TRANSMITS_UNKNOWN, HOOK_NATIVE, "mlx5_core"},
		{"e1000e", HOOK_TRANSMITS_NO, HOOK_TC, "cannot transmit"},
		{"veth", HOOK_TRANSMITS_YES, HOOK_TC, "virtual"},
		{"virtio_net", HOOK_TRANSMITS_YES, HOOK_TC, "GRO and TSO"},
		{"tun", HOOK_TRANSMITS_UNKNOWN, HOOK_TC, "tun"},
		{"", HOOK_TRANSMITS_NO, HOOK_TC, "unknown"},
		{"", HOOK_TRANSMITS_YES, HOOK_NATIVE, "unknown"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct hook_facts facts = {.transmits = rows[i].transmits};
		char why[HOOK_WHY_LEN] = "";

		memcpy(facts.driver, rows[i].driver, strlen(rows[i].driver));
		assert_int_equal(hook_choose(&facts, why), rows[i].hook);
		assert_non_null(strstr(why, rows[i].says));
	}
}

static void hook_words_go_both_ways(void **unused)
{
	(void)unused;
	for (int hook = HOOK_AUTO; hook <= HOOK_TC; hook++) {
		const char *name = strtable_name(&hook_names, hook);

		assert_int_equal(strtable_value(&hook_names, slice_of(name)), hook);
	}
	assert_int_equal(strtable_value(&hook_names, SLICE("xdp")), -1);
}

static void kernels_before_6_1_are_refused_in_words(void **unused)
{
	static const struct {
		const char *release;
		int rc;
	} rows[] = {
		{"6.1.0-13-amd64", 0},
		{"6.0.19", -EOPNOTSUPP},
		{"5.15.0-91-generic", -EOPNOTSUPP},
		{"6.10.1", 0},
		{"10.0", 0},
		{"4.19.0", -EOPNOTSUPP},
		{"something else", 0},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error err = {0};

		assert_int_equal(requirements_kernel(rows[i].release, &err), rows[i].rc);
		if (rows[i].rc)
			assert_non_null(strstr(err.message, rows[i].release));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_takes_native_only_where_xdp_frames_can_be_sent),
		cmocka_unit_test(hook_words_go_both_ways),
		cmocka_unit_test(kernels_before_6_1_are_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
