#!/bin/sh
# Builds the guests: build.sh [FLAGS [FOLDER]], by default -O2 and here. The results are committed, so that nobody needs a compiler to
# run the lab; built by gcc 12.2.0 (Debian 12). The tests build them at other levels elsewhere.
set -eu
cd "$(dirname "$0")"
LEVEL=${1:--O2}
FOLDER=${2:-.}
FLAGS="$LEVEL -Wall -Wextra -std=gnu11 -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-pic -static -nostdlib -fno-stack-protector
	-fcf-protection=none -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noexecstack"
# A traced function begins with a NOP5, and __mcount_loc has its address: what CONFIG_DYNAMIC_FTRACE asks of gcc.
TRACED="-pg -mfentry -mrecord-mcount -mnop-mcount"
for guest in hello sites locks faults; do
	gcc $FLAGS $TRACED -o "$FOLDER/$guest" "$guest.c"
done
gcc $FLAGS $TRACED -Wno-misleading-indentation -o "$FOLDER/kernels" kernels.c start.c
