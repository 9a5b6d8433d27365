/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/objects.h"
#include "observe/spec.h"

#define MAX_PATH 4095

/* Takes a copy over; running out of memory is reported. */
static void set_text(struct build *build, const struct place *place, char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	if (!*to)
		complain(build, place, "out of memory");
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text) && *text != '\t')
			return true;
	}
	return false;
}

static void read_format(struct build *build, const struct place *place, void *out)
{
	struct access_log_spec *spec = out;
	struct error err = {0};
	const char *text = place->doc->text;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	if (strcmp(text, "json") == 0) {
		spec->kind = ACCESS_LOG_JSON;
		return;
	}
	if (*text == '\0')
		complain(build, place,
			 "'format' is empty: 'json', or a text with variables such as "
			 "'${client_ip} ${status}'");
	else if (has_control(text))
		complain(build, place,
			 "'format': a line of the log holds no line end or other "
			 "control character");
	else if (format_check(slice_of(text), &access_fields, &err) < 0)
		complain(build, place, "'format': %s", err.message);
	else
		set_text(build, place, &spec->format, text);
}

static void read_file(struct build *build, const struct place *place, void *out)
{
	struct access_log_spec *spec = out;
	const char *text = place->doc->text;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	if (strcmp(text, LOG_STDERR) != 0 && text[0] != '/')
		complain(build, place, "'file: %.64s': an absolute path, or '%s'", text,
			 LOG_STDERR);
	else if (strlen(text) > MAX_PATH)
		complain(build, place, "'file' is longer than %d bytes", MAX_PATH);
	else
		set_text(build, place, &spec->file, text);
}

static const struct key access_log_keys[] = {
	{"format", KEY_OBJECT, 0, 0, 0, NULL, read_format},
	{"file", KEY_OBJECT, 0, 0, 0, NULL, read_file},
};

/* "access-log: true" is the default format to the standard error. */
static void read_word(struct build *build, const struct place *place, struct access_log_spec *spec)
{
	if (strcmp(place->doc->text, "true") == 0)
		spec->kind = ACCESS_LOG_TEXT;
	else if (strcmp(place->doc->text, "false") != 0)
		complain(build, place,
			 "'access-log: %.64s': true, false, or {format: ..., file: ...}",
			 place->doc->text);
}

void read_access_log(struct build *build, const struct place *place, void *out)
{
	struct access_log_spec *spec = out;

	if (place->doc->kind == DOC_SCALAR) {
		read_word(build, place, spec);
	} else if (expect_kind(build, place, DOC_MAP)) {
		spec->kind = ACCESS_LOG_TEXT;
		keys_read(build, place, access_log_keys, COUNT(access_log_keys), spec);
	}
	if (spec->kind == ACCESS_LOG_TEXT && !spec->format)
		set_text(build, place, &spec->format, access_log_default);
	if (spec->kind != ACCESS_LOG_NONE && !spec->file)
		set_text(build, place, &spec->file, LOG_STDERR);
}

void check_access_log(struct build *build, const struct place *place,
		      const struct service_spec *service)
{
	struct place at = place_at_key(place, "access-log");

	if (service->path == PATH_KERNEL && service->access_log.kind != ACCESS_LOG_NONE)
		complain_key(build, &at,
			     "'access-log' is for the proxy: the kernel path sees packets, no "
			     "requests: remove it, or use 'lbadm flow list'");
}
