// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's save path of a page that is in its cache, made of calls of QEMU's own
 * functions, in the order of save_xbzrle_page() in its migration/ram.c: look
 * the page up, copy it, encode the copy, copy it into the cache, put a record
 * into the stream. That file itself would want most of QEMU. What is left out
 * here costs QEMU time as well: a mutex, counters, tracing, the search of the
 * bitmap, the test for a zero page.
 *
 * The stream is QEMU's QEMUFile on a channel that is only a sink.
 */
#include "qemu/osdep.h"

#include "page_cache.h"
#include "qemu-file.h"
#include "xbzrle.h"

#include "encoders.h"
#include "side.h"

/* Of migration/ram.c; the wire format's. */
#define FLAG_PAGE 0x08
#define FLAG_CONTINUE 0x20
#define FLAG_XBZRLE 0x40
#define ENCODING_XBZRLE 0x01

#define PAGE_BYTES 4096
#define BLOCK_NAME "pc.ram"
/* Of a record behind the first. */
#define HEADER_BYTES 8

struct qemu_save {
	encode_function *encode;
	PageCache *cache;
	QEMUFile *file;
	uint8_t *copy;
	uint8_t *encoded;
	bool named;
	size_t transferred;
};

/* The channel: all that QEMUFile needs of one for output. */

Object *object_ref(void *object)
{
	return object;
}

bool qio_channel_has_feature(QIOChannel *channel, QIOChannelFeature feature)
{
	(void)channel;
	(void)feature;
	return false;
}

int qio_channel_writev_all(QIOChannel *channel, const struct iovec *iov, size_t n,
			   Error **error)
{
	const struct sink *sink = (const struct sink *)channel;
	size_t i;

	(void)error;
	for (i = 0; sink->take && i < n; i++)
		sink->take(sink->opaque, iov[i].iov_base, iov[i].iov_len);
	return 0;
}

static struct qemu_save *open_save(size_t pages, unsigned int encoder, struct sink *sink)
{
	struct qemu_save *s = g_new0(struct qemu_save, 1);
	size_t size = 1;

	while (size < pages)
		size *= 2;
	s->encode = encoder ? encoders.avx512 : encoders.scalar;
	s->cache = cache_init(size * PAGE_BYTES, PAGE_BYTES, NULL);
	s->file = qemu_file_new_output((QIOChannel *)sink);
	s->copy = g_malloc(PAGE_BYTES);
	s->encoded = g_malloc0(PAGE_BYTES);
	return s;
}

static void load(struct qemu_save *s, size_t page, const void *content)
{
	cache_insert(s->cache, (uint64_t)page * PAGE_BYTES, content, 1);
}

static const void *cached(struct qemu_save *s, size_t page)
{
	return get_cached_data(s->cache, (uint64_t)page * PAGE_BYTES);
}

static void put_header(struct qemu_save *s, uint64_t word)
{
	size_t len = strlen(BLOCK_NAME);

	if (s->named)
		word |= FLAG_CONTINUE;
	qemu_put_be64(s->file, word);
	s->transferred += 8;
	if (s->named)
		return;
	qemu_put_byte(s->file, len);
	qemu_put_buffer(s->file, (const uint8_t *)BLOCK_NAME, len);
	s->transferred += 1 + len;
	s->named = true;
}

static void save(struct qemu_save *s, size_t page, const void *content)
{
	uint64_t address = (uint64_t)page * PAGE_BYTES;
	uint8_t *old;
	int len;

	if (!cache_is_cached(s->cache, address, 2))
		abort();
	old = get_cached_data(s->cache, address);

	memcpy(s->copy, content, PAGE_BYTES);
	len = s->encode(old, s->copy, PAGE_BYTES, s->encoded, PAGE_BYTES);
	if (len == 0)
		return;
	memcpy(old, s->copy, PAGE_BYTES);

	if (len == -1) {
		put_header(s, address | FLAG_PAGE);
		qemu_put_buffer(s->file, old, PAGE_BYTES);
		s->transferred += PAGE_BYTES;
		return;
	}
	put_header(s, address | FLAG_XBZRLE);
	qemu_put_byte(s->file, ENCODING_XBZRLE);
	qemu_put_be16(s->file, len);
	qemu_put_buffer(s->file, s->encoded, len);
	s->transferred += 1 + 2 + len;
}

static bool is_zero(const uint8_t *content)
{
	return !content[0] && !memcmp(content, content + 1, PAGE_BYTES - 1);
}

/* As ram_save_target_page() does once the first pass is over. */
static size_t save_any(struct qemu_save *s, size_t page, const void *content,
		       uint64_t generation)
{
	uint64_t address = (uint64_t)page * PAGE_BYTES;
	size_t before = s->transferred;

	s->named = true;
	if (is_zero(content)) {
		cache_insert(s->cache, address, content, generation);
		return HEADER_BYTES + 1;
	}
	if (!cache_is_cached(s->cache, address, generation)) {
		cache_insert(s->cache, address, content, generation);
		return HEADER_BYTES + PAGE_BYTES;
	}
	save(s, page, content);
	return s->transferred - before;
}

static void flush(struct qemu_save *s)
{
	qemu_fflush(s->file);
	s->named = false;
}

static void close_save(struct qemu_save *s)
{
	flush(s);
	cache_fini(s->cache);
	g_free(s->copy);
	g_free(s->encoded);
	g_free(s);
}

static int decode(const void *in, size_t len, void *page)
{
	return xbzrle_decode_buffer((uint8_t *)in, len, page, PAGE_BYTES);
}

__attribute__((visibility("default"))) struct qemu_side QEMU_SIDE_SYMBOL = {
	.version = QEMU_VERSION_NAME,
	.nr_encoders = 1,
	.encoders = { "scalar", "avx512" },
	.open = open_save,
	.load = load,
	.cached = cached,
	.save = save,
	.save_any = save_any,
	.flush = flush,
	.close = close_save,
	.decode = decode,
};

static void __attribute__((constructor)) find_encoders(void)
{
	__builtin_cpu_init();
	if (encoders.avx512 && __builtin_cpu_supports("avx512bw"))
		QEMU_SIDE_SYMBOL.nr_encoders = 2;
}
