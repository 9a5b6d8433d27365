/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The checks of the fuzz targets over every file of their corpora and every text of tests/vectors,
 * and over what comes of each when single bytes are changed.
 *
 *   replay [CHECK FILE]      one file only: how a finding is looked at
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/http/vectors.h"
#include "check.h"

#define CORPORA	     "tests/fuzz/corpus"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct target {
	const char *name;
	check_fn *check;
	const char *vectors; /* NULL: none */
} targets[] = {
	{"request", check_request, "tests/vectors/requests.json"},
	{"response", check_response, "tests/vectors/responses.json"},
	{"chunked", check_chunked, NULL},
	{"proxy_protocol", check_proxy_protocol, NULL},
};

static bool run_one(const struct target *target, const char *name, struct slice in)
{
	struct check check = {0};

	if (target->check(in, &check))
		return true;
	printf("not ok - %s: %s: %s\n", target->name, name, check.why);
	return false;
}

/* Each byte of <in> as a line end, a control and a digit: cheap neighbours of what is known. */
static bool run_neighbours(const struct target *target, const char *name, struct slice in)
{
	static const char bytes[] = "\r\n \t0:,\x80";
	static char copy[2048];
	char label[300];
	bool ok = true;

	if (in.len == 0 || in.len > sizeof(copy))
		return true;
	memcpy(copy, in.ptr, in.len);
	for (size_t i = 0; i < in.len && ok; i++) {
		char was = copy[i];

		copy[i] = bytes[i % (sizeof(bytes) - 1)];
		(void)snprintf(label, sizeof(label), "%s with byte %zu as 0x%02x", name, i,
			       (unsigned char)copy[i]);
		ok = run_one(target, label, (struct slice){copy, in.len});
		copy[i] = was;
	}
	return ok;
}

static bool run_file(const struct target *target, const char *path)
{
	static char bytes[CHECK_MAX + 1];
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
	bool failed = !file || ferror(file);

	if (file)
		(void)fclose(file);
	if (failed) {
		printf("not ok - cannot read '%s'\n", path);
		return false;
	}
	return run_one(target, path, (struct slice){bytes, len}) &&
	       run_neighbours(target, path, (struct slice){bytes, len});
}

static bool run_corpus(const struct target *target, unsigned *ret_files)
{
	char dir[200], path[512];
	struct dirent *entry;
	bool ok = true;
	DIR *d;

	(void)snprintf(dir, sizeof(dir), CORPORA "/%s", target->name);
	d = opendir(dir);
	if (!d)
		return false;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		ok = run_file(target, path) && ok;
		(*ret_files)++;
	}
	(void)closedir(d);
	return ok;
}

static bool run_vectors(const struct target *target, unsigned *ret_texts)
{
	json_t *file = json_load_file(target->vectors, JSON_ALLOW_NUL, NULL);
	const json_t *rows = json_object_get(file, "vectors");
	bool ok = true;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *name = json_string_value(json_object_get(row, "name"));
		struct text text = {0};

		text_add_json(&text, json_object_get(row, "send"));
		ok = run_one(target, name, text_slice(&text)) &&
		     run_neighbours(target, name, text_slice(&text)) && ok;
		text_free(&text);
		(*ret_texts)++;
	}
	json_decref(file);
	return ok;
}

static bool run_target(const struct target *target)
{
	unsigned files = 0, texts = 0;
	bool ok = run_corpus(target, &files);

	if (files == 0)
		printf("# no files below " CORPORA "/%s: run this from the top of the sources\n",
		       target->name);
	printf("%s - %s: %u files of the corpus\n", ok && files ? "ok" : "not ok", target->name,
	       files);
	if (!target->vectors)
		return ok && files;
	ok = run_vectors(target, &texts) && texts > 0 && ok && files;
	printf("%s - %s: %u texts of %s\n", ok ? "ok" : "not ok", target->name, texts,
	       target->vectors);
	return ok;
}

static int run_named(const char *name, const char *path)
{
	for (size_t i = 0; i < COUNT(targets); i++) {
		if (strcmp(targets[i].name, name) == 0)
			return run_file(&targets[i], path) ? 0 : 1;
	}
	fprintf(stderr, "no check '%s'\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	bool ok = true;

	if (argc == 3)
		return run_named(argv[1], argv[2]);
	for (size_t i = 0; i < COUNT(targets); i++)
		ok = run_target(&targets[i]) && ok;
	return ok ? 0 : 1;
}
