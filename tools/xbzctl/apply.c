// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl apply: the host's settings from a file. The whole file is checked, and
 * every error in it printed, before the first setting changes.
 */
#include "param.h"
#include "print.h"
#include "xbzctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FILE "/etc/xbzrle.conf"

/**
 * struct config - a file's settings
 * @path: the file
 * @line: each setting's line, 0 if the file does not have it
 * @value: its value
 * @old: the module's value before
 * @wrong: the file is invalid; an error has been printed
 */
struct config {
	const char *path;
	unsigned int line[NR_PARAMS];
	uint64_t value[NR_PARAMS];
	uint64_t old[NR_PARAMS];
	bool wrong;
};

static int usage(void)
{
	fprintf(stderr,
		"Usage: xbzctl apply [FILE]\n\n"
		"The default FILE is %s. A line is SETTING = VALUE, or empty;\n"
		"# begins a comment. Settings are default-cache, default-queues,\n"
		"memory-limit and share.\n", DEFAULT_FILE);
	return XBZCTL_USAGE;
}

static void __attribute__((format(printf, 3, 4)))
complain(struct config *c, unsigned int line, const char *format, ...)
{
	va_list args;

	c->wrong = true;
	fprintf(stderr, "xbzctl: %s:%u: ", c->path, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* The text without the space around it. */
static char *stripped(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	for (len = strlen(text); len; len--)
		if (!isspace((unsigned char)text[len - 1]))
			break;
	text[len] = '\0';
	return text;
}

static void take_setting(struct config *c, unsigned int line, const char *key,
			 const char *value)
{
	const char *valid;
	int i;

	for (i = 0; i < NR_PARAMS; i++)
		if (!strcmp(key, param_names[i]))
			break;
	if (i == NR_PARAMS) {
		complain(c, line, "there is no setting '%s', but %s, %s, %s and %s",
			 key, param_names[PARAM_CACHE], param_names[PARAM_QUEUES],
			 param_names[PARAM_LIMIT], param_names[PARAM_SHARE]);
		return;
	}
	if (c->line[i]) {
		complain(c, line, "%s was set in line %u already; remove one",
			 key, c->line[i]);
		return;
	}
	valid = param_parse(i, value, &c->value[i]);
	if (valid)
		complain(c, line, "%s takes %s, not '%s'", key, valid, value);
	else
		c->line[i] = line;
}

static void take_line(struct config *c, unsigned int line, char *text)
{
	char *equals;

	text[strcspn(text, "#")] = '\0';
	text = stripped(text);
	if (!*text)
		return;
	equals = strchr(text, '=');
	if (!equals) {
		complain(c, line, "'%s' is not SETTING = VALUE; # begins a comment",
			 text);
		return;
	}
	*equals = '\0';
	take_setting(c, line, stripped(text), stripped(equals + 1));
}

static void read_config(struct config *c)
{
	FILE *file = fopen(c->path, "re");
	unsigned int line = 0;
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	if (!file) {
		fprintf(stderr, "xbzctl: %s: %s\n", c->path, strerror(errno));
		c->wrong = true;
		return;
	}
	while ((len = getline(&text, &size, file)) >= 0) {
		line++;
		if (strlen(text) != (size_t)len) {
			complain(c, line, "this is not text");
			break;
		}
		take_line(c, line, text);
	}
	if (ferror(file)) {
		fprintf(stderr, "xbzctl: %s: %s\n", c->path, strerror(errno));
		c->wrong = true;
	}
	free(text);
	fclose(file);
}

static void print(const struct xbzctl *ctl, const struct config *c)
{
	int i;

	if (ctl->json) {
		json_open(NULL, '{');
		json_open("changes", '[');
	}
	for (i = 0; i < NR_PARAMS; i++)
		if (c->line[i])
			param_print(ctl, i, c->old[i], c->value[i]);
	if (ctl->json) {
		json_close('[');
		json_close('{');
		json_end();
	}
}

/**
 * xbzctl_apply() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: a file, or nothing
 *
 * Return: the exit status.
 */
int xbzctl_apply(const struct xbzctl *ctl, int argc, char **argv)
{
	struct config c = { .path = argc > 1 ? argv[1] : DEFAULT_FILE };
	int i;

	if (argc > 2)
		return usage();
	read_config(&c);
	if (c.wrong)
		return XBZCTL_FAILED;
	for (i = 0; i < NR_PARAMS; i++)
		if (c.line[i] && param_change(i, c.value[i], &c.old[i]))
			return XBZCTL_FAILED;
	print(ctl, &c);
	return XBZCTL_OK;
}
