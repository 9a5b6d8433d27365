/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/access_log.h"

static const char *const field_names[] = {
	[ACCESS_TIME] = "time",
	[ACCESS_TIME_CLF] = "time_clf",
	[ACCESS_CLIENT] = "client",
	[ACCESS_CLIENT_IP] = "client_ip",
	[ACCESS_CLIENT_PORT] = "client_port",
	[ACCESS_SERVICE] = "service",
	[ACCESS_POOL] = "pool",
	[ACCESS_BACKEND] = "backend",
	[ACCESS_PROTOCOL] = "protocol",
	[ACCESS_METHOD] = "method",
	[ACCESS_TARGET] = "target",
	[ACCESS_HOST] = "host",
	[ACCESS_VERSION] = "version",
	[ACCESS_REQUEST] = "request",
	[ACCESS_STATUS] = "status",
	[ACCESS_REASON] = "reason",
	[ACCESS_BYTES_IN] = "bytes_in",
	[ACCESS_BYTES_OUT] = "bytes_out",
	[ACCESS_QUEUE_MS] = "queue_ms",
	[ACCESS_CONNECT_MS] = "connect_ms",
	[ACCESS_FIRST_BYTE_MS] = "first_byte_ms",
	[ACCESS_TOTAL_MS] = "total_ms",
	[ACCESS_RETRIES] = "retries",
	[ACCESS_REUSED] = "reused",
	[ACCESS_REQUEST_ID] = "request_id",
	[ACCESS_USER_AGENT] = "user_agent",
	[ACCESS_REFERER] = "referer",
	[ACCESS_SESSION] = "session",
};
const struct strtable access_fields = STRTABLE(field_names);

/* The combined format of Apache and nginx, and behind it what only a balancer knows. */
const char access_log_default[] =
	"${client_ip} - - [${time_clf}] \"${request}\" ${status} ${bytes_out} \"${referer}\" "
	"\"${user_agent}\" ${service} ${pool}/${backend} "
	"${queue_ms}/${connect_ms}/${first_byte_ms}/${total_ms} ${reason} ${retries} "
	"${bytes_in} ${request_id}";
