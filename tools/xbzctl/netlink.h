/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests to the module's netlink family, and what it answers as plain structs.
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

struct xbzctl_nl;

/*
 * What is known of a session, named as in the family's spec; @named says whether
 * name, pid and uid are told to us; @dirty and @bytes are the estimate's; @queue
 * of an event is -1 without one.
 */
struct xbzctl_session {
	uint32_t id;
	bool named;
	char name[64];
	uint32_t pid, uid;
	uint64_t age;
	bool vm;
	uint32_t queues, regions, broken;
	uint64_t pages, ring_bytes;
	uint64_t cache_bytes, old_cache_bytes, cache_used, flushed;
	xbzctl_stats_t stats;
	xbzctl_pass_t pass, last;
	bool has_last, has_estimate;
	uint64_t dirty, bytes;
	uint32_t warning;
	int64_t queue;
};

/*
 * The host's settings, named the same; @old holds those of default-cache,
 * default-queues and memory-limit before a change.
 */
struct xbzctl_settings {
	uint64_t default_cache, default_queues, memory_limit;
	uint64_t old[3];
	uint64_t memory_max, memory_used, memory_host;
	uint32_t sessions, abi_version, page_size;
	char version[32];
	char codec[32];
};

/* The socket, or NULL; why has been said then. */
struct xbzctl_nl *xbzctl_nl_open(void);
void xbzctl_nl_close(struct xbzctl_nl *nl);

/* The family is there; nothing is said if it is not. */
bool xbzctl_nl_there(void);

/**
 * xbzctl_nl_request() - begin a request
 * @nl: the socket
 * @cmd: XBZRLE_CMD_*
 * @flags: 0, or NLM_F_DUMP
 *
 * Return: the message, to which attributes can be added.
 */
struct nlmsghdr *xbzctl_nl_request(struct xbzctl_nl *nl, uint8_t cmd,
				   uint16_t flags);

/**
 * xbzctl_nl_call() - send the request, and take what it is answered
 * @nl: the socket
 * @call: called for each message of the answer
 * @data: for it
 *
 * Return: 0, or -errno; why has been said then.
 */
int xbzctl_nl_call(struct xbzctl_nl *nl,
		   void (*call)(const struct nlmsghdr *msg, void *data),
		   void *data);

/* Listen to all groups: 0, or -errno. */
int xbzctl_nl_listen(struct xbzctl_nl *nl);
int xbzctl_nl_fd(const struct xbzctl_nl *nl);

/* Take the events that are there: 0, or -errno; -ENOBUFS if some are lost. */
int xbzctl_nl_events(struct xbzctl_nl *nl,
		     void (*call)(const struct nlmsghdr *msg, void *data),
		     void *data);

uint8_t xbzctl_nl_cmd(const struct nlmsghdr *msg);
void xbzctl_parse_session(const struct nlmsghdr *msg, struct xbzctl_session *s);
void xbzctl_parse_settings(const struct nlmsghdr *msg,
			   struct xbzctl_settings *s);

/* The settings, or one session: 0, or -errno; why has been said then. */
int xbzctl_get_settings(struct xbzctl_nl *nl, struct xbzctl_settings *s);
int xbzctl_get_session(struct xbzctl_nl *nl, uint32_t id, bool estimate,
		       struct xbzctl_session *s);

/* All sessions in an array to be freed: how many, or -errno. */
long xbzctl_get_sessions(struct xbzctl_nl *nl, bool estimate,
			 struct xbzctl_session **all);

#endif /* XBZCTL_NETLINK_H */
