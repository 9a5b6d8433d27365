/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OPEN_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* Bytes that the kernel takes before they can be sent: what a peer that reads slowly costs. Without
 * this it is the send buffer, 4 MB by default (net.ipv4.tcp_wmem). */
#define MAX_UNSENT (256 * 1024)

/* Connections that died in the queue and are skipped in one call. */
#define ACCEPT_MAX_SKIPPED 1024

static int set_flag(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int close_failed(int fd, int err)
{
	close(fd);
	return err;
}

/* Accepted sockets inherit these from their listener: two system calls less for each. */
static int set_stream_flags(int fd)
{
	int err = set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	return err ? err : set_flag(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, MAX_UNSENT);
}

static int open_tcp(const struct addr *addr)
{
	int fd = socket(addr_is_ipv4(addr) ? AF_INET : AF_INET6, SOCK_STREAM | OPEN_FLAGS, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = set_stream_flags(fd);
	return err ? close_failed(fd, err) : fd;
}

static int set_listen_flags(int fd, const struct addr *addr, bool reuse_port)
{
	int err = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (!err && reuse_port)
		err = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* "[::]:80" takes IPv4 clients too, whatever net.ipv6.bindv6only says. */
	if (!err && !addr_is_ipv4(addr) && addr_is_any(addr))
		err = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	return err;
}

int socket_listen_tcp(const struct addr *addr, bool reuse_port, int backlog)
{
	struct sockaddr_storage sockaddr;
	socklen_t len = addr_to_sockaddr(addr, &sockaddr);
	int fd = open_tcp(addr);
	int err;

	if (fd < 0)
		return fd;
	err = set_listen_flags(fd, addr, reuse_port);
	if (err)
		return close_failed(fd, err);
	if (bind(fd, (struct sockaddr *)&sockaddr, len) < 0 || listen(fd, backlog) < 0)
		return close_failed(fd, -errno);
	return fd;
}

int socket_unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int socket_adopt_listener(int fd, int backlog)
{
	int err = set_stream_flags(fd);

	if (!err)
		err = socket_unblock(fd);
	/* Once more: it only sets the backlog (inet_listen in net/ipv4/af_inet.c). */
	if (!err && listen(fd, backlog) < 0)
		err = -errno;
	return err;
}

/*
 * A filter sees a segment from its TCP header on (tcp_filter in net/ipv4/tcp_ipv4.c); accepted
 * sockets inherit it (sk_clone_lock), where a SYN without ACK has no business either.
 */
int socket_refuse_new(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),		 /* the flags: RFC 9293, 3.1 */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),	 /* SYN, ACK */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), /* SYN alone */
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

int socket_welcome_new(int fd)
{
	return set_flag(fd, SOL_SOCKET, SO_DETACH_FILTER, 0); /* the value is not looked at */
}

/* Whether somebody answers at <name>, by asking. */
static bool unix_answers(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | OPEN_FLAGS, 0);
	bool answers;

	if (fd < 0)
		return true;
	/* EAGAIN is a full queue: alive, only busy. */
	answers = connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 ||
		  errno == EAGAIN || errno == EACCES;
	close(fd);
	return answers;
}

static int remove_stale(const struct sockaddr_un *name)
{
	struct stat status;

	if (lstat(name->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	if (unix_answers(name))
		return -EADDRINUSE;
	return unlink(name->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

int socket_listen_unix(const char *path, unsigned mode)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, err;

	if (len == 0 || len >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, len + 1);
	err = remove_stale(&name);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | OPEN_FLAGS, 0);
	if (fd < 0)
		return -errno;
	/* bind() makes the file with the socket's own mode less the umask (unix(7), kernel
	 * net/unix/af_unix.c): it is never open to more than <mode>, and chmod() gives the rest. */
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return close_failed(fd, -errno);
	if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		err = -errno;
		(void)unlink(path);
		return close_failed(fd, err);
	}
	return fd;
}

int socket_connect_tcp(const struct addr *addr, int *ret_fd)
{
	struct sockaddr_storage sockaddr;
	socklen_t len = addr_to_sockaddr(addr, &sockaddr);
	int fd = open_tcp(addr);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&sockaddr, len) < 0 && errno != EINPROGRESS)
		return close_failed(fd, -errno);
	*ret_fd = fd;
	return 0;
}

int socket_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

int socket_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct addr local_addr, peer_addr;
	int err = socket_error(fd);

	if (err)
		return err;
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return -errno;
	if (addr_from_sockaddr(&peer, &peer_addr) < 0 || socket_local(fd, &local_addr) < 0)
		return 0;
	return addr_equal(&local_addr, &peer_addr) ? -ECONNREFUSED : 0;
}

/* Errors of the connection, not of the listener: accept(2) says to go on as after EAGAIN. Asking
 * again is right with edges, since others may wait behind it. */
static bool accept_skips(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

int socket_accept(int fd, struct addr *ret_peer)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int client;

	for (int i = 0; i < ACCEPT_MAX_SKIPPED; i++) {
		client = accept4(fd, (struct sockaddr *)&peer, &len, OPEN_FLAGS);
		if (client >= 0 || !accept_skips(errno))
			break;
		len = sizeof(peer);
	}
	if (client < 0)
		return -errno;
	if (ret_peer && addr_from_sockaddr(&peer, ret_peer) < 0)
		*ret_peer = (struct addr){0}; /* a Unix socket's client has no address */
	return client;
}

int socket_local(int fd, struct addr *ret_addr)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
		return -errno;
	return addr_from_sockaddr(&local, ret_addr);
}

void socket_close_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}
