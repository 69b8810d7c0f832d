using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>The 8-bit instructions with all operands and both carries: one loop that the host and the machine run, and two tables of results to compare.</summary>
public class HostExhaustiveTests
{
    private const int Entries = 0x2_0000, EntryBytes = 4;

    private static readonly Dictionary<string, (Action<Assembler> Write, uint Undefined)> Operations = new()
    {
        ["add"] = (a => a.add(al, dl), 0),
        ["adc"] = (a => a.adc(al, dl), 0),
        ["sub"] = (a => a.sub(al, dl), 0),
        ["sbb"] = (a => a.sbb(al, dl), 0),
        ["cmp"] = (a => a.cmp(al, dl), 0),
        ["and"] = (a => a.and(al, dl), LazyFlags.Adjust),
        ["or"] = (a => a.or(al, dl), LazyFlags.Adjust),
        ["xor"] = (a => a.xor(al, dl), LazyFlags.Adjust),
        ["test"] = (a => a.test(al, dl), LazyFlags.Adjust),
        ["xadd"] = (a => a.xadd(al, dl), 0),
        ["cmpxchg"] = (a => a.cmpxchg(dl, bl), 0),
        ["inc"] = (a => a.inc(al), 0),
        ["dec"] = (a => a.dec(al), 0),
        ["neg"] = (a => a.neg(al), 0),
        ["not"] = (a => a.not(al), 0),
        ["mul"] = (a => WithHighByte(a, () => a.mul(dl)), LazyFlags.All & ~(LazyFlags.Carry | LazyFlags.Overflow)),
        ["imul"] = (a => WithHighByte(a, () => a.imul(dl)), LazyFlags.All & ~(LazyFlags.Carry | LazyFlags.Overflow)),
        ["div"] = (a => Divide(a, 0, () => a.div(dl)), LazyFlags.All),
        ["idiv"] = (a => Divide(a, 0xff, () => a.idiv(dl)), LazyFlags.All),
        ["shl"] = (a => a.shl(al, cl), LazyFlags.Adjust),
        ["shr"] = (a => a.shr(al, cl), LazyFlags.Adjust),
        ["sar"] = (a => a.sar(al, cl), LazyFlags.Adjust),
        ["rol"] = (a => a.rol(al, cl), 0),
        ["ror"] = (a => a.ror(al, cl), 0),
        ["rcl"] = (a => a.rcl(al, cl), 0),
        ["rcr"] = (a => a.rcr(al, cl), 0),
    };

    public static TheoryData<string> Names => [.. Operations.Keys];

    public static TheoryData<string> FusedNames => ["cmp", "sub", "test", "and", "or", "xor"];

    [HostTheory]
    [MemberData(nameof(Names))]
    public void All_operands_and_both_carries_give_what_the_host_gives(string name)
    {
        var (write, undefined) = Operations[name];
        using var oracle = new Oracle();
        var (machine, host) = oracle.RunProgram(a => Table(a, HostProcessor.DataStart.Value, () => write(a)), Entries * EntryBytes);
        var distinct = new HashSet<int>();
        for (var i = 0; i < Entries; i++)
        {
            int found = BitConverter.ToInt32(machine, i * EntryBytes), expected = BitConverter.ToInt32(host, i * EntryBytes);
            var compared = 0xffff | ((int)(LazyFlags.All & ~(undefined | UndefinedByCount(name, i >> 8 & 31))) << 16);
            (found & compared).ShouldBe(expected & compared, $"{name} of {i & 0xff:x2} and {i >> 8 & 0xff:x2}, carry {i >> 16}");
            distinct.Add(expected);
        }

        // A table that was never filled would compare equal too.
        distinct.Count.ShouldBeGreaterThan(255);
    }

    [HostTheory]
    [MemberData(nameof(FusedNames))]
    public void Comparisons_fused_with_each_branch_decide_as_the_host_does(string name)
    {
        using var oracle = new Oracle();
        var (machine, host) = oracle.RunProgram(a => Decisions(a, HostProcessor.DataStart.Value, () => Operations[name].Write(a)), Entries * EntryBytes / 2);
        machine.AsSpan().SequenceEqual(host).ShouldBeTrue($"{name} and its branches differ at entry {machine.AsSpan().CommonPrefixLength(host) / EntryBytes:x}");
        host.Distinct().Count().ShouldBeGreaterThan(3);
    }

    private static uint UndefinedByCount(string name, int count)
    {
        if (name is not ("shl" or "shr" or "sar" or "rol" or "ror" or "rcl" or "rcr") || count < 2) return 0;
        return LazyFlags.Overflow | (name is "shl" or "shr" && count >= 8 ? LazyFlags.Carry : 0);
    }

    /// <summary>AL and DL from the low 16 bits of the counter, CF from the next; result, second result and flags into the table.</summary>
    private static void Table(Assembler a, ulong table, Action operation)
    {
        var loop = a.CreateLabel();
        a.mov(rdi, table);
        a.xor(r10d, r10d);
        a.Label(ref loop);
        Prepare(a, carryShift: 16);
        operation();
        a.pushfq();
        a.pop(r9);
        a.mov(__byte_ptr[rdi], al);
        a.mov(__byte_ptr[rdi + 1], dl);
        a.mov(__word_ptr[rdi + 2], r9w);
        a.add(rdi, EntryBytes);
        a.inc(r10d);
        a.cmp(r10d, Entries);
        a.jb(loop);
    }

    /// <summary>A bit for each of the sixteen conditions.</summary>
    private static void Decisions(Assembler a, ulong table, Action operation)
    {
        var loop = a.CreateLabel();
        a.mov(rdi, table);
        a.xor(r10d, r10d);
        a.Label(ref loop);
        a.xor(r11d, r11d);
        for (var condition = 0; condition < 16; condition++)
        {
            Label taken = a.CreateLabel(), next = a.CreateLabel();
            Prepare(a, carryShift: 8);
            operation();
            Action<Label>[] jumps = [a.jo, a.jno, a.jb, a.jae, a.je, a.jne, a.jbe, a.ja, a.js, a.jns, a.jp, a.jnp, a.jl, a.jge, a.jle, a.jg];
            jumps[condition](taken);
            a.jmp(next);
            a.Label(ref taken);
            a.bts(r11d, (sbyte)condition);
            a.Label(ref next);
        }

        a.mov(__dword_ptr[rdi], r11d);
        a.add(rdi, EntryBytes);
        a.inc(r10d);
        a.cmp(r10d, Entries / 2);
        a.jb(loop);
    }

    private static void Prepare(Assembler a, byte carryShift)
    {
        a.mov(r8d, r10d);
        a.shr(r8d, carryShift);
        a.and(r8d, 1);
        a.or(r8d, 0x202);
        a.movzx(eax, r10b);
        a.mov(edx, r10d);
        a.movzx(edx, dh);
        a.mov(ecx, edx);
        a.mov(ebx, 0x5a);
        a.push(r8);
        a.popfq();
    }

    private static void WithHighByte(Assembler a, Action operation)
    {
        operation();
        a.mov(dl, ah);
    }

    /// <summary>Not by 0, and where it could overflow not by -1.</summary>
    private static void Divide(Assembler a, byte alsoNotBy, Action division)
    {
        var skip = a.CreateLabel();
        a.test(dl, dl);
        a.je(skip);
        a.cmp(dl, alsoNotBy);
        a.je(skip);
        if (alsoNotBy == 0) a.movzx(eax, al);
        else a.movsx(eax, al);
        WithHighByte(a, division);
        a.Label(ref skip);
    }
}
