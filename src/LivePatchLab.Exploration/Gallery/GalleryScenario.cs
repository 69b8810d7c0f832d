using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>What the scenarios of the gallery stand on: a page of kernel text, and a stack for each CPU. Guest code ends with SYSCALL, unless a scenario has a <see cref="GuestGate"/>.</summary>
internal abstract class GalleryScenario : Scenario
{
    /// <summary>A number for <see cref="GuestGate"/> by which guest code ends.</summary>
    protected const int GateDone = 0x1100;

    protected const byte Call = 0xe8, Jmp = 0xe9, Ret = 0xc3;

    protected static readonly GuestAddress Text = new(0xffffffff81000000);

    private const int StackBytes = 1024;
    private static readonly GuestAddress Stacks = new(0xffffffff82000000), CallReturn = Text + 0xff0;

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Text, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(Stacks, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(CallReturn, [0xf4]); // hlt
        machine.GuestCallReturn = CallReturn;
        machine.SystemCall = cpu => cpu.StopGuest();
        LayOutCode(machine.Memory);
    }

    protected abstract void LayOutCode(GuestMemory memory);

    /// <summary>The top of a CPU's stack, aligned as a function's entry wants it.</summary>
    protected static GuestAddress StackOf(Cpu cpu) => Stacks + (StackBytes * (cpu.Id.Index + 1L)) - 64;

    protected static void StartGuest(Cpu cpu, GuestAddress rip) => cpu.StartGuest(rip, StackOf(cpu));

    /// <summary>A call or jump with 32 bits of displacement.</summary>
    protected static byte[] Branch(byte opcode, GuestAddress from, GuestAddress to)
    {
        var code = new byte[5];
        code[0] = opcode;
        BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan(1), checked((int)(to - (from + code.Length))));
        return code;
    }

    /// <summary>A call of one of the kernel's functions by its number: mov eax, number; syscall.</summary>
    protected static byte[] Gate(int number) => [0xb8, .. BitConverter.GetBytes(number), 0x0f, 0x05];

    /// <summary>Has guest code end by <see cref="GateDone"/>.</summary>
    protected static void OfferDone(LinuxKernel kernel) => GuestGate.In(kernel).Offer(GateDone, "done", cpu =>
    {
        cpu.StopGuest();
        return [];
    });
}
