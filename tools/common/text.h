/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text that all tools write the same way.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdint.h>

/**
 * put_json_string() - write a string of JSON, with its quotes
 * @text: any bytes: each that is not printable stands for itself as a character
 */
void put_json_string(const char *text);

/**
 * size_text() - a size for people
 * @buffer: for the text
 * @bytes: the size
 *
 * Return: @buffer: such as "512B" or "1.5G".
 */
const char *size_text(char buffer[16], uint64_t bytes);

#endif /* COMMON_TEXT_H */
