/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/supervise.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "net/socket.h"
#include "net/systemd.h"

#define NAME_LEN (ADDR_TEXT_LEN + 8)

struct supervisor {
	struct load_balancer *lb;
	struct systemd systemd;
	struct timer watchdog;
	unsigned n_passed; /* from SYSTEMD_FIRST_FD on; those that were taken are closed or -1 */
	json_t *stored;	   /* names of what the store keeps: {"lbd-...": true} */
};

static bool spoken(struct load_balancer *lb)
{
	return lb->supervisor && lb->supervisor->systemd.notify_len > 0;
}

/* ---- Signs of life -------------------------------------------------------------------------- */

static void on_watchdog(struct timer *timer)
{
	struct supervisor *supervisor = container_of(timer, struct supervisor, watchdog);

	(void)systemd_notify(&supervisor->systemd, NULL, 0, "WATCHDOG=1");
	/* Half of it, as sd_watchdog_enabled(3) advises. */
	timer_start(supervisor->lb->loop, timer, supervisor->systemd.watchdog_ms / 2 + 1);
}

void supervise_init(struct load_balancer *lb)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));

	if (!supervisor)
		return;
	supervisor->lb = lb;
	supervisor->stored = json_object();
	systemd_init(&supervisor->systemd);
	supervisor->n_passed = systemd_passed();
	timer_init(&supervisor->watchdog, on_watchdog);
	lb->supervisor = supervisor;
}

void supervise_fini(struct load_balancer *lb)
{
	struct supervisor *supervisor = lb->supervisor;

	if (!supervisor)
		return;
	timer_stop(lb->loop, &supervisor->watchdog);
	json_decref(supervisor->stored);
	free(supervisor);
	lb->supervisor = NULL;
}

/* ---- Sockets that were passed --------------------------------------------------------------- */

static int option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

static int take_one(struct load_balancer *lb, int fd)
{
	int r;

	if (option(fd, SO_TYPE) != SOCK_STREAM || option(fd, SO_ACCEPTCONN) != 1 ||
	    option(fd, SO_PROTOCOL) != IPPROTO_TCP)
		return -EPROTOTYPE;
	r = socket_adopt_listener(fd, PROXY_BACKLOG);
	if (r < 0 || lb->proxy)
		return r < 0 ? r : proxy_inherit(lb->proxy, fd);
	return -ENOPROTOOPT;
}

void supervise_listeners(struct load_balancer *lb)
{
	unsigned n = lb->supervisor ? lb->supervisor->n_passed : 0;

	for (unsigned i = 0; i < n; i++) {
		int fd = SYSTEMD_FIRST_FD + (int)i;
		int r = take_one(lb, fd);

		if (r == 0)
			continue;
		log_warning("descriptor %d, which was passed, is not used: %s", fd,
			    r == -EPROTOTYPE	? "it is no listening TCP socket"
			    : r == -ENOPROTOOPT ? "no service is on the proxy path"
						: strerror(-r));
		close(fd);
	}
}

/* ---- The store ------------------------------------------------------------------------------ */

/* No ':' is allowed in a name (sd_pid_notify_with_fds(3), FDNAME=). */
static void name_of(const struct addr *addr, char name[static NAME_LEN])
{
	char text[ADDR_TEXT_LEN];

	(void)snprintf(name, NAME_LEN, "lbd-%s", addr_format(addr, text));
	for (char *c = name; *c; c++)
		if (*c == ':')
			*c = '.';
}

struct storing {
	struct supervisor *supervisor;
	json_t *now;
};

/* What is there already, systemd does not take twice. */
static void store(void *ctx, const struct addr *addr, const int *fds, unsigned n)
{
	struct storing *storing = ctx;
	char name[NAME_LEN];

	name_of(addr, name);
	(void)json_object_set_new(storing->now, name, json_true());
	(void)systemd_notify(&storing->supervisor->systemd, fds, n, "FDSTORE=1\nFDNAME=%s", name);
}

static void store_all(struct load_balancer *lb)
{
	struct storing storing = {.supervisor = lb->supervisor, .now = json_object()};
	const char *name;
	json_t *value;

	if (lb->proxy)
		proxy_each_socket(lb->proxy, store, &storing);
	json_object_foreach (lb->supervisor->stored, name, value)
		if (!json_object_get(storing.now, name))
			(void)systemd_notify(&lb->supervisor->systemd, NULL, 0,
					     "FDSTOREREMOVE=1\nFDNAME=%s", name);
	json_decref(lb->supervisor->stored);
	lb->supervisor->stored = storing.now;
}

static void forget_unused(void *ctx, const struct addr *addr)
{
	struct supervisor *supervisor = ctx;
	char name[NAME_LEN];

	name_of(addr, name);
	(void)json_object_set_new(supervisor->stored, name, json_true());
}

/* ---- What is told --------------------------------------------------------------------------- */

static void say_ready(struct load_balancer *lb)
{
	if (!spoken(lb))
		return;
	(void)systemd_notify(&lb->supervisor->systemd, NULL, 0,
			     "READY=1\nSTATUS=%u services, %u pools", lb->config->n_services,
			     lb->config->n_pools);
}

void supervise_ready(struct load_balancer *lb)
{
	if (lb->supervisor && lb->proxy)
		proxy_each_unused(lb->proxy, forget_unused, lb->supervisor);
	if (lb->proxy)
		proxy_disinherit(lb->proxy);
	say_ready(lb);
	supervise_changed(lb);
	/* Not before: a process that is not the main one yet must not speak. */
	if (spoken(lb) && lb->supervisor->systemd.watchdog_ms > 0)
		on_watchdog(&lb->supervisor->watchdog);
}

void supervise_changed(struct load_balancer *lb)
{
	if (spoken(lb))
		store_all(lb);
}

void supervise_reloading(struct load_balancer *lb)
{
	if (spoken(lb))
		(void)systemd_notify(&lb->supervisor->systemd, NULL, 0,
				     "RELOADING=1\nMONOTONIC_USEC=%llu",
				     (unsigned long long)(clock_ns() / 1000));
}

void supervise_reloaded(struct load_balancer *lb)
{
	say_ready(lb);
}

void supervise_stopping(struct load_balancer *lb)
{
	if (spoken(lb))
		(void)systemd_notify(&lb->supervisor->systemd, NULL, 0,
				     "STOPPING=1\nSTATUS=draining");
}

void supervise_hand_over(struct load_balancer *lb, int pid)
{
	if (!lb->supervisor)
		return;
	(void)systemd_notify(&lb->supervisor->systemd, NULL, 0, "MAINPID=%d", pid);
	timer_stop(lb->loop, &lb->supervisor->watchdog);
	lb->supervisor->systemd.notify_len = 0;
}
