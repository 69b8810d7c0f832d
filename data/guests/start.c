/* The bench's entry: KERNEL ITERATIONS on the command line, the kernel's result on standard output as 16 hexadecimal digits. */
#include "guest.h"

u64 entry(u64 kernel, u64 iterations);

int guest_main(u64 cpu, u64 cpus, char **argv)
{
	(void)cpus;
	if (cpu != 0)
		return 0; /* the kernels' buffers are for one */
	if (!argv[1] || !argv[2]) {
		guest_write("usage: kernels KERNEL ITERATIONS  (0 crc 1 sieve 2 list 3 matrix 4 states 5 sha256 6 quicksort 7 kernel-like 8 fib)\n");
		return 2;
	}
	guest_write_hex(entry(guest_number(argv[1]), guest_number(argv[2])));
	guest_write("\n");
	return 0;
}
