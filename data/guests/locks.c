/*
 * Every CPU adds to three counters: under a spinlock, under a ticket lock, and by LOCK XADD. CPU 0 waits for all, prints the total
 * and ends the machine: status 0 when nothing was lost. ROUNDS on the command line, 1000 without.
 */
#include "guest.h"

static struct { u32 value; u32 pad[15]; } spinlock, next_ticket, now_serving;
static u64 under_spinlock, under_ticket, by_xadd, finished;

NOINLINE void spin_lock(void)
{
	while (__atomic_exchange_n(&spinlock.value, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&spinlock.value, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

NOINLINE void spin_unlock(void) { __atomic_store_n(&spinlock.value, 0, __ATOMIC_RELEASE); }

NOINLINE void ticket_lock(void)
{
	u32 mine = __atomic_fetch_add(&next_ticket.value, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&now_serving.value, __ATOMIC_ACQUIRE) != mine)
		__builtin_ia32_pause();
}

NOINLINE void ticket_unlock(void) { __atomic_store_n(&now_serving.value, now_serving.value + 1, __ATOMIC_RELEASE); }

int guest_main(u64 cpu, u64 cpus, char **argv)
{
	u64 rounds = argv[1] ? guest_number(argv[1]) : 1000;

	for (u64 round = 0; round < rounds; round++) {
		spin_lock();
		under_spinlock++;
		spin_unlock();
		ticket_lock();
		under_ticket++;
		ticket_unlock();
		__atomic_fetch_add(&by_xadd, 1, __ATOMIC_RELAXED);
	}

	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
	if (cpu != 0)
		return 0;
	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != cpus)
		__builtin_ia32_pause();

	guest_write("total ");
	guest_write_number(under_spinlock + under_ticket + by_xadd);
	guest_write("\n");
	u64 each = rounds * cpus;
	guest_exit_group(under_spinlock == each && under_ticket == each && by_xadd == each ? 0 : 1);
}
