/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts that xbzimg's subcommands share. Each subcommand is a file with one function,
 * and an entry in the table of xbzimg.c.
 */
#ifndef XBZIMG_H
#define XBZIMG_H

#include "common/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "delta.h"

/* Exit statuses. */
#define XBZIMG_OK 0
#define XBZIMG_FAILED 1
#define XBZIMG_USAGE 2

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Images are worked on in parts of so many pages, and read in blocks of so many. */
#define CHUNK_PAGES 4096U
#define BLOCK_PAGES 64U

/**
 * struct xbzimg - options
 * @json: print JSON
 * @quiet: print errors alone
 * @threads: that work
 * @level: of zstd, 0 for none
 * @in_place: do not look for what was moved
 * @bitmap: name of a dirty bitmap, or NULL
 * @base: the base, for verify, or NULL
 * @socket: path of a socket, for serve, or NULL
 * @port: number of a port, for serve, or NULL
 */
struct xbzimg {
	bool json;
	bool quiet;
	unsigned int threads;
	int level;
	bool in_place;
	const char *bitmap;
	const char *base;
	const char *socket;
	const char *port;
};

int xbzimg_create(const struct xbzimg *ctl, int argc, char **argv);
int xbzimg_apply(const struct xbzimg *ctl, int argc, char **argv);
int xbzimg_info(const struct xbzimg *ctl, int argc, char **argv);
int xbzimg_verify(const struct xbzimg *ctl, int argc, char **argv);
int xbzimg_map(const struct xbzimg *ctl, int argc, char **argv);
int xbzimg_merge(const struct xbzimg *ctl, int argc, char **argv);
int xbzimg_serve(const struct xbzimg *ctl, int argc, char **argv);

/**
 * failed() - print an error
 * @err: what it is
 *
 * Return: the exit status.
 */
int failed(const struct error *err);

/**
 * json_number() - print a member of an object that is not the first
 * @key: its name
 * @value: a number
 */
void json_number(const char *key, uint64_t value);

/**
 * struct made - what a delta image has that was made
 * @kinds: pages of each kind of record
 * @base_sum: of the base
 * @image_sum: of the image
 */
struct made {
	uint64_t kinds[FORMAT_KINDS];
	uint64_t base_sum;
	uint64_t image_sum;
};

void made_add(struct made *sum, const struct made *part);

/**
 * made_print() - say what was made
 * @ctl: options
 * @path: of the delta image
 * @bytes: of the delta image
 * @image: bytes of the image
 * @made: what it has
 * @seconds: it took
 */
void made_print(const struct xbzimg *ctl, const char *path, uint64_t bytes, uint64_t image,
		const struct made *made, double seconds);

/**
 * check_output() - see to it that a file is not replaced that is read
 * @path: of the output
 * @inputs: names of images and paths of delta images
 * @count: of inputs
 * @err: says which
 *
 * Return: false if it would be.
 */
bool check_output(const char *path, char *const *inputs, int count, struct error *err);

#endif /* XBZIMG_H */
