/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The load generator as a bare boot sector: dirties a footprint of guest
 * memory for ever and counts its passes on the first serial port.
 *
 * What lives here: 512 bytes that run on a PC without an operating system.
 * What does not: the choice of the parameters, see build.
 *
 * Mode 0 is the generator of the 2011 XBZRLE patch: one byte in every `stride`
 * bytes is incremented. Mode 1 writes `words` pseudo-random 8-byte words at
 * pseudo-random places of each page, which gives deltas of many short runs
 * and, with many words, pages that do not compress at all.
 *
 * The rate is held with the TSC, measured once against the PIT: under nested
 * KVM a device access costs a world switch, so no device is touched per page.
 */

	.set	COM1,		0x3f8
	.set	PIT_CH2,	0x42
	.set	PIT_CMD,	0x43
	.set	PORT_B,		0x61
	.set	PIT_TICKS,	59659		/* 1/20 s at 1193182 Hz */

	/*
	 * Memory is addressed relative to the sector (ebp): the parameters
	 * inside it, the variables below it, where a byte of displacement
	 * reaches and where no byte of the sector is spent on them.
	 */
	.set	SECTOR,		0x7c00
	.set	FOOTPRINT,	8
	.set	BASE,		12
	.set	STRIDE,		16
	.set	RATE,		20
	.set	REPORT,		24
	.set	MODE,		28
	.set	WORDS,		32
	.set	FILL,		36

	.set	VARIABLES,	-36
	.set	due,		-36		/* TSC at which the next page is due */
	.set	printed,	-28		/* TSC of the last line */
	.set	report_ticks,	-20
	.set	page_ticks,	-12
	.set	unit_ticks,	-8		/* TSC ticks in 1/20 s */
	.set	seed,		-4

	.code16
	.globl	_start
_start:
	jmp	start

	/*
	 * The parameter block: symbols that "build" defines. Offsets of the first
	 * three are an interface, for params.py.
	 */
	.org	4
	.ascii	"XBZD"			/*  4: magic */
	.long	footprint		/*  8: in bytes, whole pages */
	.long	base			/* 12: its first address */
	.long	stride			/* 16: divides 4096 or is n * 4096 */
	.long	rate			/* 20: pages a second, 0 = no limit */
	.long	report			/* 24: 1/20 s from line to line, 0 = each pass */
	.long	mode			/* 28: 0 increment, 1 random words */
	.long	words			/* 32: a page, in mode 1 */
	.long	fill			/* 36: 1 = with random bytes first */

start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	inb	$0x92, %al			/* A20, unless the BIOS did it */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmp	$8, $flat

	.code32
flat:
	pushl	$16
	popl	%eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$SECTOR, %ebp
	leal	VARIABLES(%ebp), %edi
	movl	%edi, %esp
	xorl	%eax, %eax
	leal	-VARIABLES / 4(%eax), %ecx
	rep stosl

	/*
	 * TSC ticks in 1/20 s: the shortest of four tries, because losing the
	 * processor while waiting can only make a try longer.
	 */
	orl	$-1, %edi
	movb	$4, %cl
calibrate:
	inb	$PORT_B, %al
	andb	$0xfc, %al
	orb	$1, %al				/* gate on, speaker off */
	outb	%al, $PORT_B
	movb	$0xb0, %al			/* channel 2, mode 0 */
	outb	%al, $PIT_CMD
	movb	$PIT_TICKS & 0xff, %al
	outb	%al, $PIT_CH2
	movb	$PIT_TICKS >> 8, %al
	outb	%al, $PIT_CH2
	rdtsc
	movl	%eax, %ebx
1:	inb	$PORT_B, %al
	testb	$0x20, %al
	jz	1b
	rdtsc
	subl	%ebx, %eax
	cmpl	%edi, %eax
	jae	2f
	movl	%eax, %edi
2:	loop	calibrate
	movl	%edi, unit_ticks(%ebp)

	/* Ticks between lines (64 bits) and ticks per page (32). */
	movl	%edi, %eax
	mull	REPORT(%ebp)
	movl	%eax, report_ticks(%ebp)
	movl	%edx, report_ticks + 4(%ebp)
	movl	RATE(%ebp), %ecx
	jecxz	1f
	movl	$20, %eax
	mull	%edi
	divl	%ecx
	movl	%eax, page_ticks(%ebp)
1:
	cmpl	$0, FILL(%ebp)
	je	2f
	movl	BASE(%ebp), %edi
	movl	FOOTPRINT(%ebp), %ecx
	shrl	$2, %ecx
1:	call	random
	stosl
	loop	1b
2:
	call	print				/* "pass 00000000": ready */

pass:
	movl	BASE(%ebp), %edi
	movl	%edi, %esi
	addl	FOOTPRINT(%ebp), %esi
page:
	cmpl	$0, RATE(%ebp)
	je	2f
	/*
	 * Wait until this page is due. Up to 1/10 s of delay is caught up
	 * with; more, say while migration had stopped the guest, is forgotten
	 * rather than made up for by a burst.
	 */
1:	rdtsc
	subl	due(%ebp), %eax
	sbbl	due + 4(%ebp), %edx
	js	1b
	jnz	late
	shrl	$1, %eax
	cmpl	unit_ticks(%ebp), %eax
	jbe	on_time
late:
	rdtsc
	movl	%eax, due(%ebp)
	movl	%edx, due + 4(%ebp)
on_time:
	movl	page_ticks(%ebp), %eax
	addl	%eax, due(%ebp)
	adcl	$0, due + 4(%ebp)
2:
	xorl	%ebx, %ebx
	cmpl	%ebx, MODE(%ebp)
	jne	words_mode
1:	incb	(%edi, %ebx)
	addl	STRIDE(%ebp), %ebx
	cmpl	$4096, %ebx
	jb	1b
	jmp	next
words_mode:
	movl	WORDS(%ebp), %ecx
1:	call	random
	movl	%eax, %ebx
	andl	$0xff8, %ebx
	movl	%eax, (%edi, %ebx)
	call	random
	movl	%eax, 4(%edi, %ebx)
	loop	1b
	movl	$4096, %ebx
next:
	/* ebx is a page here, or a larger stride, which skips pages */
	addl	%ebx, %edi
	cmpl	%esi, %edi
	jb	page

	/* The counter is kept as text: no division, and it fits the sector. */
	movl	$line_digits + 7, %edi
1:	incb	(%edi)
	cmpb	$'9', (%edi)
	jbe	2f
	movb	$'0', (%edi)
	decl	%edi
	jmp	1b
2:
	rdtsc
	movl	%eax, %ecx
	movl	%edx, %ebx
	subl	printed(%ebp), %eax
	sbbl	printed + 4(%ebp), %edx
	subl	report_ticks(%ebp), %eax
	sbbl	report_ticks + 4(%ebp), %edx
	js	pass
	movl	%ecx, printed(%ebp)
	movl	%ebx, printed + 4(%ebp)
	pushl	$pass

	/* Print the line; returns to the caller, or to "pass" from above. */
print:
	movl	$line, %edi
1:	movl	$COM1 + 5, %edx
	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	movb	(%edi), %al
	movb	$COM1 & 0xff, %dl
	outb	%al, %dx
	incl	%edi
	cmpb	$'\n', %al
	jne	1b
	ret

	/*
	 * Next 32 pseudo-random bits in eax: a congruential generator, rotated
	 * because the good bits are the upper ones of its state and the lower
	 * ones of its result are used most.
	 */
random:
	movl	seed(%ebp), %eax
	imull	$1664525, %eax
	addl	$1013904223, %eax
	movl	%eax, seed(%ebp)
	roll	$16, %eax
	ret

line:
	.ascii	"pass "
line_digits:
	.ascii	"00000000\n"

	/* The processor never reads the null descriptor, so its pointer fits. */
gdt:
gdtr:	.word	3 * 8 - 1
	.long	gdt
	.word	0
	.quad	0x00cf9a000000ffff		/* 8: code, flat */
	.quad	0x00cf92000000ffff		/* 16: data, flat */

	.org	510
	.word	0xaa55
