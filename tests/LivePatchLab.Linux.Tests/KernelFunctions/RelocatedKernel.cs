using System.Buffers.Binary;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>
/// A kernel moved to the low half of the window, where a process can have it too: the relocations that the build appends for KASLR are
/// applied as handle_relocations() of arch/x86/boot/compressed/misc.c applies them.
/// </summary>
internal static class RelocatedKernel
{
    private const ulong NewTextBase = 0x4100_0000;

    /// <summary>Lays the image into a machine and returns by how much it was moved.</summary>
    public static long LayOut(GuestMemory memory, KernelImage image)
    {
        var slide = (long)(NewTextBase - image.TextBase.Value);
        using (var linked = new GuestMemory())
        {
            image.LoadInto(linked);
            foreach (var (start, length) in linked.Regions)
            {
                memory.Map(start + slide, length, linked.PermissionsAt(start)!.Value);
                memory.Load(start + slide, linked.Read(start, (int)length));
            }
        }

        // Behind the last section header, read backwards by the boot code: 0, 64-bit, 0, inverse 32-bit, 0, 32-bit places (arch/x86/tools/relocs.c).
        var file = Vmlinux(image.Source);
        var at = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(40)) + (64 * BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(60)));
        Word(file, ref at).ShouldBe(0);
        foreach (var place in Places(file, ref at)) memory.LoadUInt64(place + slide, memory.ReadUInt64(place + slide) + (ulong)slide);
        foreach (var place in Places(file, ref at)) Add32(memory, place + slide, -(int)slide);
        foreach (var place in Places(file, ref at)) Add32(memory, place + slide, (int)slide);
        at.ShouldBe(file.Length);
        return slide;
    }

    private static byte[] Vmlinux(string path)
    {
        var file = ImageBytes.Of(path);
        return BzImage.IsOne(file) ? KernelPayload.Unpack(BzImage.Payload(file)).Vmlinux : file.Memory.ToArray();
    }

    /// <summary>Up to a zero or the end of the file.</summary>
    private static List<GuestAddress> Places(byte[] file, ref int at)
    {
        var places = new List<GuestAddress>();
        while (at < file.Length && Word(file, ref at) is not 0 and var place) places.Add(new((ulong)(long)place));
        places.ShouldNotBeEmpty();
        return places;
    }

    private static int Word(byte[] file, ref int at)
    {
        at += 4;
        return BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at - 4));
    }

    private static void Add32(GuestMemory memory, GuestAddress place, int addend)
        => memory.Load(place, BitConverter.GetBytes(BitConverter.ToInt32(memory.Read(place, 4)) + addend));
}
