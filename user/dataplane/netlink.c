/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/netlink.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Datagrams of one answer; a dump of more than that is cut. */
#define MAX_DATAGRAMS 64

int netlink_open(int protocol, uint32_t groups)
{
	const struct sockaddr_nl local = {.nl_family = AF_NETLINK, .nl_groups = groups};
	const struct timeval limit = {.tv_sec = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0),
			protocol);
	int rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&local, sizeof(local)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
		rc = -errno;
		(void)close(fd);
		return rc;
	}
	return fd;
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags,
		   const void *fixed, size_t len)
{
	assert(len <= sizeof(request->body));
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	memcpy(NLMSG_DATA(&request->header), fixed, len);
}

void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t len)
{
	size_t used = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr *attr = (struct rtattr *)((char *)request + used);

	assert(used + RTA_SPACE(len) <= sizeof(*request));
	attr->rta_type = type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	request->header.nlmsg_len = (uint32_t)(used + RTA_SPACE(len));
}

struct answer {
	uint32_t sequence;
	void (*each)(void *ctx, const struct nlmsghdr *message);
	void *ctx;
	int rc;
};

/* Returns true when the answer is complete. */
static bool read_datagram(struct answer *answer, const struct nlmsghdr *message, ssize_t left)
{
	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		if (message->nlmsg_seq != answer->sequence)
			continue;
		if (message->nlmsg_type == NLMSG_ERROR) {
			if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				answer->rc = -EPROTO;
			else
				answer->rc = ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
			return true;
		}
		if (message->nlmsg_type == NLMSG_DONE)
			return true;
		if (answer->each)
			answer->each(answer->ctx, message);
	}
	return false;
}

int netlink_ask(int fd, struct netlink_request *request,
		void (*each)(void *ctx, const struct nlmsghdr *message), void *ctx)
{
	static uint32_t sequence;
	struct answer answer = {.sequence = ++sequence, .each = each, .ctx = ctx};
	_Alignas(struct nlmsghdr) char buffer[16384];

	request->header.nlmsg_seq = answer.sequence;
	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	for (int i = 0; i < MAX_DATAGRAMS; i++) {
		ssize_t len = recv(fd, buffer, sizeof(buffer), 0);

		if (len < 0)
			return -errno;
		if (read_datagram(&answer, (const struct nlmsghdr *)buffer, len))
			return answer.rc;
	}
	return -EMSGSIZE;
}

const void *netlink_find(const struct nlmsghdr *message, size_t fixed, uint16_t type, size_t size)
{
	size_t skip = NLMSG_SPACE(fixed);
	const struct rtattr *attr = (const struct rtattr *)((const char *)message + skip);
	int left = message->nlmsg_len > skip ? (int)(message->nlmsg_len - skip) : 0;

	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if ((attr->rta_type & NLA_TYPE_MASK) == type && RTA_PAYLOAD(attr) >= size)
			return RTA_DATA(attr);
	}
	return NULL;
}
