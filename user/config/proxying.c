/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/objects.h"

#define FIELD(name) offsetof(struct proxy_protocol_spec, name)

static const struct key proxy_protocol_keys[] = {
	{"accept", KEY_BOOL, FIELD(accept), 0, 0, NULL, NULL},
	{"send", KEY_WORD, FIELD(send), 0, 0, &proxy_protocol_names, NULL},
};

void read_proxy_protocol(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, proxy_protocol_keys, COUNT(proxy_protocol_keys), out);
}

/* The kernel path rewrites packets: a header of its own in the stream would shift every sequence
 * number behind it. */
void check_proxying(struct build *build, const struct place *place,
		    const struct service_spec *service)
{
	struct place at = place_at_key(place, "proxy-protocol");

	if (service->path == PATH_KERNEL && doc_get(place->doc, "proxy-protocol"))
		complain_key(build, &at,
			     "'proxy-protocol' is for 'path: proxy': the kernel path passes a "
			     "connection's bytes on as they are: remove it");
}
