/*
 * Calls functions of a relocated kernel image on the processor of this computer, in a process of its own, which may crash.
 *
 *	kernel-caller FILE START RETURN GS REGION...	(addresses in hexadecimal)
 *
 * FILE is the memory from START on, shared with who made it; a region is START,LENGTH,PERMISSIONS (1 read, 2 write, 4 execute), and
 * nothing else of it may be touched. RETURN is where the functions return to; GS the base of the per-CPU
 * area. A call comes as eight words on standard input: entry, RSP, RDI, RSI, RDX, RCX, R8, R9; the return address stands at RSP.
 * The answer is three words: the signal that it died of or 0, RAX, RIP of the fault or 0.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_GS 0x1001
#define SECONDS_MAX 2

static struct { uint64_t entry, stack, registers[6]; } call __asm__("call") __attribute__((used));
static struct { uint64_t signal, rax, rip; } answer;
static uint64_t host_stack __asm__("host_stack") __attribute__((used));
static sigjmp_buf before_call;

uint64_t enter_kernel(void);
extern char returned[];

/* The function gets a stack, flags and registers that hold nothing of this process, so that it leaves nothing of it in memory. */
__asm__(".globl enter_kernel, returned\n"
	"enter_kernel:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, host_stack(%rip)\n"
	"	mov call+8(%rip), %rsp\n"
	"	mov call+16(%rip), %rdi\n"
	"	mov call+24(%rip), %rsi\n"
	"	mov call+32(%rip), %rdx\n"
	"	mov call+40(%rip), %rcx\n"
	"	mov call+48(%rip), %r8\n"
	"	mov call+56(%rip), %r9\n"
	"	xor %eax, %eax; xor %ebx, %ebx; xor %ebp, %ebp; xor %r10d, %r10d; xor %r11d, %r11d\n"
	"	xor %r12d, %r12d; xor %r13d, %r13d; xor %r14d, %r14d; xor %r15d, %r15d\n"
	"	test %rsp, %rsp\n"
	"	jmp *call(%rip)\n"
	"returned:\n"
	"	mov host_stack(%rip), %rsp\n"
	"	cld\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)info;
	answer.signal = signal;
	answer.rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	siglongjmp(before_call, 1);
}

static void catch_faults(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM };
	stack_t stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&stack, NULL);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
}

static int fail(const char *what)
{
	perror(what);
	return 3;
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	char *start = (char *)strtoull(argv[2], NULL, 16);
	uint8_t *back = (uint8_t *)strtoull(argv[3], NULL, 16);
	int file = open(argv[1], O_RDWR);
	struct stat about;
	if (file < 0 || fstat(file, &about))
		return fail(argv[1]);
	if (mmap(start, about.st_size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0) != start)
		return fail("mmap");

	/* movabs $returned, %r11; jmp *%r11 */
	uint64_t target = (uint64_t)returned;
	memcpy(back, "\x49\xbb", 2);
	memcpy(back + 2, &target, 8);
	memcpy(back + 10, "\x41\xff\xe3", 3);

	if (mprotect(start, about.st_size, PROT_NONE))
		return fail("mprotect");
	for (int i = 5; i < argc; i++) {
		unsigned long region, length;
		int permissions;
		if (sscanf(argv[i], "%lx,%lx,%d", &region, &length, &permissions) != 3)
			return 2;
		if (mprotect((void *)region, length, permissions))
			return fail(argv[i]);
	}

	catch_faults();
	while (fread(&call, sizeof(call), 1, stdin) == 1) {
		memset(&answer, 0, sizeof(answer));
		/* Each time anew: some sandboxes lose it when they deliver a signal. */
		if (syscall(SYS_arch_prctl, ARCH_SET_GS, strtoull(argv[4], NULL, 16)))
			return fail("arch_prctl");
		if (!sigsetjmp(before_call, 1))
			alarm(SECONDS_MAX), answer.rax = enter_kernel();
		alarm(0);
		if (fwrite(&answer, sizeof(answer), 1, stdout) != 1 || fflush(stdout))
			return fail("standard output");
	}
	return 0;
}
