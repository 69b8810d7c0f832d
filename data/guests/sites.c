/*
 * Traced functions of different shapes, called in a loop by every CPU: something to patch while it runs. Whatever is done to the
 * sites, the checksum must stay. ROUNDS on the command line, 1000 without.
 */
#include "guest.h"

static struct { u64 checksum; u64 pad[7]; } slots[CPUS_MAX];
static u64 finished;

/* nothing but a return */
NOINLINE void empty(void) { __asm__ volatile(""); }

/* a leaf */
NOINLINE u64 mix(u64 x) { x ^= x >> 33; x *= 0xff51afd7ed558ccdul; return x ^ x >> 29; }

/* a loop */
NOINLINE u64 sum_bits(u64 x) { u64 n = 0; while (x) { n += x & 1; x >>= 1; } return n; }

/* recursion: one site, many return addresses */
NOINLINE u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

/* a tail call: the site of mix is entered by a JMP */
NOINLINE u64 mix_twice(u64 x) { return mix(mix(x) + 1); }

/* a stack frame with an array */
NOINLINE u64 reverse_bytes(u64 x)
{
	volatile u8 bytes[8];
	u64 result = 0;
	for (int i = 0; i < 8; i++)
		bytes[i] = (u8)(x >> (8 * i));
	for (int i = 0; i < 8; i++)
		result = result << 8 | bytes[i];
	return result;
}

/* a switch */
NOINLINE u64 classify(u64 x)
{
	switch (x % 7) {
	case 0: return x + 11;
	case 1: return x * 3;
	case 2: return ~x;
	case 3: return x >> 3;
	case 4: return x << 5;
	case 5: return x ^ 0x5555;
	default: return x - 1;
	}
}

/* many arguments, two of them on the stack */
NOINLINE u64 combine(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, u64 h) { return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f + 13 * g + 17 * h; }

/* called through a pointer */
NOINLINE u64 add_one(u64 x) { return x + 1; }
NOINLINE u64 rotate(u64 x) { return x << 13 | x >> 51; }
static u64 (*const volatile steps[])(u64) = { mix, add_one, rotate, mix_twice, reverse_bytes };

/* in .text.unlikely, before all others: the linker leaves __mcount_loc unsorted */
NOINLINE __attribute__((cold)) u64 rare(u64 x) { return x * 31 + 7; }

/* its site starts three bytes before the end of a cache line: no single store can change it, and a CPU may fetch it torn */
__asm__(".pushsection .text.straddling, \"ax\", @progbits\n\t.balign 64, 0xcc\n\t.skip 61, 0xcc\n\t.popsection");
NOINLINE __attribute__((section(".text.straddling"), aligned(1))) u64 straddling(u64 x) { return x * 5 + 3; }

/* the one with everything below it */
NOINLINE u64 visit(u64 x, u64 round)
{
	empty();
	x = steps[round % (sizeof(steps) / sizeof(*steps))](x);
	x += sum_bits(x) + classify(x);
	x = straddling(x);
	x = combine(x, 1, 2, 3, 4, 5, 6, round);
	if (round % 64 == 0)
		x = rare(x) + fib(7);
	return x;
}

int guest_main(u64 cpu, u64 cpus, char **argv)
{
	u64 rounds = argv[1] ? guest_number(argv[1]) : 1000;
	u64 x = cpu + 1;
	if (cpu >= CPUS_MAX)
		return 2;

	for (u64 round = 0; round < rounds; round++)
		x = visit(x, round);
	slots[cpu].checksum = x;
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
	if (cpu != 0)
		return 0;

	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != cpus)
		__builtin_ia32_pause();
	u64 total = 0;
	for (u64 i = 0; i < cpus; i++)
		total = total * 31 + slots[i].checksum;
	guest_write_hex(total);
	guest_write("\n");
	guest_exit_group(0);
}
