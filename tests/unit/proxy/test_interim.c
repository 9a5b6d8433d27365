/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Interim responses to a client that has not yet read what came before them. */
#include "rig.h"

#define HEAD_END "\r\n\r\n"
#define GET	 "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define PUT	 "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"
/* An interim response of so many bytes is cut where the kernel takes no more (see
 * SOCKET_UNSENT_MAX), behind a first answer of some of these sizes. */
#define INTERIM 12288
#define BEGIN	(236 * 1024)
#define STEP	6144
#define END	(290 * 1024)

static void say_interim(int fd)
{
	char text[INTERIM];

	memset(text, 'x', sizeof(text));
	rig_say(fd, "HTTP/1.1 103 Early Hints\r\nLink: ");
	rig_send(fd, text, sizeof(text));
	rig_say(fd, HEAD_END);
}

/* A body of <script>'s size to GET; to PUT an interim response, and when that has made the client
 * go on, an answer. */
static void serve_bulk(struct origin *origin, int fd, unsigned n)
{
	static const char zeros[2048];
	const size_t *size = origin->script;
	char text[8192];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		if (strncmp(text, "GET", 3) == 0) {
			snprintf(text, sizeof(text),
				 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", *size);
			rig_say(fd, text);
			for (size_t i = 0; i < *size; i += sizeof(zeros))
				rig_send(fd, zeros, sizeof(zeros));
			continue;
		}
		say_interim(fd);
		if (rig_read_until(fd, text, sizeof(text), "hi") > 0)
			rig_say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
	}
}

/* A client that takes hardly anything until it reads. */
static int connect_narrow(const struct addr *addr)
{
	const int size = 4096;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(addr, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rig_limit(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

/* Both requests at once; reads when the interim response to the second has come to the proxy, or
 * will not before the answer to the first is read. */
static bool told_at_once(struct rig *rig, size_t body, char *text, size_t size)
{
	uint64_t before = rig_read(&rig->live[0].proxy_bytes_out);
	int fd = connect_narrow(&rig->addr);
	bool told;

	rig_say(fd, GET PUT);
	for (int i = 0; i < 30; i++) {
		if (rig_read(&rig->live[0].proxy_bytes_out) - before > body + INTERIM)
			break;
		poll(NULL, 0, 10);
	}
	told = rig_read_until(fd, text, size, HEAD_END) > 0;
	for (size_t n = 0; told && n < body;) {
		ssize_t got = recv(fd, text, body - n < size ? body - n : size, 0);

		told = got > 0;
		n += told ? (size_t)got : 0;
	}
	told = told && rig_read_until(fd, text, size, HEAD_END) > 0 && strstr(text, " 103 ");
	rig_say(fd, "hi");
	if (told)
		told = rig_read_until(fd, text, size, HEAD_END) > 0 && strstr(text, " 204 ");
	close(fd);
	return told;
}

static void an_interim_response_goes_on_when_the_client_has_read_what_was_before_it(void **state)
{
	size_t body = BEGIN;
	struct rig *rig = rig_new(serve_bulk, &body);
	char *text = malloc(RIG_TEXT);

	(void)state;
	rig_begin(rig);
	for (; body < END; body += STEP)
		if (!told_at_once(rig, body, text, RIG_TEXT))
			fail_msg("after a body of %zu bytes no whole 103 came", body);
	free(text);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_interim_response_goes_on_when_the_client_has_read_what_was_before_it),
	};

	return cmocka_run_group_tests_name("interim", tests, NULL, NULL);
}
