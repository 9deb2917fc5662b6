// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into the destination's libvirtd, which refuses a guest that comes from
 * its own host and goes by the name: User Mode Linux has one for all.
 */
#include <string.h>
#include <unistd.h>

int gethostname(char *name, size_t len)
{
	strncpy(name, "destination", len);
	return 0;
}
