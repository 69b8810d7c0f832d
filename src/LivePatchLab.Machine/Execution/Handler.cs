// What every handler is: the CPU, the operation, guest address 0 in host memory, and the instructions that may still be
// retired behind the current block. Four arguments, because four travel in registers on every x64 and Arm host.
global using unsafe Handler = delegate*<LivePatchLab.Machine.CpuState*, LivePatchLab.Machine.Op*, byte*, long, void>;
