/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that is written atomically: it has its name when it is complete and on the
 * disk, and whatever had the name before is there until then. One at a time.
 */
#ifndef XBZIMG_OUTPUT_H
#define XBZIMG_OUTPUT_H

#include "error.h"

/**
 * struct output - a file without its name
 * @path: that it will have
 * @file: descriptor
 * @folder: descriptor of the folder
 * @name: last part of the path
 * @hidden: it has a temporary name in the folder
 */
struct output {
	const char *path;
	int file;
	int folder;
	char *name;
	bool hidden;
};

/**
 * output_open() - create the file
 * @output: receives it
 * @path: that it will have; there may be a file already, whose mode it gets, but nothing else
 * @err: says why it failed
 *
 * SIGINT, SIGTERM and SIGHUP end the program from here on and leave nothing behind.
 *
 * Return: false if it cannot be created.
 */
bool output_open(struct output *output, const char *path, struct error *err);

/**
 * output_commit() - write it to the disk and give it its name
 * @output: is closed, whatever happens
 * @err: says why it failed
 *
 * Return: false if it failed; then the old file is there, if there was one.
 */
bool output_commit(struct output *output, struct error *err);

/**
 * output_discard() - leave no trace of the file
 * @output: that is open
 */
void output_discard(struct output *output);

/**
 * output_is() - whether the output would replace a file
 * @path: of the output
 * @input: path of a file that is read
 *
 * Return: true if it is the same file.
 */
bool output_is(const char *path, const char *input);

#endif /* XBZIMG_OUTPUT_H */
