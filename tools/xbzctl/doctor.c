// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl doctor: checks of what a migration with xbzrle needs on this host, each
 * with the command that mends it. It changes nothing.
 */
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum grade { GOOD, WARN, BAD };

/**
 * struct finding - the result of a check
 * @verdict: its severity
 * @text: the facts
 * @mend: the command that mends it, or ""
 */
struct finding {
	enum grade verdict;
	char text[256];
	const char *mend;
};

static void found(struct finding *f, enum grade verdict, const char *text,
		  const char *mend)
{
	f->verdict = verdict;
	snprintf(f->text, sizeof(f->text), "%s", text);
	f->mend = mend;
}

static void check_kernel(struct finding *f)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) != 2 ||
	    major < 6 || (major == 6 && minor < 1))
		found(f, BAD, name.release, "apt install linux-image-amd64");
	else
		found(f, GOOD, name.release, "");
}

static void check_module(struct finding *f)
{
	if (access(XBZCTL_MODULE, F_OK))
		found(f, BAD, "not loaded", "modprobe xbzrle");
	else if (!xbzctl_nl_there())
		found(f, BAD, "loaded, but its netlink family is not there",
		      "run it in the host's network namespace");
	else
		found(f, GOOD, "loaded, and its netlink family is there", "");
}

static void check_device(struct finding *f)
{
	struct stat st;

	if (stat(XBZCTL_DEVICE, &st)) {
		found(f, BAD, strerror(errno), "modprobe xbzrle");
		return;
	}
	f->verdict = access(XBZCTL_DEVICE, R_OK | W_OK) ? BAD : GOOD;
	f->mend = f->verdict == BAD ? "usermod -aG kvm USER" : "";
	snprintf(f->text, sizeof(f->text), "mode %04o, group %u: %s",
		 (unsigned int)st.st_mode & 07777, (unsigned int)st.st_gid,
		 f->verdict == BAD ? "cannot be opened" : "can be opened");
	if (f->verdict == GOOD && !(st.st_mode & 060)) {
		f->verdict = WARN;
		f->mend = "chgrp kvm /dev/xbzrle; chmod 0660 /dev/xbzrle";
	}
}

static bool file_has(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool has = false;
	struct stat st;
	void *p;

	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && st.st_size > 0) {
		p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED) {
			has = memmem(p, st.st_size, text, strlen(text));
			munmap(p, st.st_size);
		}
	}
	close(fd);
	return has;
}

static void check_qemu(struct finding *f)
{
	static const char *const paths[] = {
		"/usr/bin/qemu-system-x86_64",
		"/usr/local/bin/qemu-system-x86_64",
		"/usr/bin/kvm",
		"/usr/libexec/qemu-kvm",
	};
	const char *there = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		if (access(paths[i], R_OK))
			continue;
		there = there ? there : paths[i];
		/* It opens a session, whichever way libxbzrle is linked. */
		if (file_has(paths[i], "xbzrle_session_open") ||
		    file_has(paths[i], XBZCTL_DEVICE)) {
			snprintf(f->text, sizeof(f->text), "%s uses xbzrle",
				 paths[i]);
			f->verdict = GOOD;
			f->mend = "";
			return;
		}
	}
	snprintf(f->text, sizeof(f->text), "%s%s",
		 there ? there : "no QEMU is installed",
		 there ? " lacks the patches and uses its own encoder" : "");
	f->verdict = WARN;
	f->mend = "see qemu/README.rst";
}

static void check_libvirt(struct finding *f)
{
	const char *conf = "/etc/libvirt/qemu.conf";

	if (access("/etc/libvirt", F_OK))
		found(f, GOOD, "not installed", "");
	else if (access(conf, R_OK))
		found(f, WARN, "qemu.conf cannot be read", "run as root");
	else if (file_has(conf, "\"" XBZCTL_DEVICE "\""))
		found(f, GOOD, "the device is in cgroup_device_acl", "");
	else
		found(f, WARN, "the device is not in cgroup_device_acl",
		      "add \"/dev/xbzrle\" to cgroup_device_acl in /etc/libvirt/qemu.conf");
}

static void check_memlock(struct finding *f)
{
	struct rlimit limit;
	char size[16];

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY) {
		found(f, GOOD, "unlimited", "");
		return;
	}
	snprintf(f->text, sizeof(f->text), "%s; zero-copy sends pin the rings",
		 size_text(size, limit.rlim_cur));
	f->verdict = limit.rlim_cur < 8 << 20 ? WARN : GOOD;
	f->mend = f->verdict == WARN ? "ulimit -l 65536" : "";
}

/* The next migration of whoever is this near to a limit may not get a session. */
static bool is_nearly(uint64_t used, uint64_t max)
{
	return used >= max / 8 * 7;
}

static void check_memory(struct finding *f)
{
	struct xbzctl_totals totals = { 0 };
	struct xbzctl_session *all = NULL;
	struct xbzctl_nl *nl = NULL;
	char a[16], b[16];
	long n = -1, i;

	if (xbzctl_nl_there())
		nl = xbzctl_nl_open();
	if (nl && !xbzctl_get_totals(nl, &totals))
		n = xbzctl_get_sessions(nl, &all);
	xbzctl_nl_close(nl);
	if (n < 0) {
		found(f, WARN, "not known without the module", "");
		return;
	}
	snprintf(f->text, sizeof(f->text), "%s used of %s allowed",
		 size_text(a, totals.memory_used), size_text(b, totals.memory_max));
	if (is_nearly(totals.memory_used, totals.memory_max)) {
		f->verdict = WARN;
		f->mend = "xbzctl cache limit SIZE, or xbzctl cache size SIZE SESSION";
	}
	for (i = 0; i < n; i++) {
		/* A module that knows no shares tells 0. */
		if (!all[i].named || !all[i].user_max ||
		    !is_nearly(all[i].user_used, all[i].user_max) ||
		    all[i].user_max == totals.memory_max)
			continue;
		snprintf(f->text, sizeof(f->text), "user %u has %s of a share of %s",
			 all[i].uid, size_text(a, all[i].user_used),
			 size_text(b, all[i].user_max));
		f->verdict = WARN;
		f->mend = "xbzctl cache share PERCENT, or xbzctl cache size SIZE SESSION";
	}
	free(all);
}

static const struct {
	const char *name;
	void (*check)(struct finding *f);
} checks[] = {
	{ "kernel", check_kernel },   { "module", check_module },
	{ "device", check_device },   { "memory", check_memory },
	{ "qemu", check_qemu },	      { "libvirt", check_libvirt },
	{ "memlock", check_memlock },
};

static const char *verdict_text(enum grade verdict)
{
	static const char *const texts[] = { "ok", "warning", "bad" };

	return texts[verdict];
}

static void print(const struct xbzctl *ctl, const char *name,
		  const struct finding *f)
{
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };
	bool color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	if (ctl->json) {
		json_open(NULL, '{');
		json_text("check", name);
		json_text("verdict", verdict_text(f->verdict));
		json_text("text", f->text);
		if (*f->mend)
			json_text("mend", f->mend);
		json_close('{');
		return;
	}
	printf("%s%-8s%s %-8s %s\n", color ? colors[f->verdict] : "",
	       verdict_text(f->verdict), color ? "\033[0m" : "", name,
	       f->text);
	if (*f->mend)
		printf("                  to mend it: %s\n", f->mend);
}

/**
 * xbzctl_doctor() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: takes no arguments
 *
 * Return: the exit status: failure if something is bad.
 */
int xbzctl_doctor(const struct xbzctl *ctl, int argc, char **argv)
{
	int ret = XBZCTL_OK;
	size_t i;

	if (argc > 1) {
		fprintf(stderr, "xbzctl: doctor takes no argument '%s'\n",
			argv[1]);
		return XBZCTL_USAGE;
	}
	if (ctl->json) {
		json_open(NULL, '{');
		json_open("checks", '[');
	}
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		struct finding f = { .mend = "" };

		checks[i].check(&f);
		print(ctl, checks[i].name, &f);
		if (f.verdict == BAD)
			ret = XBZCTL_FAILED;
	}
	if (ctl->json) {
		json_close('[');
		json_close('{');
		json_end();
	}
	return ret;
}
