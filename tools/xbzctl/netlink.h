/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests to the module's netlink family, and its answers as plain structs.
 */
#ifndef XBZCTL_NETLINK_H
#define XBZCTL_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>
#include <linux/xbzrle_netlink.h>

/* Counters by attribute: stats[XBZRLE_A_STATS_BYTES]. */
typedef uint64_t xbzctl_stats_t[XBZRLE_A_STATS_MAX + 1];
typedef uint64_t xbzctl_pass_t[XBZRLE_A_PASS_MAX + 1];

/* A page that is sent whole: its header and its content. */
#define XBZCTL_RAW_BYTES (8 + 4096)

struct xbzctl_nl;

/*
 * A session, with the names of the family's spec. @named: name, pid and uid are
 * visible to this user, and so are user_used and user_max. @dirty and @bytes
 * are estimates: pages that are dirty now, and their bytes in the stream.
 * @queue of an event is -1 if it has none.
 */
struct xbzctl_session {
	uint32_t id;
	bool named;
	char name[64];
	uint32_t pid, uid;
	uint64_t age;
	bool vm;
	uint32_t queues, regions, broken, max_delta;
	uint64_t pages, ring_bytes;
	uint64_t cache_bytes, cache_used, flushed;
	uint64_t memory_used, memory_max, user_used, user_max;
	xbzctl_stats_t stats;
	xbzctl_pass_t pass, last;
	bool has_last;
	uint64_t dirty, bytes;
	uint32_t warning;
	int64_t queue;
};

struct xbzctl_queue {
	uint32_t id;
	bool broken;
	xbzctl_stats_t stats;
};

struct xbzctl_totals {
	uint64_t started, ended, refused;
	uint64_t memory_used, memory_max;
	xbzctl_stats_t stats;
};

/* The socket, or NULL; an error has been printed. */
struct xbzctl_nl *xbzctl_nl_open(void);
void xbzctl_nl_close(struct xbzctl_nl *nl);

/* Whether the family exists; nothing is printed. */
bool xbzctl_nl_there(void);

/**
 * xbzctl_nl_request() - begin a request
 * @nl: the socket
 * @cmd: XBZRLE_CMD_*
 * @flags: 0, or NLM_F_DUMP
 *
 * Return: the message, for attributes to be added.
 */
struct nlmsghdr *xbzctl_nl_request(struct xbzctl_nl *nl, uint8_t cmd,
				   uint16_t flags);

/**
 * xbzctl_nl_call() - send the request and receive the answer
 * @nl: the socket
 * @call: called for each message of the answer; NULL for a plain ack
 * @data: its argument
 *
 * Return: 0, or -errno; an error has been printed.
 */
int xbzctl_nl_call(struct xbzctl_nl *nl,
		   void (*call)(const struct nlmsghdr *msg, void *data),
		   void *data);

/* Listen to all groups: 0, or -errno. */
int xbzctl_nl_listen(struct xbzctl_nl *nl);
int xbzctl_nl_fd(const struct xbzctl_nl *nl);

/* Receive pending events: 0, or -errno; -ENOBUFS if events were lost. */
int xbzctl_nl_events(struct xbzctl_nl *nl,
		     void (*call)(const struct nlmsghdr *msg, void *data),
		     void *data);

uint8_t xbzctl_nl_cmd(const struct nlmsghdr *msg);

/* For @call above: parse a message into the struct that @data points to. */
void xbzctl_take_session(const struct nlmsghdr *msg, void *data);
void xbzctl_take_queue(const struct nlmsghdr *msg, void *data);

/* The totals, or one session: 0, or -errno; an error has been printed. */
int xbzctl_get_totals(struct xbzctl_nl *nl, struct xbzctl_totals *t);
int xbzctl_get_session(struct xbzctl_nl *nl, uint32_t id,
		       struct xbzctl_session *s);

/* All sessions in an array that the caller frees: their number, or -errno. */
long xbzctl_get_sessions(struct xbzctl_nl *nl, struct xbzctl_session **all);

#endif /* XBZCTL_NETLINK_H */
