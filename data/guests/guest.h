/*
 * What a freestanding guest stands on: the entry point and three system calls. Every CPU starts at _start with its own stack,
 * RDI = its number and RSI = how many there are. Linux starts a process with both zero: then there is one CPU.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int s32;
typedef short s16;
typedef long s64;

#define CPUS_MAX 1024
#define UNTRACED __attribute__((no_instrument_function))
#define NOINLINE __attribute__((noinline, noclone))

int guest_main(u64 cpu, u64 cpus, char **argv);

UNTRACED static inline long guest_syscall(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

/* exit parks this CPU; exit_group ends the machine. */
__attribute__((noreturn)) UNTRACED static inline void guest_exit(int status) { guest_syscall(60, status, 0, 0); __builtin_unreachable(); }
__attribute__((noreturn)) UNTRACED static inline void guest_exit_group(int status) { guest_syscall(231, status, 0, 0); __builtin_unreachable(); }

UNTRACED static inline void guest_write(const char *text)
{
	long length = 0;
	while (text[length])
		length++;
	guest_syscall(1, 1, (long)text, length);
}

UNTRACED static inline char *guest_format(char *end, u64 value, u64 base)
{
	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return end;
}

UNTRACED static inline void guest_write_number(u64 value)
{
	char text[24];
	text[23] = 0;
	guest_write(guest_format(text + 23, value, 10));
}

UNTRACED static inline void guest_write_hex(u64 value)
{
	char text[17];
	for (int i = 0; i < 16; i++)
		text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
	text[16] = 0;
	guest_write(text);
}

UNTRACED static inline u64 guest_number(const char *text)
{
	u64 value = 0;
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (u64)(*text++ - '0');
	return value;
}

__attribute__((used)) UNTRACED static void guest_start(u64 cpu, u64 cpus, u64 *stack)
{
	guest_exit(guest_main(cpu, cpus ? cpus : 1, (char **)(stack + 1)));
}

__asm__(".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	mov %rsp, %rdx\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call guest_start\n"
	".size _start, . - _start\n");
