/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: what sessions do, for perf and trace-cmd. Whoever looks reads
 * single numbers, taken where they are at hand. There is none on the path of a
 * page but where a copy is dropped for another one.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xbzrle

#if !defined(_XBZ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _XBZ_TRACE_H

#include "cache.h"

#include <linux/bits.h>
#include <linux/tracepoint.h>
#include <linux/xbzrle.h>

/* Of xbz_stall: beside the bits of a batch's status, a consumer that lied. */
#define XBZ_STALL_CONSUMER BIT(31)

TRACE_EVENT(xbz_sync,
	    TP_PROTO(u32 session, const struct xbzrle_sync *arg),
	    TP_ARGS(session, arg),
	    TP_STRUCT__entry(__field(u64, pass)
			     __field(u64, dirty)
			     __field(u32, session)
			     __field(u32, slots_failed)),
	    TP_fast_assign(__entry->pass = arg->pass;
			   __entry->dirty = arg->new_dirty;
			   __entry->session = session;
			   __entry->slots_failed = arg->slots_failed;),
	    TP_printk("session=%u pass=%llu dirty=%llu slots_failed=%u",
		      __entry->session, __entry->pass, __entry->dirty,
		      __entry->slots_failed));

TRACE_EVENT(xbz_batch,
	    TP_PROTO(u32 session, const struct xbzrle_encode *arg),
	    TP_ARGS(session, arg),
	    TP_STRUCT__entry(__field(u64, pos)
			     __field(u64, bytes)
			     __field(u64, same)
			     __field(u64, zero)
			     __field(u64, delta)
			     __field(u64, raw)
			     __field(u32, session)
			     __field(u32, queue)
			     __field(u32, status)),
	    TP_fast_assign(__entry->pos = arg->pos;
			   __entry->bytes = arg->bytes;
			   __entry->same = arg->pages_same;
			   __entry->zero = arg->pages_zero;
			   __entry->delta = arg->pages_delta;
			   __entry->raw = arg->pages_raw;
			   __entry->session = session;
			   __entry->queue = arg->queue;
			   __entry->status = arg->status;),
	    TP_printk("session=%u queue=%u pos=%llu bytes=%llu same=%llu zero=%llu delta=%llu raw=%llu status=%s",
		      __entry->session, __entry->queue, __entry->pos,
		      __entry->bytes, __entry->same, __entry->zero,
		      __entry->delta, __entry->raw,
		      __print_flags(__entry->status, "|",
				    { XBZRLE_STATUS_IDLE, "idle" },
				    { XBZRLE_STATUS_BUDGET, "budget" },
				    { XBZRLE_STATUS_FULL, "full" },
				    { XBZRLE_STATUS_SIGNAL, "signal" },
				    { XBZRLE_STATUS_FAULT, "fault" },
				    { XBZRLE_STATUS_LOG, "log" })));

/* A queue cannot go on, or not with the page that it came to. */
TRACE_EVENT(xbz_stall,
	    TP_PROTO(u32 session, const struct xbzrle_encode *arg, u32 why,
		     u64 room),
	    TP_ARGS(session, arg, why, room),
	    TP_STRUCT__entry(__field(u64, room)
			     __field(u64, page)
			     __field(u32, session)
			     __field(u32, queue)
			     __field(u32, why)
			     __field(u32, region)),
	    TP_fast_assign(__entry->room = room;
			   __entry->page = arg->fault_page;
			   __entry->session = session;
			   __entry->queue = arg->queue;
			   __entry->why = why;
			   __entry->region = arg->fault_region;),
	    TP_printk("session=%u queue=%u why=%s room=%llu region=%u page=%llu",
		      __entry->session, __entry->queue,
		      __print_symbolic(__entry->why,
				       { XBZRLE_STATUS_FULL, "full" },
				       { XBZRLE_STATUS_FAULT, "fault" },
				       { XBZRLE_STATUS_LOG, "log" },
				       { XBZ_STALL_CONSUMER, "consumer" }),
		      __entry->room, __entry->region, __entry->page));

/* A copy goes: for another one, or because fewer are allowed (trimmed). */
TRACE_EVENT(xbz_evict,
	    TP_PROTO(const struct xbz_cache *cache, bool trimmed),
	    TP_ARGS(cache, trimmed),
	    TP_STRUCT__entry(__field(u64, copies)
			     __field(u64, limit)
			     __field(u32, session)
			     __field(u32, queue)
			     __field(bool, trimmed)),
	    TP_fast_assign(__entry->copies = cache->nr;
			   __entry->limit = READ_ONCE(cache->limit);
			   __entry->session = cache->session;
			   __entry->queue = cache->queue;
			   __entry->trimmed = trimmed;),
	    TP_printk("session=%u queue=%u copies=%llu limit=%llu trimmed=%d",
		      __entry->session, __entry->queue, __entry->copies,
		      __entry->limit, __entry->trimmed));

TRACE_EVENT(xbz_resize,
	    TP_PROTO(u32 session, u64 old_bytes, u64 new_bytes, u64 dropped),
	    TP_ARGS(session, old_bytes, new_bytes, dropped),
	    TP_STRUCT__entry(__field(u64, old_bytes)
			     __field(u64, new_bytes)
			     __field(u64, dropped)
			     __field(u32, session)),
	    TP_fast_assign(__entry->old_bytes = old_bytes;
			   __entry->new_bytes = new_bytes;
			   __entry->dropped = dropped;
			   __entry->session = session;),
	    TP_printk("session=%u old_bytes=%llu new_bytes=%llu dropped=%llu",
		      __entry->session, __entry->old_bytes, __entry->new_bytes,
		      __entry->dropped));

#endif /* _XBZ_TRACE_H */

/* Found by the module's own -I. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
