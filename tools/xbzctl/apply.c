// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl apply: the host's settings from a file, when the module is loaded. All
 * lines are read, and all that is wrong in them is said, before one is followed.
 */
#include "netlink.h"
#include "print.h"
#include "settings.h"
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
 * @text: what each setting is to be, NULL where the file does not say
 * @line: and where it says so
 * @wrong: something is wrong with the file, and has been said
 */
struct config {
	const char *path;
	char *text[NR_SETTINGS];
	unsigned int line[NR_SETTINGS];
	bool wrong;
};

static int usage(void)
{
	fprintf(stderr,
		"Usage: xbzctl apply [FILE]\n\n"
		"FILE is %s if it is not given. A line of it is SETTING = VALUE, or\n"
		"empty; # begins a comment. Settings are default-cache, default-queues and\n"
		"memory-limit.\n", DEFAULT_FILE);
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

/* What is left of a text without the space around it. */
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
	uint64_t ignored;
	const char *right;
	int i;

	for (i = 0; i < NR_SETTINGS; i++)
		if (!strcmp(key, setting_names[i]))
			break;
	if (i == NR_SETTINGS) {
		complain(c, line, "there is no setting '%s', but %s, %s and %s",
			 key, setting_names[0], setting_names[1],
			 setting_names[2]);
		return;
	}
	if (c->text[i]) {
		complain(c, line, "%s was set in line %u already; remove one",
			 key, c->line[i]);
		return;
	}
	right = setting_read(i, value, 0, &ignored);
	if (right) {
		complain(c, line, "%s takes %s, not '%s'", key, right, value);
		return;
	}
	c->line[i] = line;
	c->text[i] = strdup(value);
	if (!c->text[i])
		complain(c, line, "%s", strerror(ENOMEM));
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
		complain(c, line, "'%s' is no SETTING = VALUE; # begins a comment",
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
			complain(c, line, "this is no text");
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

/* Whether there is anything to be set. */
static bool want(const struct config *c, uint64_t host, struct wanted *wanted)
{
	bool any = false;
	int i;

	for (i = 0; i < NR_SETTINGS; i++) {
		if (!c->text[i])
			continue;
		/* It has been read before, but for what 100% are. */
		setting_read(i, c->text[i], host, &wanted->value[i]);
		wanted->set[i] = true;
		any = true;
	}
	return any;
}

static int change(const struct config *c, struct wanted *wanted,
		  struct xbzctl_settings *s)
{
	struct xbzctl_nl *nl = xbzctl_nl_open();
	int ret;

	if (!nl)
		return -ENOENT;
	ret = xbzctl_get_settings(nl, s);
	if (!ret && want(c, s->memory_host, wanted))
		ret = settings_change(nl, wanted, s);
	xbzctl_nl_close(nl);
	return ret;
}

static void print(const struct xbzctl *ctl, const struct wanted *wanted,
		  const struct xbzctl_settings *s)
{
	if (!ctl->json) {
		settings_print(ctl, wanted, s);
		return;
	}
	json_open(NULL, '{');
	json_open("changes", '[');
	settings_print(ctl, wanted, s);
	json_close('[');
	json_close('{');
	json_end();
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
	struct wanted wanted = { 0 };
	struct xbzctl_settings s = { 0 };
	bool ok;
	int i;

	if (argc > 2)
		return usage();
	read_config(&c);
	ok = !c.wrong && !change(&c, &wanted, &s);
	for (i = 0; i < NR_SETTINGS; i++)
		free(c.text[i]);
	if (!ok)
		return XBZCTL_FAILED;
	print(ctl, &wanted, &s);
	return XBZCTL_OK;
}
