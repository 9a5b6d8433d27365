/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "generator.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#ifndef PKTGEN_OBJECT
#define PKTGEN_OBJECT "pktgen.bpf.o"
#endif

#define LIVE_BATCH 64 /* the kernel's own default */

void die(const char *what)
{
	(void)fprintf(stderr, "pktgen: %s: %s\n", what, strerror(errno));
	exit(1);
}

unsigned ifindex_of(const char *name)
{
	unsigned index = if_nametoindex(name);

	if (!index)
		die(name);
	return index;
}

struct target target_of(const char *id)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id((__u32)strtoul(id, NULL, 10));

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		die("cannot get the program");
	return (struct target){.fd = fd, .xdp = info.type == BPF_PROG_TYPE_XDP};
}

__u32 mask_of(__u32 flows)
{
	__u32 mask = 0;

	while (mask < flows - 1)
		mask = mask << 1 | 1;
	return mask;
}

static void allow_fragments(struct bpf_object *object, const char *name)
{
	bpf_program__set_flags(bpf_object__find_program_by_name(object, name), BPF_F_XDP_HAS_FRAGS);
}

static struct bpf_object *load(const struct pktgen_settings *settings, bool fragments)
{
	struct bpf_object *object = bpf_object__open_file(PKTGEN_OBJECT, NULL);
	struct bpf_map *map;

	if (!object)
		die(PKTGEN_OBJECT);
	map = bpf_object__find_map_by_name(object, ".rodata");
	if (!map || bpf_map__set_initial_value(map, settings, sizeof(*settings)) < 0)
		die("the object's constants are not of the expected size");
	if (fragments) {
		allow_fragments(object, "xdp_into");
		allow_fragments(object, "xdp_empty");
	}
	if (bpf_object__load(object) < 0)
		die("cannot load the generator");
	return object;
}

int generator_program(const struct generator *generator, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(generator->object, name));
}

/* Makes <prog> the target of the tail call; false when the two do not fit. */
static bool aim(struct generator *generator, int prog)
{
	const char *map = generator->xdp ? "xdp_target" : "tc_target";
	__u32 zero = 0;

	return bpf_map_update_elem(bpf_object__find_map_fd_by_name(generator->object, map), &zero,
				   &prog, BPF_ANY) == 0;
}

void generator_init(struct generator *generator, const struct pktgen_settings *settings)
{
	*generator = (struct generator){.settings = *settings, .object = load(settings, false)};
}

void generator_aim(struct generator *generator, const struct target *target, unsigned ifindex)
{
	generator->xdp = target->xdp;
	generator->ifindex = ifindex;
	if (aim(generator, target->fd))
		return;
	/* kernel/bpf/core.c: programs with and without fragments do not call each other. */
	bpf_object__close(generator->object);
	generator->object = load(&generator->settings, true);
	if (!aim(generator, target->fd))
		die("cannot call the program");
}

void generator_aim_at_none(struct generator *generator)
{
	if (!aim(generator,
		 generator_program(generator, generator->xdp ? "xdp_empty" : "tc_empty")))
		die("cannot call the empty program");
}

unsigned generator_run(struct generator *generator, unsigned count)
{
	struct xdp_md md = {.data_end = generator->settings.len,
			    .ingress_ifindex = generator->ifindex};
	struct __sk_buff skb = {.ifindex = generator->ifindex};
	unsigned char out[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = generator->settings.frame,
		    .data_size_in = generator->settings.len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = (int)count);

	opts.ctx_in = generator->xdp ? (void *)&md : (void *)&skb;
	opts.ctx_size_in = generator->xdp ? sizeof(md) : sizeof(skb);
	if (bpf_prog_test_run_opts(
		    generator_program(generator, generator->xdp ? "xdp_into" : "tc_into"), &opts))
		die("test run");
	return opts.duration;
}

unsigned generator_send(struct generator *generator, unsigned ifindex, unsigned count)
{
	struct xdp_md md = {.data_end = generator->settings.len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = generator->settings.frame,
		    .data_size_in = generator->settings.len, .ctx_in = &md,
		    .ctx_size_in = sizeof(md), .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = LIVE_BATCH);

	if (bpf_prog_test_run_opts(generator_program(generator, "generate"), &opts) < 0)
		die("live frames");
	return opts.duration;
}

void generator_fini(struct generator *generator)
{
	bpf_object__close(generator->object);
}
