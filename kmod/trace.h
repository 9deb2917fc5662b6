/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tracepoint, for perf and trace-cmd: one batch, which no counter shows.
 * Passes, and what happens to sessions, are events of the netlink family.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xbzrle

#if !defined(_XBZ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _XBZ_TRACE_H

#include <linux/tracepoint.h>
#include <linux/xbzrle.h>

TRACE_EVENT(xbz_batch,
	    TP_PROTO(u32 session, const struct xbzrle_encode *arg, u64 room),
	    TP_ARGS(session, arg, room),
	    TP_STRUCT__entry(__field(u64, pos)
			     __field(u64, bytes)
			     __field(u64, room)
			     __field(u64, same)
			     __field(u64, zero)
			     __field(u64, delta)
			     __field(u64, raw)
			     __field(u64, fault_page)
			     __field(u32, fault_region)
			     __field(u32, session)
			     __field(u32, queue)
			     __field(u32, status)),
	    TP_fast_assign(__entry->pos = arg->pos;
			   __entry->bytes = arg->bytes;
			   __entry->room = room;
			   __entry->same = arg->pages_same;
			   __entry->zero = arg->pages_zero;
			   __entry->delta = arg->pages_delta;
			   __entry->raw = arg->pages_raw;
			   __entry->fault_page = arg->fault_page;
			   __entry->fault_region = arg->fault_region;
			   __entry->session = session;
			   __entry->queue = arg->queue;
			   __entry->status = arg->status;),
	    TP_printk("session=%u queue=%u pos=%llu bytes=%llu room=%llu same=%llu zero=%llu delta=%llu raw=%llu status=%s fault_region=%u fault_page=%llu",
		      __entry->session, __entry->queue, __entry->pos,
		      __entry->bytes, __entry->room, __entry->same,
		      __entry->zero, __entry->delta, __entry->raw,
		      __print_flags(__entry->status, "|",
				    { XBZRLE_STATUS_IDLE, "idle" },
				    { XBZRLE_STATUS_BUDGET, "budget" },
				    { XBZRLE_STATUS_FULL, "full" },
				    { XBZRLE_STATUS_SIGNAL, "signal" },
				    { XBZRLE_STATUS_FAULT, "fault" },
				    { XBZRLE_STATUS_LOG, "log" }),
		      __entry->fault_region, __entry->fault_page));

#endif /* _XBZ_TRACE_H */

/* Found by the module's own -I. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
