/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/api.h"
#include "daemon/entry.h"
#include "daemon/generation.h"
#include "daemon/handover.h"
#include "daemon/on_down.h"
#include "daemon/refresh.h"
#include "daemon/supervise.h"
#include "daemon/upgrade_send.h"
#include "net/child.h"

#define REPORT_MS   250
#define MAX_ENVIRON 4096

struct upgrade {
	struct load_balancer *lb;
	enum upgrade_state state;
	struct child child;
	pid_t pid;
	struct source source; /* the channel */
	int channel;	      /* -1: none */
	struct timer timer;   /* the limit; once it is done: the next report */
	uint32_t timeout_ms;
	uint64_t drained_by_ms;
	bool failed;
	bool touched; /* by one that we have killed and that has not ended yet: it may still write
		       */
	char why[512];
};

/* ---- Stopping and going on ------------------------------------------------------------------ */

static void freeze(struct load_balancer *lb)
{
	list_for_each (node, &lb->pools)
		entry_pause(entry_of(node));
	timer_stop(lb->loop, &lb->refresh);
	timer_stop(lb->loop, &lb->heartbeat);
}

static void thaw(struct load_balancer *lb)
{
	list_for_each (node, &lb->pools)
		entry_resume(entry_of(node));
	timer_start(lb->loop, &lb->heartbeat, 0);
}

/* The other one may have written, pinned and attached something. */
static void retake(struct load_balancer *lb)
{
	struct error err = {0};

	if (lb->dataplane) {
		if (dataplane_write(lb->dataplane, &err) < 0)
			log_error("%s", err.message);
		dataplane_retake(lb->dataplane);
		loop_run_again(lb->loop, &lb->events.source);
	}
	if (refresh_now(lb, &err) < 0)
		log_error("%s", err.message);
}

static void close_channel(struct upgrade *upgrade)
{
	if (upgrade->channel < 0)
		return;
	loop_remove(upgrade->lb->loop, &upgrade->source);
	close(upgrade->channel);
	upgrade->channel = -1;
}

static void say_why(struct upgrade *upgrade, const char *why)
{
	if (!*upgrade->why)
		(void)snprintf(upgrade->why, sizeof(upgrade->why), "%s", why);
}

/* Everything is as it was before; the process is ended if it has not ended yet. */
static void fail(struct upgrade *upgrade, const char *why)
{
	bool frozen = upgrade->state == UPGRADE_SWITCHING;
	bool loading = upgrade->state == UPGRADE_LOADING;

	say_why(upgrade, why);
	log_error("upgrade failed, this lbd goes on: %s", upgrade->why);
	upgrade->failed = true;
	upgrade->state = UPGRADE_NONE;
	timer_stop(upgrade->lb->loop, &upgrade->timer);
	child_kill(&upgrade->child);
	close_channel(upgrade);
	if (frozen)
		thaw(upgrade->lb);
	if (!frozen && !loading)
		return;
	upgrade->touched = upgrade->child.pid != 0;
	generations_resume(upgrade->lb);
	retake(upgrade->lb);
}

/* ---- Draining ------------------------------------------------------------------------------ */

static uint32_t longest_drain_ms(const struct config *config)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < config->n_services; i++) {
		uint32_t ms = config->services[i].timeouts.drain;

		if (config->services[i].path == PATH_PROXY && ms > longest)
			longest = ms;
	}
	return longest;
}

static void report(struct upgrade *upgrade)
{
	struct load_balancer *lb = upgrade->lb;
	uint64_t now_ms = clock_ms();
	uint64_t left_ms = upgrade->drained_by_ms > now_ms ? upgrade->drained_by_ms - now_ms : 0;
	json_t *json = json_pack("{s:s,s:I,s:I,s:b}", "type", "draining", "sessions",
				 (json_int_t)(lb->proxy ? proxy_sessions(lb->proxy) : 0),
				 "deadline_ms", (json_int_t)left_ms, "asks", 1);

	/* It may have ended. */
	if (handover_send(upgrade->channel, json, NULL, 0) == 0)
		(void)handover_send_counts(upgrade->channel, "old", handover_counts(lb));
}

static void on_drained(void *ctx)
{
	struct load_balancer *lb = ctx;

	report(lb->upgrade);
	log_info("drained");
	loop_stop(lb->loop);
}

/* What no service of the new one listens at is closed as if a reload had removed it. */
static void end_unused(struct load_balancer *lb, const json_t *unused)
{
	size_t i;
	json_t *text;

	json_array_foreach ((json_t *)unused, i, text) {
		struct addr addr;

		if (lb->proxy && json_is_string(text) &&
		    !addr_parse(slice_of(json_string_value(text)), true, &addr))
			proxy_unlisten(lb->proxy, 0, &addr);
	}
}

static void drain(struct upgrade *upgrade, const json_t *unused)
{
	struct load_balancer *lb = upgrade->lb;

	upgrade->state = UPGRADE_DONE;
	upgrade->drained_by_ms = clock_ms() + longest_drain_ms(lb->config);
	end_unused(lb, unused);
	control_give_up(lb->control);
	lb->control = NULL;
	if (lb->dataplane)
		dataplane_unlock(lb->dataplane);
	generations_free(lb);
	if (lb->proxy)
		proxy_hand_over(lb->proxy, on_drained, lb);
	supervise_hand_over(lb, (int)upgrade->pid);
	(void)handover_send(upgrade->channel, json_pack("{s:s}", "type", "main"), NULL, 0);
	log_info("process %d serves now; %llu connections are left here", (int)upgrade->pid,
		 (unsigned long long)(lb->proxy ? proxy_sessions(lb->proxy) : 0));
	child_forget(&upgrade->child);
	timer_start(lb->loop, &upgrade->timer, 0);
	if (!lb->proxy)
		loop_stop(lb->loop);
}

/* ---- Talking ------------------------------------------------------------------------------- */

static void on_hello(struct upgrade *upgrade)
{
	int r = upgrade_send_sockets(upgrade->lb, upgrade->channel);

	upgrade->state = UPGRADE_LOADING;
	generations_pause(upgrade->lb);
	if (r < 0)
		fail(upgrade, strerror(-r));
}

static void on_loaded(struct upgrade *upgrade)
{
	int r;

	upgrade->state = UPGRADE_SWITCHING;
	freeze(upgrade->lb);
	r = upgrade_send_state(upgrade->lb, upgrade->channel);
	if (r < 0)
		fail(upgrade, strerror(-r));
}

static void on_message(struct upgrade *upgrade, const struct handover_message *message)
{
	const char *type = message->type;
	const char *why = json_string_value(json_object_get(message->json, "why"));

	if (strcmp(type, "hello") == 0 && upgrade->state == UPGRADE_STARTED)
		on_hello(upgrade);
	else if (strcmp(type, "ready") == 0 && upgrade->state == UPGRADE_LOADING)
		on_loaded(upgrade);
	else if (strcmp(type, "serving") == 0 && upgrade->state == UPGRADE_SWITCHING)
		drain(upgrade, json_object_get(message->json, "unused"));
	else if (strcmp(type, "ask") == 0 && upgrade->state == UPGRADE_DONE)
		(void)handover_send(upgrade->channel,
				    api_session_answer(upgrade->lb, message->json), NULL, 0);
	else if (strcmp(type, "down") == 0 && upgrade->state == UPGRADE_DONE)
		on_down_told(upgrade->lb, json_object_get(message->json, "backends"));
	else if (strcmp(type, "failed") == 0)
		say_why(upgrade, why ? why : "it did not say why");
}

/* The end of the channel says nothing new: the end of the process does, or the time that passes. */
static void on_channel(struct source *source)
{
	struct upgrade *upgrade = container_of(source, struct upgrade, source);
	struct handover_message message;

	while (upgrade->channel >= 0 && handover_receive(upgrade->channel, &message) == 1) {
		on_message(upgrade, &message);
		handover_message_fini(&message);
	}
	source->ready &= ~(unsigned)LOOP_READ;
}

static void on_timer(struct timer *timer)
{
	struct upgrade *upgrade = container_of(timer, struct upgrade, timer);
	char why[64];

	if (upgrade->state == UPGRADE_DONE) {
		report(upgrade);
		timer_start(upgrade->lb->loop, timer, REPORT_MS);
		return;
	}
	(void)snprintf(why, sizeof(why), "process %d was not ready within %u ms", (int)upgrade->pid,
		       upgrade->timeout_ms);
	fail(upgrade, why);
}

static void on_child_end(struct child *child, int status)
{
	struct upgrade *upgrade = container_of(child, struct upgrade, child);
	char why[96];

	if (upgrade->touched)
		retake(upgrade->lb);
	upgrade->touched = false;
	if (upgrade->state == UPGRADE_NONE || upgrade->state == UPGRADE_DONE)
		return;		      /* we have ended it, or it is another's */
	on_channel(&upgrade->source); /* its last words */
	if (WIFSIGNALED(status))
		(void)snprintf(why, sizeof(why), "process %d was ended by signal %d",
			       (int)upgrade->pid, WTERMSIG(status));
	else
		(void)snprintf(why, sizeof(why),
			       "process %d ended with status %d before it was ready",
			       (int)upgrade->pid, WEXITSTATUS(status));
	fail(upgrade, why);
}

/* ---- Start --------------------------------------------------------------------------------- */

/* What is about the old process alone. */
static bool is_ours(const char *variable)
{
	static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
					    "WATCHDOG_PID", HANDOVER_VARIABLE};
	size_t len = strcspn(variable, "=");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == len && strncmp(variable, names[i], len) == 0)
			return true;
	return false;
}

static char **make_environ(char *channel, size_t size)
{
	char **env = calloc(MAX_ENVIRON + 2, sizeof(*env));
	size_t n = 0;

	if (!env)
		return NULL;
	for (char **at = environ; *at && n < MAX_ENVIRON; at++)
		if (!is_ours(*at))
			env[n++] = *at;
	(void)snprintf(channel, size, HANDOVER_VARIABLE "=%d", CHILD_FD);
	env[n] = channel;
	return env;
}

static char **make_argv(const struct load_balancer *lb, const char *program)
{
	size_t n = 0;
	char **argv;

	while (lb->argv[n])
		n++;
	argv = calloc(n + 1, sizeof(*argv));
	if (!argv)
		return NULL;
	memcpy(argv, lb->argv, n * sizeof(*argv));
	if (program)
		argv[0] = (char *)program;
	return argv;
}

static int spawn(struct upgrade *upgrade, const char *program, int fd)
{
	char channel[sizeof(HANDOVER_VARIABLE) + 16];
	char **env = make_environ(channel, sizeof(channel));
	char **argv = make_argv(upgrade->lb, program);
	int r = -ENOMEM;

	if (env && argv)
		r = child_start(&upgrade->child, upgrade->lb->loop, argv, env, fd);
	free(env);
	free(argv);
	return r;
}

static int begin(struct upgrade *upgrade, const char *program)
{
	int ends[2];
	int r = passing_pair(ends);

	if (r < 0)
		return r;
	r = spawn(upgrade, program, ends[1]);
	close(ends[1]);
	if (r == 0)
		r = loop_add(upgrade->lb->loop, &upgrade->source, ends[0], on_channel);
	if (r < 0) {
		child_kill(&upgrade->child);
		close(ends[0]);
		return r;
	}
	upgrade->channel = ends[0];
	upgrade->pid = upgrade->child.pid;
	upgrade->state = UPGRADE_STARTED;
	return 0;
}

static struct upgrade *upgrade_get(struct load_balancer *lb)
{
	struct upgrade *upgrade = lb->upgrade;

	if (upgrade)
		return upgrade;
	upgrade = calloc(1, sizeof(*upgrade));
	if (!upgrade)
		return NULL;
	upgrade->lb = lb;
	upgrade->channel = -1;
	upgrade->child.on_end = on_child_end;
	timer_init(&upgrade->timer, on_timer);
	lb->upgrade = upgrade;
	return upgrade;
}

int upgrade_start(struct load_balancer *lb, const char *program, uint32_t timeout_ms,
		  struct error *err)
{
	struct upgrade *upgrade = upgrade_get(lb);
	int r;

	if (!upgrade)
		return error_set(err, -ENOMEM, "", "out of memory");
	if (upgrade->state != UPGRADE_NONE || upgrade->child.pid != 0 || lb->stopping)
		return error_set(err, -EBUSY, "",
				 lb->stopping ? "this lbd is stopping"
					      : "an upgrade is under way already");
	if (!lb->open || lb->inheritance)
		return error_set(err, -EBUSY, "", "this lbd has not opened its services yet");
	upgrade->failed = false;
	upgrade->why[0] = '\0';
	upgrade->timeout_ms = timeout_ms;
	r = begin(upgrade, program);
	if (r < 0)
		return error_set(err, r, "program", "cannot start '%s': %s",
				 program ? program : lb->argv[0], strerror(-r));
	timer_start(lb->loop, &upgrade->timer, timeout_ms);
	log_info("upgrade: started '%s', process %d", program ? program : lb->argv[0],
		 (int)upgrade->pid);
	return 0;
}

/* ---- Asked --------------------------------------------------------------------------------- */

void upgrade_info(const struct load_balancer *lb, struct upgrade_info *ret_info)
{
	static const char *const words[] = {
		[UPGRADE_NONE] = "none",       [UPGRADE_STARTED] = "starting",
		[UPGRADE_LOADING] = "loading", [UPGRADE_SWITCHING] = "switching",
		[UPGRADE_DONE] = "done",
	};
	const struct upgrade *upgrade = lb->upgrade;

	*ret_info = (struct upgrade_info){.state = words[UPGRADE_NONE], .why = ""};
	if (!upgrade)
		return;
	ret_info->pid = upgrade->pid;
	ret_info->why = upgrade->why;
	ret_info->state = upgrade->failed ? "failed" : words[upgrade->state];
}

bool upgrade_busy(const struct load_balancer *lb)
{
	return lb->upgrade && lb->upgrade->state != UPGRADE_NONE;
}

bool upgrade_frozen(const struct load_balancer *lb)
{
	return lb->upgrade && lb->upgrade->state >= UPGRADE_SWITCHING;
}

void upgrade_cancel(struct load_balancer *lb)
{
	if (upgrade_busy(lb) && lb->upgrade->state != UPGRADE_DONE)
		fail(lb->upgrade, "this lbd was told to stop");
}

void upgrade_free(struct load_balancer *lb)
{
	struct upgrade *upgrade = lb->upgrade;

	if (!upgrade)
		return;
	upgrade_cancel(lb);
	timer_stop(lb->loop, &upgrade->timer);
	close_channel(upgrade);
	child_forget(&upgrade->child);
	free(upgrade);
	lb->upgrade = NULL;
}
