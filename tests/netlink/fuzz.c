// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages for the netlink family that are nearly valid: each begins as a request
 * of one of its operations, and then parts of it are changed. Most have a valid
 * header, so that they reach the module's own checks behind those of netlink.
 *
 *   fuzz COUNT SEED SESSION
 *
 * Prints a line for each command, known or not: the number of messages with it, of
 * those that succeeded, and of those that failed with EPERM. Fails if a message is
 * not answered, or twice, or if an answer has a number that was never sent. The
 * caller checks the numbers.
 */
#define _GNU_SOURCE
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/xbzrle_netlink.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../device/rng.h"

#define BATCH 32
#define MESSAGE_MAX 2048
#define COMMANDS 16
/*
 * The kernel makes parts of dumps as large as this. The answers to a batch have to
 * fit into the socket, or a dump reports an error and goes on all the same.
 */
#define ANSWER_MAX 8192

struct field {
	unsigned int type;
	unsigned int size;
};

/* The attributes of each operation's request. */
static const struct request {
	unsigned int command;
	bool dumps;
	struct field fields[2];
} requests[] = {
	{ XBZRLE_CMD_SESSION_GET, true, {
		{ XBZRLE_A_SESSION_ID, 4 } } },
	{ XBZRLE_CMD_SESSION_SET, false, {
		{ XBZRLE_A_SESSION_ID, 4 },
		{ XBZRLE_A_SESSION_CACHE_BYTES, 8 } } },
	{ XBZRLE_CMD_FLUSH, false, {
		{ XBZRLE_A_SESSION_ID, 4 } } },
	{ XBZRLE_CMD_QUEUE_GET, true, {
		{ XBZRLE_A_QUEUE_SESSION, 4 },
		{ XBZRLE_A_QUEUE_ID, 4 } } },
	{ XBZRLE_CMD_STATS_GET, false, { } },
};

/* A message's fate, by its place in the batch. */
struct sent {
	unsigned int command;
	bool silent;
	unsigned int answers;
};

static struct xbzt_rng rng;
static unsigned int family, session;
static unsigned long long tried[COMMANDS], done[COMMANDS], denied[COMMANDS];

static void fail(const char *text)
{
	fprintf(stderr, "fuzz: %s: %s\n", text, strerror(errno));
	exit(1);
}

static bool chance(unsigned int percent)
{
	return xbzt_below(&rng, 100) < percent;
}

static void put_random(unsigned char *to, size_t size)
{
	while (size--)
		*to++ = xbzt_random(&rng) >> 32;
}

static uint64_t any_number(void)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 3, 63, 64, 65, 4096, 1 << 20, 64 << 20, 0x7fffffff,
		0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 52, 1ULL << 63,
		~0ULL,
	};

	if (chance(20))
		return xbzt_random(&rng);
	return numbers[xbzt_below(&rng, sizeof(numbers) / sizeof(*numbers))];
}

/* Appends an attribute; its header may have a wrong size. */
static size_t put_attribute(unsigned char *to, unsigned int type,
			    const void *value, size_t size, size_t says)
{
	struct nlattr head = { .nla_len = NLA_HDRLEN + says, .nla_type = type };

	memcpy(to, &head, sizeof(head));
	memcpy(to + NLA_HDRLEN, value, size);
	memset(to + NLA_HDRLEN + size, 0, NLA_ALIGN(size) - size);
	return NLA_HDRLEN + NLA_ALIGN(size);
}

static size_t put_nonsense(unsigned char *to, unsigned int depth)
{
	unsigned int type = chance(90) ? xbzt_below(&rng, 30) :
					 xbzt_below(&rng, 65536);
	unsigned char value[512];
	size_t size = 0, says, parts;

	if (chance(30) && depth < 3) {
		for (parts = xbzt_below(&rng, 4); parts; parts--)
			size += put_nonsense(value + size, depth + 1);
		if (chance(70))
			type |= NLA_F_NESTED;
	} else {
		size = xbzt_below(&rng, chance(80) ? 13 : 30);
		put_random(value, size);
	}
	says = size;
	if (chance(5))
		says = xbzt_below(&rng, 65536);
	return put_attribute(to, type, value, size, says);
}

/* An attribute of the request, right or changed in one way. */
static size_t put_field(unsigned char *to, const struct field *field)
{
	unsigned char value[64] = { 0 };
	unsigned int type = field->type;
	size_t size = field->size, says;
	uint64_t number = any_number();

	/* Numbers of sessions and queues that exist. */
	if (size == 4 && chance(70))
		number = type == 1 ? session : 0;
	memcpy(value, &number, sizeof(number));
	says = size;
	if (!chance(15))
		return put_attribute(to, type, value, size, says);

	switch (xbzt_below(&rng, 5)) {
	case 0:
		says = size = xbzt_below(&rng, sizeof(value));
		break;
	case 1:
		says = xbzt_below(&rng, 65536);
		break;
	case 2:
		type |= NLA_F_NESTED;
		break;
	case 3:
		type |= NLA_F_NET_BYTEORDER;
		break;
	default:
		type = xbzt_below(&rng, 40);
	}
	return put_attribute(to, type, value, size, says);
}

static size_t put_body(unsigned char *to, const struct request *request)
{
	const size_t nr = sizeof(request->fields) / sizeof(*request->fields);
	size_t size = 0, i;

	for (i = 0; i < nr && request->fields[i].type; i++) {
		if (chance(75))
			size += put_field(to + size, &request->fields[i]);
		if (chance(5))
			size += put_nonsense(to + size, 0);
	}
	if (chance(10))
		size += put_nonsense(to + size, 0);
	if (chance(3))
		size += put_field(to + size, &request->fields[0]);
	if (chance(2)) {
		put_random(to + size, 4);
		size += 4;
	}
	return size;
}

/* A message; returns its size, which is aligned. */
static size_t put_message(unsigned char *to, unsigned int seq, bool last,
			  struct sent *sent)
{
	const size_t nr = sizeof(requests) / sizeof(*requests);
	const struct request *request = &requests[xbzt_below(&rng, nr)];
	struct genlmsghdr genl = { .cmd = request->command, .version = 1 };
	struct nlmsghdr head = {
		.nlmsg_type = family,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.nlmsg_seq = seq,
	};
	size_t size = NLMSG_HDRLEN + GENL_HDRLEN;

	size += put_body(to + size, request);
	if (request->dumps && chance(30))
		head.nlmsg_flags |= NLM_F_DUMP;
	if (chance(5))
		genl.cmd = xbzt_below(&rng, COMMANDS);
	if (chance(5))
		head.nlmsg_flags |= xbzt_below(&rng, 65536) & ~0x3f;
	if (chance(3))
		genl.version = xbzt_below(&rng, 256);
	if (chance(3))
		genl.reserved = xbzt_below(&rng, 65536);
	head.nlmsg_len = size;
	*sent = (struct sent){ .command = genl.cmd };
	if (chance(2)) {
		/* Cut short, though not its header. */
		head.nlmsg_len = NLMSG_HDRLEN +
				 xbzt_below(&rng, size - NLMSG_HDRLEN + 1);
		size = NLMSG_ALIGN(head.nlmsg_len);
	} else if (last && chance(20)) {
		/* Netlink drops it, and everything behind it. */
		head.nlmsg_len = chance(50) ? xbzt_below(&rng, NLMSG_HDRLEN) :
					      size + 1 + xbzt_below(&rng, 1 << 20);
		sent->silent = true;
	}
	memcpy(to, &head, sizeof(head));
	memcpy(to + NLMSG_HDRLEN, &genl, sizeof(genl));
	return size;
}

/* The last answer to a message. */
static void answered(struct sent *sent, int error)
{
	sent->answers++;
	if (!error)
		done[sent->command]++;
	else if (error == -EPERM)
		denied[sent->command]++;
}

/* One datagram; returns the number of last answers in it. */
static unsigned int take_answer(const struct nlmsghdr *head, ssize_t got,
				unsigned int first, struct sent *sent)
{
	unsigned int number, ends = 0;
	int error;

	for (; NLMSG_OK(head, (size_t)got); head = NLMSG_NEXT(head, got)) {
		number = head->nlmsg_seq - first;
		if (number >= BATCH || sent[number].silent)
			fail("an answer to nothing");
		if (head->nlmsg_type != NLMSG_ERROR &&
		    head->nlmsg_type != NLMSG_DONE)
			continue;
		memcpy(&error, NLMSG_DATA(head), sizeof(error));
		answered(&sent[number], error);
		if (sent[number].answers > 1)
			fail("a message is answered twice");
		ends++;
	}
	return ends;
}

/* Receives until all messages of the batch are answered. */
static void take_answers(int fd, unsigned int first, struct sent *sent,
			 unsigned int open)
{
	static unsigned char buffers[BATCH][ANSWER_MAX];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec pieces[BATCH];
	int i, nr;

	for (i = 0; i < BATCH; i++) {
		pieces[i].iov_base = buffers[i];
		pieces[i].iov_len = ANSWER_MAX;
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (open) {
		nr = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (nr <= 0)
			fail("a message is not answered");
		for (i = 0; i < nr; i++)
			open -= take_answer((void *)buffers[i],
					    messages[i].msg_len, first, sent);
	}
	if (recv(fd, buffers[0], ANSWER_MAX, MSG_DONTWAIT) >= 0)
		fail("there is more than an answer to each");
}

static unsigned int send_batch(int fd, unsigned int first, unsigned int nr)
{
	static unsigned char buffer[BATCH * MESSAGE_MAX];
	struct sent sent[BATCH] = { 0 };
	unsigned int i, open = 0;
	size_t size = 0;

	for (i = 0; i < nr; i++) {
		size += put_message(buffer + size, first + i, i + 1 == nr,
				    &sent[i]);
		tried[sent[i].command]++;
		open += !sent[i].silent;
	}
	if (send(fd, buffer, size, 0) != (ssize_t)size)
		fail("send");
	take_answers(fd, first, sent, open);
	return nr;
}

/* The number that genetlink has given to the family. */
static unsigned int find_family(int fd)
{
	struct {
		struct nlmsghdr head;
		struct genlmsghdr genl;
		unsigned char attributes[32];
	} ask = {
		.head = { .nlmsg_type = GENL_ID_CTRL,
			  .nlmsg_flags = NLM_F_REQUEST },
		.genl = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
	};
	unsigned char answer[ANSWER_MAX];
	const struct nlattr *attribute;
	size_t at = NLMSG_HDRLEN + GENL_HDRLEN;
	const struct nlmsghdr *head = (void *)answer;
	uint16_t id;

	put_attribute(ask.attributes, CTRL_ATTR_FAMILY_NAME,
		      XBZRLE_FAMILY_NAME, sizeof(XBZRLE_FAMILY_NAME),
		      sizeof(XBZRLE_FAMILY_NAME));
	ask.head.nlmsg_len = at + NLA_HDRLEN + NLA_ALIGN(sizeof(XBZRLE_FAMILY_NAME));
	if (send(fd, &ask, ask.head.nlmsg_len, 0) < 0 ||
	    recv(fd, answer, sizeof(answer), 0) < 0)
		fail("the family is not there");
	while (at < head->nlmsg_len) {
		attribute = (void *)(answer + at);
		if (attribute->nla_type == CTRL_ATTR_FAMILY_ID) {
			memcpy(&id, answer + at + NLA_HDRLEN, sizeof(id));
			return id;
		}
		at += NLA_ALIGN(attribute->nla_len);
	}
	fail("the family has no number");
	return 0;
}

int main(int argc, char **argv)
{
	const struct timeval patience = { .tv_sec = 60 };
	unsigned long long count, at;
	const int yes = 1;
	unsigned int i;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: fuzz COUNT SEED SESSION\n");
		return 2;
	}
	count = strtoull(argv[1], NULL, 0);
	xbzt_rng_seed(&rng, strtoull(argv[2], NULL, 0));
	session = strtoul(argv[3], NULL, 0);

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes)))
		fail("socket");
	family = find_family(fd);
	for (at = 0; at < count; at += BATCH)
		send_batch(fd, at + 1, count - at < BATCH ? count - at : BATCH);
	for (i = 0; i < COMMANDS; i++)
		printf("%u %llu %llu %llu\n", i, tried[i], done[i], denied[i]);
	return 0;
}
