/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/redirect.h"

#include <errno.h>

int redirect_write(const struct redirect *redirect, struct wire *out)
{
	const struct route_rule *rule = redirect->rule;
	unsigned code = rule->spec->redirect.code;
	const struct reply_backend nobody = {0};
	struct http_writer w = {.ptr = out->data + out->len, .size = WIRE_ROOM - out->len};

	http_put_status_line(&w, code, slice_of(http_status_text(code)));
	if (!(reply_edit_withhold(wire_slice(redirect->notes), NULL) & 1U << HTTP_H_DATE))
		http_put_header(&w, SLICE("Date"), redirect->date);
	http_put(&w, SLICE("Location: "));
	format_expand(&rule->redirect, variables_value, redirect->variables, &w);
	http_put(&w, SLICE("\r\nContent-Length: 0\r\n"));
	reply_edit_put(wire_slice(redirect->notes), &nobody, &w);
	if (redirect->close)
		http_put_header(&w, SLICE("Connection"), SLICE("close"));
	http_put(&w, SLICE("\r\n"));
	if (w.overflow)
		return -EMSGSIZE;
	out->len += (uint32_t)w.len;
	return 0;
}
