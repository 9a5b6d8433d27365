/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of a service: the cookie that keeps a client at its backend. */
#include <stdio.h>
#include <string.h>

#include "config/objects.h"

#define FIELD(name) offsetof(struct sticky_spec, name)
#define TEXT(name)  FIELD(name), 0, sizeof(((struct sticky_spec *)NULL)->name)

static const struct key sticky_keys[] = {
	{"cookie", KEY_TEXT, TEXT(cookie), NULL, NULL},
	{"path", KEY_TEXT, TEXT(path), NULL, NULL},
	{"max-age", KEY_DURATION, FIELD(max_age_ms), 1000, UINT32_MAX, NULL, NULL},
	{"secure", KEY_BOOL, FIELD(secure), 0, 0, NULL, NULL},
	{"http-only", KEY_BOOL, FIELD(http_only), 0, 0, NULL, NULL},
	{"same-site", KEY_WORD, FIELD(same_site), 0, 0, &same_site_names, NULL},
};

/* RFC 6265 section 4.1.1; of the tokens those that nobody has to quote. */
static bool is_cookie_name(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       strlen(text);
}

static void check(struct build *build, const struct place *place, const struct sticky_spec *sticky)
{
	struct place at = place_at_key(place, "cookie");

	if (!doc_get(place->doc, "cookie"))
		complain(build, place, "'cookie' is missing: what is it to be called?");
	else if (!is_cookie_name(sticky->cookie))
		complain(build, &at,
			 "'cookie: %.64s': use letters, digits, '.', '_' or '-' for its name",
			 sticky->cookie);
	at = place_at_key(place, "path");
	if (sticky->path[0] != '/' || strpbrk(sticky->path, ";, \""))
		complain(build, &at, "'path: %.64s': must begin with '/' and hold no ';'",
			 sticky->path);
	at = place_at_key(place, "same-site");
	if (sticky->same_site == SAME_SITE_NONE && !sticky->secure)
		complain(build, &at,
			 "browsers refuse 'same-site: none' without 'secure: true': add it");
}

void read_sticky(struct build *build, const struct place *place, void *out)
{
	struct sticky_spec *sticky = out;

	(void)snprintf(sticky->path, sizeof(sticky->path), "/");
	sticky->http_only = true;
	keys_read(build, place, sticky_keys, COUNT(sticky_keys), sticky);
	if (place->doc->kind == DOC_MAP)
		check(build, place, sticky);
}
