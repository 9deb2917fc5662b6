/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The environment of the freestanding core, in the kernel and outside: types,
 * compiler hints, errno, unaligned and big-endian access. No logic of the
 * codec, and nothing that allocates, sleeps or prints.
 */
#ifndef XBZ_FREESTANDING_H
#define XBZ_FREESTANDING_H

#ifdef __KERNEL__

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#define xbz_le64_to_cpu(x) le64_to_cpu((__force __le64)(x))
#define xbz_cpu_to_le32(x) ((__force u32)cpu_to_le32(x))
#define xbz_cpu_to_le64(x) ((__force u64)cpu_to_le64(x))
#define xbz_noinline noinline
#define xbz_ctz64(x) __ffs64(x)
#define xbz_last64(x) (fls64(x) - 1)
#define xbz_weight64(x) hweight64(x)

#else

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define xbz_le64_to_cpu(x) le64toh(x)
#define xbz_cpu_to_le32(x) htole32(x)
#define xbz_cpu_to_le64(x) htole64(x)
#define xbz_ctz64(x) ((unsigned int)__builtin_ctzll(x))
#define xbz_last64(x) (63 - (unsigned int)__builtin_clzll(x))

/* Without the instruction, compilers call a slower function for the builtin. */
static inline unsigned int xbz_weight64(u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * 0x0101010101010101ULL >> 56;
}

#define xbz_noinline __attribute__((noinline))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#endif /* __KERNEL__ */

/*
 * For arrays on the stack that are written before they are read: kernels that
 * initialize all variables would clear them for each page.
 */
#ifdef __has_attribute
#if __has_attribute(uninitialized)
#define xbz_uninitialized __attribute__((uninitialized))
#endif
#endif
#ifndef xbz_uninitialized
#define xbz_uninitialized
#endif

/*
 * The size is constant, and there are three for each run. memcpy() would be a
 * call in kernels that are compiled with -fno-builtin, like User Mode Linux.
 */
static __always_inline u64 xbz_load64(const void *p)
{
	u64 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * For memory that other threads may be writing to. The compiler cannot see
 * through the asm, and so cannot load the value a second time.
 */
static __always_inline u64 xbz_load64_once(const void *p)
{
	u64 v = xbz_load64(p);

	__asm__ __volatile__("" : "+r"(v));
	return v;
}

static __always_inline unsigned int xbz_load8_once(const void *p)
{
	unsigned int v = *(const u8 *)p;

	__asm__ __volatile__("" : "+r"(v));
	return v;
}

static __always_inline void xbz_store64(void *p, u64 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static __always_inline u32 xbz_load32(const void *p)
{
	u32 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static __always_inline void xbz_store32(void *p, u32 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static __always_inline void xbz_store32_le(void *p, u32 v)
{
	v = xbz_cpu_to_le32(v);
	__builtin_memcpy(p, &v, sizeof(v));
}

static __always_inline void xbz_put_be16(void *p, u16 v)
{
	u8 *b = p;

	b[0] = v >> 8;
	b[1] = v & 0xff;
}

static __always_inline void xbz_put_be64(void *p, u64 v)
{
	u8 *b = p;
	int i;

	for (i = 0; i < 8; i++)
		b[i] = (v >> (56 - 8 * i)) & 0xff;
}

static __always_inline u16 xbz_get_be16(const void *p)
{
	const u8 *b = p;

	return b[0] << 8 | b[1];
}

static __always_inline u64 xbz_get_be64(const void *p)
{
	const u8 *b = p;
	u64 v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

#endif /* XBZ_FREESTANDING_H */
