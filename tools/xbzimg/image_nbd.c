// SPDX-License-Identifier: GPL-2.0-only
/*
 * Images of NBD servers, by libnbd: one that a URI names, or a qemu-nbd that is started
 * for a qcow2 file and ends with the connection.
 */
#include <libnbd.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_ops.h"
#include "page.h"

#define BITMAP_PREFIX "qemu:dirty-bitmap:"
/* A server is asked for the state of so many bytes at a time. */
#define ASK_BYTES (64U << 20)

/**
 * struct span - a part of the image, from the end of the one before it
 * @end: where it ends
 * @flags: of the NBD protocol
 */
struct span {
	uint64_t end;
	uint64_t flags;
};

/**
 * struct spans - what a server has said of a part of the image
 * @begin: of the first span
 * @span: in order
 * @count: of spans
 * @room: so many are allocated
 */
struct spans {
	uint64_t begin;
	struct span *span;
	size_t count;
	size_t room;
};

enum { ALLOCATION, BITMAP, CONTEXTS };

/**
 * struct nbd_worker - what one thread uses
 * @nbd: its connection, or that of all
 * @own: it is its own
 * @spans: last answer for each metadata context
 */
struct nbd_worker {
	struct nbd_handle *nbd;
	bool own;
	struct spans spans[CONTEXTS];
};

struct image_nbd {
	char *contexts[CONTEXTS];
	bool can[CONTEXTS];
	unsigned int count;
	struct nbd_worker *workers;
};

static const char *nbd_reason(void)
{
	const char *text = nbd_get_error();

	return text ? text : "NBD";
}

#define nbd_error(err, name) error_set(err, "%s: %s", name, nbd_reason())

static bool remote_read(struct image *image, unsigned int worker, void *to, size_t bytes,
			uint64_t offset, struct error *err)
{
	return !nbd_pread(image->nbd->workers[worker].nbd, to, bytes, offset, 0) ||
	       nbd_error(err, image->name);
}

struct answer {
	struct image_nbd *image;
	struct nbd_worker *worker;
};

static int add_spans(struct spans *spans, uint64_t offset, const uint32_t *entries, size_t count)
{
	size_t i;

	if (count / 2 > spans->room) {
		struct span *more = realloc(spans->span, count / 2 * sizeof(*more));

		if (!more)
			return -1;
		spans->span = more;
		spans->room = count / 2;
	}
	spans->begin = offset;
	spans->count = count / 2;
	for (i = 0; i < spans->count; i++) {
		offset += entries[2 * i];
		spans->span[i] = (struct span){ offset, entries[2 * i + 1] };
	}
	return 0;
}

static int answered(void *arg, const char *context, uint64_t offset, uint32_t *entries,
		    size_t count, int *error)
{
	struct answer *answer = arg;
	int i;

	(void)error;
	for (i = 0; i < CONTEXTS; i++)
		if (answer->image->contexts[i] && !strcmp(context, answer->image->contexts[i]))
			return add_spans(&answer->worker->spans[i], offset, entries, count);
	return 0;
}

/* The span that an offset is in, or NULL if the last answer does not have it. */
static const struct span *find_span(const struct spans *spans, uint64_t offset)
{
	size_t low = 0, high = spans->count;

	if (offset < spans->begin)
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (spans->span[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < spans->count ? &spans->span[low] : NULL;
}

static bool state(struct image *image, struct nbd_worker *worker, int context, uint64_t offset,
		  uint64_t *end, uint64_t *flags, struct error *err)
{
	struct answer answer = { image->nbd, worker };
	nbd_extent_callback callback = { .callback = answered, .user_data = &answer };
	const struct span *span = find_span(&worker->spans[context], offset);

	if (!span) {
		uint64_t bytes = min_u64(ASK_BYTES, image->size - offset);

		if (nbd_block_status(worker->nbd, bytes, offset, callback, 0))
			return nbd_error(err, image->name);
		span = find_span(&worker->spans[context], offset);
	}
	if (!span)
		return error_set(err, "%s: the server does not say what byte %llu is",
				 image->name, (unsigned long long)offset);
	*end = min_u64(*end, span->end);
	*flags = span->flags;
	return true;
}

static bool remote_extent(struct image *image, unsigned int number, uint64_t offset, uint64_t end,
			  uint64_t *bytes, enum extent *extent, struct error *err)
{
	struct image_nbd *nbd = image->nbd;
	struct nbd_worker *worker = &nbd->workers[number];
	uint64_t flags = 0;

	*extent = EXTENT_DATA;
	if (nbd->can[BITMAP]) {
		if (!state(image, worker, BITMAP, offset, &end, &flags, err))
			return false;
		if (!(flags & 1))
			*extent = EXTENT_SAME;
	}
	if (nbd->can[ALLOCATION] && *extent == EXTENT_DATA) {
		if (!state(image, worker, ALLOCATION, offset, &end, &flags, err))
			return false;
		if (flags & LIBNBD_STATE_ZERO)
			*extent = EXTENT_ZERO;
	}
	*bytes = end - offset;
	return true;
}

static void remote_close(struct image *image)
{
	struct image_nbd *nbd = image->nbd;
	unsigned int i;
	int context;

	for (i = 0; nbd->workers && i < nbd->count; i++) {
		struct nbd_worker *worker = &nbd->workers[i];

		if (worker->own) {
			nbd_shutdown(worker->nbd, 0);
			nbd_close(worker->nbd);
		}
		for (context = 0; context < CONTEXTS; context++)
			free(worker->spans[context].span);
	}
	for (context = 0; context < CONTEXTS; context++)
		free(nbd->contexts[context]);
	free(nbd->workers);
	free(nbd);
}

static const struct image_ops nbd_ops = {
	.read = remote_read,
	.extent = remote_extent,
	.close = remote_close,
};

/* What is connected to: a URI, or the command of a server. */
struct server {
	const char *uri;
	const char *const *command;
};

static struct nbd_handle *connect_to(const struct image_nbd *image, const struct server *server,
				     const char *name, struct error *err)
{
	struct nbd_handle *nbd = nbd_create();
	int i, status;

	if (!nbd) {
		nbd_error(err, name);
		return NULL;
	}
	for (i = 0; i < CONTEXTS; i++)
		if (image->contexts[i] && nbd_add_meta_context(nbd, image->contexts[i]))
			goto fail;
	status = server->uri ?
		nbd_connect_uri(nbd, server->uri) :
		nbd_connect_systemd_socket_activation(nbd, (char **)server->command);
	if (!status)
		return nbd;
fail:
	nbd_error(err, name);
	nbd_close(nbd);
	return NULL;
}

/* The first connection says what the server can. */
static bool first_connection(struct image *image, const struct server *server, struct error *err)
{
	struct image_nbd *own = image->nbd;
	struct nbd_handle *nbd = connect_to(own, server, image->name, err);
	int64_t size;
	int i;

	if (!nbd)
		return false;
	own->workers[0].nbd = nbd;
	own->workers[0].own = true;
	size = nbd_get_size(nbd);
	if (size < 0)
		return nbd_error(err, image->name);
	image->size = size;
	for (i = 0; i < CONTEXTS; i++)
		own->can[i] = own->contexts[i] && nbd_can_meta_context(nbd, own->contexts[i]) == 1;
	if (own->contexts[BITMAP] && !own->can[BITMAP])
		return error_set(err, "%s: the server has no dirty bitmap '%s'", image->name,
				 own->contexts[BITMAP] + strlen(BITMAP_PREFIX));
	return true;
}

static bool connect_all(struct image *image, const struct server *server, struct error *err)
{
	struct nbd_worker *workers = image->nbd->workers;
	/* Each qemu-nbd of ours serves one. */
	bool several;
	unsigned int i;

	if (!first_connection(image, server, err))
		return false;
	several = !server->uri || nbd_can_multi_conn(workers[0].nbd) == 1;
	for (i = 1; i < image->nbd->count; i++) {
		workers[i].nbd = several ? connect_to(image->nbd, server, image->name, err) :
					   workers[0].nbd;
		if (!workers[i].nbd)
			return false;
		workers[i].own = several;
	}
	return true;
}

static bool open_server(struct image *image, const struct server *server, const char *bitmap,
			unsigned int workers, struct error *err)
{
	image->nbd = calloc(1, sizeof(*image->nbd));
	if (!image->nbd)
		return error_errno(err, "%s", image->name);
	image->nbd->count = workers;
	image->nbd->workers = calloc(workers, sizeof(*image->nbd->workers));
	image->nbd->contexts[ALLOCATION] = strdup(LIBNBD_CONTEXT_BASE_ALLOCATION);
	if (bitmap && asprintf(&image->nbd->contexts[BITMAP], BITMAP_PREFIX "%s", bitmap) < 0)
		image->nbd->contexts[BITMAP] = NULL;
	if (!image->nbd->workers || !image->nbd->contexts[ALLOCATION] ||
	    (bitmap && !image->nbd->contexts[BITMAP])) {
		error_errno(err, "%s", image->name);
		goto fail;
	}
	if (connect_all(image, server, err)) {
		image->ops = &nbd_ops;
		return true;
	}
fail:
	remote_close(image);
	return false;
}

bool image_nbd_open(struct image *image, const char *uri, const char *bitmap,
		    unsigned int workers, struct error *err)
{
	struct server server = { .uri = uri };

	return open_server(image, &server, bitmap, workers, err);
}

bool image_qcow2_open(struct image *image, const char *path, unsigned int workers,
		      struct error *err)
{
	char file[PATH_MAX + 8];
	const char *const command[] = { "qemu-nbd", "--read-only", "--format=qcow2", file, NULL };
	struct server server = { .command = command };

	/* Without the protocol, a colon in the path would end one. */
	if (snprintf(file, sizeof(file), "file:%s", path) >= (int)sizeof(file))
		return error_set(err, "%s: too long", path);
	return open_server(image, &server, NULL, workers, err);
}
