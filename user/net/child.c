/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_ready(struct source *source)
{
	struct child *child = container_of(source, struct child, source);
	pid_t pid = child->pid;
	int status = 0;

	source->ready &= ~(unsigned)LOOP_READ;
	if (waitpid(pid, &status, WNOHANG) != pid)
		return;
	child_forget(child);
	child->on_end(child, status);
}

/* Ours are blocked, for the loop; SIGPIPE is ignored, which exec(2) would keep. */
static int set_signals(posix_spawnattr_t *attr)
{
	sigset_t none, defaults;
	int err;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &defaults);
	if (!err)
		err = posix_spawnattr_setflags(attr,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return err;
}

/* Its pid, or -errno. */
static pid_t spawn(char *const *argv, char *const *env, int fd)
{
	pid_t pid = -1;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err) {
		posix_spawn_file_actions_destroy(&actions);
		return -err;
	}
	err = set_signals(&attr);
	if (!err) /* takes close-on-exec away, also where both are the same */
		err = posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FD);
	if (!err)
		err = posix_spawnp(&pid, argv[0], &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return err ? -err : pid;
}

static void reap(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int child_start(struct child *child, struct loop *loop, char *const *argv, char *const *env, int fd)
{
	pid_t pid = spawn(argv, env, fd);
	int pidfd, err;

	if (pid < 0)
		return pid;
	pidfd = pidfd_open(pid, PIDFD_NONBLOCK);
	err = pidfd < 0 ? -errno : loop_add(loop, &child->source, pidfd, on_ready);
	if (err) {
		if (pidfd >= 0)
			close(pidfd);
		reap(pid);
		return err;
	}
	child->loop = loop;
	child->pid = pid;
	return 0;
}

void child_kill(struct child *child)
{
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL);
}

void child_forget(struct child *child)
{
	if (child->pid == 0)
		return;
	child->pid = 0;
	loop_remove(child->loop, &child->source);
	close(child->source.fd);
}
