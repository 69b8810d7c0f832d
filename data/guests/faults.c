/* Does what a CPU answers with an exception: ud, de, pf, gp or bp on the command line. Ends with status 3 if the CPU did not mind. */
#include "guest.h"

NOINLINE static int is(const char *text, const char *name)
{
	while (*text && *text == *name)
		text++, name++;
	return *text == *name;
}

NOINLINE static void invalid_opcode(void) { __asm__ volatile("ud2"); }
NOINLINE static void divide_by_zero(void) { __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" : : : "eax", "ecx", "edx"); }
NOINLINE static void page_fault(void) { __asm__ volatile("movl $1, 0x10" : : : "memory"); }
NOINLINE static void privileged(void) { __asm__ volatile("hlt"); }
NOINLINE static void breakpoint(void) { __asm__ volatile("int3"); }

int guest_main(u64 cpu, u64 cpus, char **argv)
{
	(void)cpus;
	if (cpu != 0)
		return 0;
	if (!argv[1]) {
		guest_write("usage: faults ud|de|pf|gp|bp\n");
		return 2;
	}
	if (is(argv[1], "ud"))
		invalid_opcode();
	if (is(argv[1], "de"))
		divide_by_zero();
	if (is(argv[1], "pf"))
		page_fault();
	if (is(argv[1], "gp"))
		privileged();
	if (is(argv[1], "bp"))
		breakpoint();
	return 3;
}
