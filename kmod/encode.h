/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_ENCODE_H
#define _XBZ_ENCODE_H

struct xbz_session;
struct xbzrle_encode;

int xbz_encode_batch(struct xbz_session *s, struct xbzrle_encode *arg);

#endif /* _XBZ_ENCODE_H */
