/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* lbd: command line, signals, and the loop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/inherit.h"
#include "daemon/load_balancer.h"
#include "dataplane/decap.h"
#include "net/rlimit.h"
#include "net/signal.h"
#include "observe/access_log.h"
#include "observe/log_writer.h"

#define DEFAULT_CONFIG "/etc/lbd/lbd.yaml"

static const char usage[] =
	"usage: lbd [-c FILE] [-t] [--fresh] [--teardown] [--version]\n"
	"       lbd decap attach|detach IFACE\n"
	"\n"
	"  -c, --config FILE  read this file instead of " DEFAULT_CONFIG "\n"
	"  -t, --test         check the file, say what is wrong, and exit\n"
	"      --fresh        start clean where pinned state has another ABI\n"
	"      --teardown     detach and unpin everything of this file's pin-path, and exit\n"
	"      --version      print the version and exit\n"
	"\n"
	"decap is for backends of 'forward: ipip' and 'forward: gue': it takes the outer header "
	"off\n"
	"what arrives at IFACE, and stays attached.\n"
	"\n"
	"SIGHUP reloads the file. SIGUSR1 opens the access logs anew. SIGTERM drains the proxy\n"
	"and leaves the kernel path forwarding.\n";

struct options {
	const char *config;
	bool test;
	bool fresh;
	bool teardown;
};

static struct load_balancer lb;

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"fresh", no_argument, NULL, 'f'},
		{"teardown", no_argument, NULL, 'd'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:th", names, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case 't':
			options->test = true;
			break;
		case 'f':
			options->fresh = true;
			break;
		case 'd':
			options->teardown = true;
			break;
		case 'V':
			(void)printf("lbd %s\n", LBD_VERSION);
			exit(0);
		case 'h':
			(void)fputs(usage, stdout);
			exit(0);
		default:
			return -EINVAL;
		}
	}
	return optind == argc ? 0 : -EINVAL;
}

/* The configuration of the file alone; its mistakes are printed. */
static struct config *read_config(const char *path)
{
	struct config *config = NULL;
	struct report report;
	struct doc *doc;

	report_init(&report, path);
	doc = doc_from_yaml_file(path, &report);
	if (doc)
		config = config_build(doc, &report);
	if (report.text.len > 0)
		(void)fputs(report.text.ptr, stderr);
	doc_free(doc);
	report_fini(&report);
	return config;
}

static int check(const char *path)
{
	struct config *config = read_config(path);

	if (!config)
		return 1;
	(void)printf("%s: ok (%u services, %u pools)\n", path, config->n_services, config->n_pools);
	config_free(config);
	return 0;
}

static int teardown(const char *path)
{
	struct config *config = read_config(path);
	struct error err = {0};
	int r;

	if (!config)
		return 1;
	r = dataplane_teardown(config->pin_path, &err);
	if (r < 0)
		(void)fprintf(stderr, "lbd: %s\n", err.message);
	config_free(config);
	return r < 0 ? 1 : 0;
}

/* argv[0] is "decap". */
static int decap(int argc, char **argv)
{
	struct error err = {0};
	int r;

	if (argc != 3 || (strcmp(argv[1], "attach") != 0 && strcmp(argv[1], "detach") != 0)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	r = argv[1][0] == 'a' ? decap_attach(argv[2], &err) : decap_detach(argv[2], &err);
	if (r < 0)
		(void)fprintf(stderr, "lbd: %s\n", err.message);
	return r < 0 ? 1 : 0;
}

static void on_signal(struct signals *signals, int number)
{
	struct error err = {0};

	(void)signals;
	if (number == SIGTERM || number == SIGINT) {
		load_balancer_shutdown(&lb);
	} else if (number == SIGUSR1) {
		log_writer_reopen();
	} else if (number == SIGHUP) {
		log_writer_reopen(); /* who rotates logs may send either */
		if (load_balancer_reload(&lb, 0, NULL, &err) == 0)
			log_info("reloaded '%s'", lb.config_path);
		else
			log_error("not reloaded, nothing was changed: %s", err.message);
	}
}

/* What everything else stands on; signals are blocked before any thread is made. */
static int start_base(struct signals *signals)
{
	int r = signals_block();

	if (r == 0)
		r = loop_new(&lb.loop);
	if (r == 0)
		r = signals_init(signals, lb.loop, on_signal);
	if (r == 0)
		r = log_start();
	if (r == 0)
		r = log_writer_start();
	return r;
}

static int run(const struct options *options)
{
	struct signals signals = {0};
	struct error err = {0};
	uint64_t files;
	int r = start_base(&signals);

	if (r < 0) {
		(void)fprintf(stderr, "lbd: cannot start: %s\n", strerror(-r));
		return 1;
	}
	lb.config_path = options->config;
	lb.fresh = options->fresh;
	lb.version = LBD_VERSION;
	r = rlimit_raise_files(&files);
	if (r < 0)
		log_warning("cannot raise the limit of open files: %s", strerror(-r));
	r = load_balancer_start(&lb, &err);
	if (r < 0) {
		log_error("cannot start: %s", err.message);
		inherit_fail(&lb, err.message);
		lb.exit_status = 1;
	} else {
		r = loop_run(lb.loop);
		if (r < 0)
			log_error("event loop: %s", strerror(-r));
	}
	load_balancer_fini(&lb);
	signals_fini(&signals, lb.loop);
	loop_free(lb.loop);
	log_writer_stop();
	access_log_fini();
	log_stop();
	return lb.exit_status;
}

int main(int argc, char **argv)
{
	struct options options = {.config = DEFAULT_CONFIG};

	lb.argv = argv;

	if (argc > 1 && strcmp(argv[1], "decap") == 0)
		return decap(argc - 1, argv + 1);
	if (parse_options(argc, argv, &options) < 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (options.test)
		return check(options.config);
	if (options.teardown)
		return teardown(options.config);
	return run(&options);
}
