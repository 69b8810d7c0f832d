using System.Buffers.Binary;
using System.Text;

namespace LivePatchLab.Linux.Tests;

/// <summary>
/// A vmlinux of some 40 KB, with everything that KernelImage looks for: made here, so that both layouts of kallsyms and every codec are
/// tried without a kernel at hand.
/// </summary>
internal sealed class MiniKernel
{
    public const ulong TextBase = 0xffffffff81000000, RodataBase = 0xffffffff81100000, DataBase = 0xffffffff81200000, PerCpuBase = 0xffffffff81300000;
    public const int Functions = 1500, FunctionBytes = 16;

    /// <summary>Of the per-CPU area: its variables, and all.</summary>
    public const int ThisCpuOff = 56, CpuNumber = 64, PerCpuBytes = 128;

    /// <summary>Where struct pcpu_hot has the number.</summary>
    private const int CpuNumberInPcpuHot = 12;

    /// <summary>A token that stands for several letters, as scripts/kallsyms.c makes them of what is frequent.</summary>
    private const byte LongToken = 0x80;

    private static readonly string[] Tokens = [.. Enumerable.Range(0, 256).Select(code => code == LongToken ? "__x64_sys_" : code is > 32 and < 127 ? ((char)code).ToString() : $"~{code:x2}")];

    private readonly List<(int Offset, string Name)> _symbols = [];

    public enum Layout { To63, To63WithSeqs, From64, From615, From70 }

    public static byte[] Build(Layout layout, bool withMcountSymbols = true, bool withCpuNumber = true) => new MiniKernel().Make(layout, withMcountSymbols, withCpuNumber);

    /// <summary>The names in the table's order, each with its letter.</summary>
    public static string NameOf(int function) => function switch
    {
        7 => "T__x64_sys_read",
        8 => "Tvery_long_" + new string('x', 200),
        9 => "Tnumber_of_this_cpu",
        10 => "Toffset_of_this_cpu",
        _ => $"tfunction_{function}",
    };

    /// <summary>As of 6.15 the per-CPU area is linked among the other data, before that at 0.</summary>
    public static bool HasPerCpuSegment(Layout layout) => layout is not (Layout.From615 or Layout.From70);

    private byte[] Make(Layout layout, bool withMcountSymbols, bool withCpuNumber)
    {
        var perCpu = HasPerCpuSegment(layout) ? 0 : PerCpuBase;
        // Behind the functions what each of them calls first.
        const int fentry = Functions * FunctionBytes;
        var text = new byte[fentry + 1];
        text[fentry] = 0xc3;
        void Call(int at, int target)
        {
            text[at] = 0xe8;
            BinaryPrimitives.WriteInt32LittleEndian(text.AsSpan(at + 1), target - (at + 5));
        }

        for (var i = 0; i < Functions; i++)
        {
            Call(i * FunctionBytes, fentry);
            text[(i * FunctionBytes) + 5] = 0xc3;
        }

        // The last site is a weak leftover: in no function's first bytes.
        const int leftover = ((Functions - 1) * FunctionBytes) + 8;
        Call(leftover, fentry);
        // mov eax, gs:[number]; ret, and mov rax, gs:[this_cpu_off]; ret
        new byte[] { 0x65, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0xc3 }.CopyTo(text, (9 * FunctionBytes) + 5);
        BinaryPrimitives.WriteInt32LittleEndian(text.AsSpan((9 * FunctionBytes) + 9), (int)perCpu + CpuNumber);
        new byte[] { 0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0xc3 }.CopyTo(text, (10 * FunctionBytes) + 5);
        BinaryPrimitives.WriteInt32LittleEndian(text.AsSpan((10 * FunctionBytes) + 10), (int)perCpu + ThisCpuOff);
        // A jump label of each length, and a static call.
        new byte[] { 0x66, 0x90, 0x0f, 0x1f, 0x44, 0, 0 }.CopyTo(text, 8);
        Call(24, 29);

        var banner = "Linux version 6.1.0-mini (nobody) #1 SMP\n\0"u8.ToArray();
        var data = new List<byte>(banner);
        Pad(data, 8);
        var mcount = data.Count;
        // Up to 5.18 the build leaves it unsorted.
        for (var i = 0; i < Functions; i++) Add64(data, TextBase + (ulong)(i < Functions - 1 ? (i ^ 1) * FunctionBytes : leftover));
        var mcountEnd = data.Count;
        var jump = data.Count;
        foreach (var (offset, branch) in (ReadOnlySpan<(int, long)>)[(8, 0), (10, 1)])
        {
            var place = DataBase + (ulong)data.Count;
            Add32(data, (int)(TextBase + (ulong)offset - place));
            Add32(data, (int)(TextBase + 64 - (place + 4)));
            Add64(data, unchecked(DataBase - (place + 8) + (ulong)(branch | 2)));
        }

        var jumpEnd = data.Count;
        var calls = data.Count;
        Add32(data, (int)(TextBase + 24 - (DataBase + (ulong)data.Count)));
        Add32(data, (int)(DataBase - (DataBase + (ulong)data.Count)));
        var callsEnd = data.Count;
        Pad(data, 8);
        var perCpuOffset = data.Count;
        data.AddRange(new byte[8 * 64]);

        for (var i = 0; i < Functions; i++) _symbols.Add((i * FunctionBytes, NameOf(i)));
        int Data(int offset) => (int)(DataBase - TextBase) + offset;
        _symbols.Add((Data(0), "Dlinux_banner"));
        _symbols.Add((Data(0), "D__SCK__mini"));
        if (withMcountSymbols) _symbols.AddRange([(Data(mcount), "D__start_mcount_loc"), (Data(mcountEnd), "D__stop_mcount_loc")]);
        _symbols.AddRange([(Data(jump), "D__start___jump_table"), (Data(jumpEnd), "D__stop___jump_table")]);
        _symbols.AddRange([(Data(calls), "D__start_static_call_sites"), (Data(callsEnd), "D__stop_static_call_sites")]);
        _symbols.Add((Data(perCpuOffset), "D__per_cpu_offset"));
        var perCpuSymbols = new List<(int Offset, string Name)> { (0, "__per_cpu_start"), (ThisCpuOff, "this_cpu_off"), (PerCpuBytes, "__per_cpu_end") };
        if (withCpuNumber) perCpuSymbols.Insert(2, layout == Layout.From64 ? (CpuNumber - CpuNumberInPcpuHot, "pcpu_hot") : (CpuNumber, "cpu_number"));
        if (layout == Layout.From64) perCpuSymbols.Sort();
        var perCpuStart = (int)(PerCpuBase - TextBase);
        if (HasPerCpuSegment(layout)) _symbols.Add((perCpuStart, "D__per_cpu_load"));
        else _symbols.AddRange(perCpuSymbols.Select(symbol => (perCpuStart + symbol.Offset, "D" + symbol.Name)));
        return Link(text, Kallsyms(layout, HasPerCpuSegment(layout) ? perCpuSymbols : []), [.. data], perCpu);
    }

    /// <param name="layout">Which of the orders.</param>
    /// <param name="absolute">Per-CPU symbols at their offsets from 0, which come first.</param>
    private byte[] Kallsyms(Layout layout, List<(int Offset, string Name)> absolute)
    {
        var all = absolute.Select(symbol => (symbol.Offset, "A" + symbol.Name, true)).Concat(_symbols.Select(symbol => (symbol.Offset, symbol.Name, false))).ToList();
        var offsets = new List<byte>();
        foreach (var (offset, _, isAbsolute) in all) Add32(offsets, isAbsolute ? offset : absolute.Count > 0 ? -1 - offset : offset);
        var relativeBase = new List<byte>();
        Add64(relativeBase, TextBase);

        var count = new List<byte>();
        Add32(count, all.Count);
        var names = new List<byte>();
        var markers = new List<byte>();
        for (var i = 0; i < all.Count; i++)
        {
            if (i % 256 == 0) Add32(markers, names.Count);
            var codes = Compress(all[i].Item2);
            if (codes.Count > 127) names.Add((byte)(codes.Count | 0x80));
            names.Add((byte)(codes.Count > 127 ? codes.Count >> 7 : codes.Count));
            names.AddRange(codes);
        }

        var tokenTable = new List<byte>();
        var tokenIndex = new List<byte>();
        foreach (var token in Tokens)
        {
            tokenIndex.AddRange([(byte)tokenTable.Count, (byte)(tokenTable.Count >> 8)]);
            tokenTable.AddRange(Encoding.ASCII.GetBytes(token));
            tokenTable.Add(0);
        }

        var seqs = new List<byte>(new byte[3 * all.Count]);
        List<byte>[] tables = layout switch
        {
            Layout.To63 => [offsets, relativeBase, count, names, markers, tokenTable, tokenIndex],
            Layout.To63WithSeqs => [offsets, relativeBase, count, names, markers, seqs, tokenTable, tokenIndex],
            Layout.From70 => [count, names, markers, tokenTable, tokenIndex, offsets, seqs],
            _ => [count, names, markers, tokenTable, tokenIndex, offsets, relativeBase, seqs],
        };
        // Other read-only data before and after; numbers that could be num_syms among it, and a pointer where others have their base.
        var rodata = new List<byte>();
        for (var i = 0; i < 200; i++) Add64(rodata, (ulong)(1024 + i));
        for (var i = 0; i < 200; i++) Add32(rodata, 1024 + i);
        if (layout == Layout.From70) Add32(rodata, 5);
        if (tables[0] == count) Add64(rodata, RodataBase);
        foreach (var table in tables)
        {
            // From 7.0 on each offset counts from its own place, and tables are aligned to 4.
            if (layout == Layout.From70 && table == offsets)
                foreach (var (offset, _, _) in all) Add32(rodata, (int)(TextBase + (ulong)offset - (RodataBase + (ulong)rodata.Count)));
            else rodata.AddRange(table);
            Pad(rodata, layout == Layout.From70 ? 4 : 8);
        }

        Add64(rodata, 42);
        return [.. rodata];
    }

    private static List<byte> Compress(string name)
    {
        var codes = new List<byte>();
        for (var at = 0; at < name.Length;)
        {
            var isLong = string.CompareOrdinal(name, at, Tokens[LongToken], 0, Tokens[LongToken].Length) == 0;
            codes.Add(isLong ? LongToken : (byte)name[at]);
            at += isLong ? Tokens[LongToken].Length : 1;
        }

        return codes;
    }

    private static byte[] Link(byte[] text, byte[] rodata, byte[] data, ulong perCpu)
    {
        (string Name, uint Type, ulong Flags, ulong Address, byte[] Content)[] sections =
        [
            ("", 0, 0, 0, []),
            (".text", 1, 6, TextBase, text),
            (".rodata", 1, 2, RodataBase, rodata),
            (".init.data", 1, 3, DataBase, data),
            (".data..percpu", 1, 3, perCpu, [1, 2, 3, 4, .. new byte[PerCpuBytes - 4]]),
            (".shstrtab", 3, 0, 0, []),
        ];
        var names = new List<byte>();
        var nameOffsets = new int[sections.Length];
        for (var i = 0; i < sections.Length; i++)
        {
            nameOffsets[i] = names.Count;
            names.AddRange(Encoding.ASCII.GetBytes(sections[i].Name));
            names.Add(0);
        }

        sections[^1].Content = [.. names];
        const int Segments = 4;
        var file = new List<byte>(new byte[64 + (56 * Segments)]);
        var fileOffsets = new int[sections.Length];
        for (var i = 0; i < sections.Length; i++)
        {
            Pad(file, 16);
            fileOffsets[i] = file.Count;
            file.AddRange(sections[i].Content);
        }

        Pad(file, 16);
        var sectionTable = file.Count;
        for (var i = 0; i < sections.Length; i++)
        {
            Add32(file, nameOffsets[i]);
            Add32(file, (int)sections[i].Type);
            foreach (var value in (ulong[])[sections[i].Flags, sections[i].Address, (ulong)fileOffsets[i], (ulong)sections[i].Content.Length, 0, 1, 0]) Add64(file, value);
        }

        var bytes = file.ToArray();
        new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(bytes, 0);
        void Put16(int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)value);
        void Put64(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);
        Put16(16, 2);
        Put16(18, 62);
        Put64(24, 0x1000000);
        Put64(32, 64);
        Put64(40, (ulong)sectionTable);
        Put16(52, 64);
        Put16(54, 56);
        Put16(56, Segments);
        Put16(58, 64);
        Put16(60, sections.Length);
        Put16(62, sections.Length - 1);
        for (var i = 0; i < Segments; i++)
        {
            var at = 64 + (56 * i);
            var section = sections[i + 1];
            Put64(at, 1 | ((ulong)(section.Name == ".text" ? 5 : section.Name == ".rodata" ? 4 : 6) << 32));
            Put64(at + 8, (ulong)fileOffsets[i + 1]);
            Put64(at + 16, section.Address);
            Put64(at + 32, (ulong)section.Content.Length);
            Put64(at + 40, (ulong)section.Content.Length);
        }

        return bytes;
    }

    private static void Add32(List<byte> bytes, int value) => bytes.AddRange(BitConverter.GetBytes(value));

    private static void Add64(List<byte> bytes, ulong value) => bytes.AddRange(BitConverter.GetBytes(value));

    private static void Pad(List<byte> bytes, int alignment)
    {
        while (bytes.Count % alignment != 0) bytes.Add(0);
    }
}
