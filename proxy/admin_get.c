/*
 * See admin_get.h. One blocking request: a command has nothing else to do.
 */
#include "admin_get.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "iso/http/uri.h"

enum { WAIT_S = 10, ANSWER_MAX = 16 * 1024 * 1024 };

static int connect_to(const char *address)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct timeval wait = { .tv_sec = WAIT_S };
	struct iso_slice host = iso_uri_host(iso_slice_str(address));
	const char *port = strrchr(address, ':');
	char name[256];
	int fd = -1;

	if (port == NULL || host.len >= sizeof(name)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	if (getaddrinfo(host.len > 0 ? name : "127.0.0.1", port + 1, &hints, &found) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
		if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

static bool ask(int fd, const char *address, const char *target, struct iso_text *answer)
{
	char chunk[16384];
	ssize_t n;

	iso_text_fmt(answer, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, address);
	n = iso_text_ok(answer) == ISO_OK ? send(fd, answer->bytes, answer->len, MSG_NOSIGNAL) : -1;
	if (n != (ssize_t)answer->len)
		return false;
	answer->len = 0;
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		iso_text_add(answer, iso_slice(chunk, (size_t)n));
	return n == 0 && iso_text_ok(answer) == ISO_OK;
}

int admin_get(const char *address, const char *target, struct iso_text *text)
{
	int fd = connect_to(address), status = 0;
	const char *content = NULL;
	struct iso_text answer;

	iso_text_init(&answer, ANSWER_MAX);
	if (fd < 0 || !ask(fd, address, target, &answer))
		fprintf(stderr, "isochrone: the admin API at %s does not answer: %s\n", address,
			strerror(errno));
	else
		content = memmem(answer.bytes, answer.len, "\r\n\r\n", 4);
	if (content != NULL && answer.len > 12 && memcmp(answer.bytes, "HTTP/1.1 ", 9) == 0) {
		status = (int)strtol(answer.bytes + 9, NULL, 10);
		content += 4;
		iso_text_add(text, iso_slice(content, (size_t)(answer.bytes + answer.len - content)));
	}
	if (fd >= 0)
		close(fd);
	iso_text_done(&answer);
	return status;
}
