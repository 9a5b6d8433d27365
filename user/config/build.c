/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/config.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/objects.h"
#include "lb/abi.h"

#define MAX_INTERFACES 64
#define MAX_WORKERS    64

static const struct key interface_keys[] = {
	{"name", KEY_TEXT, offsetof(struct interface_spec, name), 0, IFNAMSIZ, NULL, NULL},
	{"hook", KEY_WORD, offsetof(struct interface_spec, hook), 0, 0, &hook_names, NULL},
};

static void check_interface(struct build *build, const struct place *place,
			    const struct config *config)
{
	const struct interface_spec *last = &config->interfaces[config->n_interfaces - 1];

	if (!last->name[0])
		complain(build, place, "'name' is missing: which interface?");
	for (uint32_t i = 0; i + 1 < config->n_interfaces; i++) {
		if (strcmp(config->interfaces[i].name, last->name) == 0)
			complain(build, place, "interface '%s' is here already", last->name);
	}
}

void read_interfaces(struct build *build, const struct place *place, void *out)
{
	struct config *config = out;
	uint32_t n = doc_count(place->doc);

	if (place->doc->kind == DOC_NULL || !expect_kind(build, place, DOC_LIST))
		return;
	if (n > MAX_INTERFACES) {
		complain(build, place, "%u interfaces: at most %d", n, MAX_INTERFACES);
		return;
	}
	config->interfaces = build_array(build, n, sizeof(*config->interfaces));
	for (const struct doc *child = place->doc->first; config->interfaces && child;
	     child = child->next) {
		struct place at = place_child(place, child, "interface");

		keys_read(build, &at, interface_keys, COUNT(interface_keys),
			  &config->interfaces[config->n_interfaces++]);
		check_interface(build, &at, config);
	}
}

static const struct key admin_keys[] = {
	{"socket", KEY_TEXT, offsetof(struct config, socket), 0,
	 sizeof(((struct config *)NULL)->socket), NULL, NULL},
	{"listen", KEY_LATER, 0, 0, 0, NULL, NULL},
};

static const struct key limit_keys[] = {
	{"flows", KEY_NUMBER, offsetof(struct config, max_flows), 16, LB_MAX_FLOWS, NULL, NULL},
	{"services", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"backends", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"connections", KEY_NUMBER, offsetof(struct config, max_connections), 1,
	 POOL_MAX_CONNECTIONS, NULL, NULL},
};

static const struct key log_keys[] = {
	{"level", KEY_WORD, offsetof(struct config, log_level), 0, 0, &log_level_names, NULL},
	{"format", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"target", KEY_LATER, 0, 0, 0, NULL, NULL},
};

static void read_admin(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, admin_keys, COUNT(admin_keys), out);
}

static void read_limits(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, limit_keys, COUNT(limit_keys), out);
}

static void read_log(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, log_keys, COUNT(log_keys), out);
}

#define FIELD(name) offsetof(struct config, name)
#define SIZE(name)  sizeof(((struct config *)NULL)->name)

static const struct key top_keys[] = {
	{"interfaces", KEY_OBJECT, 0, 0, 0, NULL, read_interfaces},
	{"workers", KEY_NUMBER, FIELD(workers), 1, MAX_WORKERS, NULL, NULL},
	{"pin-path", KEY_TEXT, FIELD(pin_path), 0, SIZE(pin_path), NULL, NULL},
	{"state-path", KEY_TEXT, FIELD(state_path), 0, SIZE(state_path), NULL, NULL},
	{"admin", KEY_OBJECT, 0, 0, 0, NULL, read_admin},
	{"pools", KEY_OBJECT, 0, 0, 0, NULL, read_pools},
	{"services", KEY_OBJECT, 0, 0, 0, NULL, read_services},
	{"limits", KEY_OBJECT, 0, 0, 0, NULL, read_limits},
	{"log", KEY_OBJECT, 0, 0, 0, NULL, read_log},
	{"tracing", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"include", KEY_LATER, 0, 0, 0, NULL, NULL},
};

static void defaults(struct config *config)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	config->refs = 1;
	config->workers = cpus < 1 ? 1 : cpus > MAX_WORKERS ? MAX_WORKERS : (uint32_t)cpus;
	config->max_flows = LB_DEFAULT_FLOWS;
	config->log_level = LOG_LEVEL_INFO;
	(void)snprintf(config->pin_path, sizeof(config->pin_path), "/sys/fs/bpf/lbd");
	(void)snprintf(config->state_path, sizeof(config->state_path), "/var/lib/lbd/state");
	(void)snprintf(config->socket, sizeof(config->socket), "/run/lbd/lbd.sock");
}

static void check_path(struct build *build, const struct doc *doc, const char *key,
		       const char *value)
{
	const struct doc *node = doc_get(doc, key);
	struct place place = {.doc = node ? node : doc};

	(void)snprintf(place.path, sizeof(place.path), "%s", key);
	if (value[0] != '/')
		complain(build, &place, "'%s: %s': must be an absolute path", key, value);
}

struct config *config_build(const struct doc *doc, struct report *report)
{
	struct config *config = calloc(1, sizeof(*config));
	struct build build = {.report = report, .config = config};
	struct place top = {.doc = doc};

	if (!config) {
		report_add(report, 0, 0, "", "out of memory");
		return NULL;
	}
	defaults(config);
	keys_read(&build, &top, top_keys, COUNT(top_keys), config);
	check_path(&build, doc, "pin-path", config->pin_path);
	check_path(&build, doc, "state-path", config->state_path);
	check_path(&build, doc, "admin", config->socket);
	check_config(&build, doc);
	if (report->errors == 0)
		return config;
	config_free(config);
	return NULL;
}

struct config *config_get(struct config *config)
{
	config->refs++;
	return config;
}

void config_free(struct config *config)
{
	if (!config || --config->refs > 0)
		return;
	for (uint32_t i = 0; i < config->n_pools; i++)
		free(config->pools[i].pool.backends);
	for (uint32_t i = 0; i < config->n_services; i++)
		service_spec_fini(&config->services[i]);
	free(config->pools);
	free(config->services);
	free(config->interfaces);
	free(config);
}

const struct config_pool *config_find_pool(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->n_pools; i++) {
		if (strcmp(config->pools[i].pool.name, name) == 0)
			return &config->pools[i];
	}
	return NULL;
}

const struct service_spec *config_find_service(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->n_services; i++) {
		if (strcmp(config->services[i].name, name) == 0)
			return &config->services[i];
	}
	return NULL;
}

bool config_has_kernel_service(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_services; i++) {
		if (config->services[i].enabled && config->services[i].path == PATH_KERNEL)
			return true;
	}
	return false;
}
