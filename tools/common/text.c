// SPDX-License-Identifier: GPL-2.0-only
#include "common/text.h"

#include <stdio.h>

void put_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

const char *size_text(char buffer[16], uint64_t bytes)
{
	static const char units[] = "BkMGTPE";
	double value = bytes;
	unsigned int i = 0;

	for (; value >= 1024 && units[i + 1]; i++)
		value /= 1024;
	if (i == 0)
		snprintf(buffer, 16, "%lluB", (unsigned long long)bytes);
	else
		snprintf(buffer, 16, "%.1f%c", value, units[i]);
	return buffer;
}
