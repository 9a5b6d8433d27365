/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/format.h"

#include <errno.h>
#include <stdlib.h>

static int unknown(struct slice name, const struct strtable *names, struct error *err)
{
	const char *near = strtable_nearest(names->names, names->count, name);

	if (name.len == 0)
		return error_set(err, -EINVAL, "", "'${}' names no variable");
	if (near)
		return error_set(err, -EINVAL, "",
				 "unknown variable '${%.*s}', did you mean '${%s}'?",
				 SLICE_ARG(name), near);
	return error_set(err, -EINVAL, "", "unknown variable '${%.*s}'%s", SLICE_ARG(name),
			 memchr(name.ptr, '$', name.len) ? ": is a '}' missing?" : "");
}

static struct slice cut(struct slice *rest, size_t len)
{
	struct slice head = {rest->ptr, len};

	rest->ptr += len;
	rest->len -= len;
	return head;
}

/* <rest> begins behind "${". */
static int take_name(struct slice *rest, const struct strtable *names, int *ret_field,
		     struct error *err)
{
	const char *end = rest->len ? memchr(rest->ptr, '}', rest->len) : NULL;
	struct slice name;

	if (!end)
		return error_set(err, -EINVAL, "", "'${%.*s' is not closed: add '}'",
				 rest->len > 32 ? 32 : (int)rest->len, rest->ptr);
	name = cut(rest, (size_t)(end - rest->ptr));
	(void)cut(rest, 1);
	*ret_field = strtable_value(names, name);
	return *ret_field < 0 ? unknown(name, names, err) : 0;
}

/* "${" or "$$". */
static bool special(struct slice rest, size_t i)
{
	return rest.ptr[i] == '$' && i + 1 < rest.len &&
	       (rest.ptr[i + 1] == '{' || rest.ptr[i + 1] == '$');
}

/* Takes the next part off <rest>: "$$" ends a literal behind its first '$'. */
static int take_part(struct slice *rest, const struct strtable *names, struct format_part *part,
		     struct error *err)
{
	size_t i = 0;

	part->field = -1;
	while (i < rest->len && !special(*rest, i))
		i++;
	if (i == rest->len) {
		part->literal = cut(rest, i);
		return 0;
	}
	if (rest->ptr[i + 1] == '$') {
		part->literal = cut(rest, i + 1);
		(void)cut(rest, 1);
		return 0;
	}
	part->literal = cut(rest, i);
	(void)cut(rest, 2);
	return take_name(rest, names, &part->field, err);
}

/* <parts> may be NULL: only checked and counted. */
static int take_all(struct slice rest, const struct strtable *names, struct format_part *parts,
		    struct error *err)
{
	int n = 0;

	if (rest.len > FORMAT_MAX_LEN)
		return error_set(err, -EINVAL, "", "%zu bytes are too long: at most %d", rest.len,
				 FORMAT_MAX_LEN);
	while (rest.len > 0) {
		struct format_part part;
		int code = take_part(&rest, names, &part, err);

		if (code < 0)
			return code;
		if (n == FORMAT_MAX_PARTS)
			return error_set(err, -EINVAL, "", "too many variables: at most %d",
					 FORMAT_MAX_PARTS);
		if (parts)
			parts[n] = part;
		n++;
	}
	return n;
}

int format_check(struct slice text, const struct strtable *names, struct error *err)
{
	int n = take_all(text, names, NULL, err);

	return n < 0 ? n : 0;
}

int format_compile(struct slice text, const struct strtable *names, struct format *ret_format,
		   struct error *err)
{
	struct format format = {0};
	int n = format_check(text, names, err);

	if (n < 0)
		return n;
	format.text = strndup(text.len ? text.ptr : "", text.len);
	if (!format.text)
		return error_set(err, -ENOMEM, "", "out of memory");
	text.ptr = format.text;
	n = take_all(text, names, NULL, err);
	format.parts = calloc((size_t)n + 1, sizeof(*format.parts));
	if (!format.parts) {
		free(format.text);
		return error_set(err, -ENOMEM, "", "out of memory");
	}
	format.n_parts = (uint32_t)take_all(text, names, format.parts, err);
	*ret_format = format;
	return 0;
}

void format_fini(struct format *format)
{
	free(format->parts);
	free(format->text);
	*format = (struct format){0};
}

void format_expand(const struct format *format, format_lookup_fn *lookup, void *ctx,
		   struct http_writer *w)
{
	for (uint32_t i = 0; i < format->n_parts; i++) {
		const struct format_part *part = &format->parts[i];

		http_put(w, part->literal);
		if (part->field >= 0)
			http_put(w, lookup(ctx, part->field));
	}
}
