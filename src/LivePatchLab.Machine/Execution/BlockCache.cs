using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What stands in the way of a block at some address.</summary>
internal enum Obstacle
{
    None,

    /// <summary>The instruction may touch a dirty line: it is to be fetched through the model.</summary>
    Dirty,

    /// <summary>The first instruction has a byte that may not be fetched, at <see cref="BlockCache.FaultAddress"/>.</summary>
    FetchFault,
}

/// <summary>
/// The decoded code of a machine, shared by all its CPUs. Blocks are found by address; the lines whose bytes they hold lead back
/// to them, so that a change of a line costs as much as the line has blocks.
/// </summary>
internal sealed unsafe class BlockCache : IDisposable
{
    private const int LineShift = 6;

    private const int RecentSingles = 128, RecentAddresses = 128;

    /// <summary>Beyond this all is forgotten and decoded anew.</summary>
    private const long LargestArena = 1L << 30;

    /// <summary>What is kept of an address for when its bytes come back. Code that is patched has few contents; one with thousands does not return to them, and would look through all of them each time.</summary>
    private const int VariantsKept = 32;

    private readonly GuestMemory _memory;
    private readonly ICodeSource _code;
    private readonly MemoryFetch _fetch;
    private readonly Instruction[] _instructions = new Instruction[BlockBuilder.LongestBlock];
    private readonly Dictionary<ulong, DecodedAddress> _addresses = [];

    /// <summary>What was run alone last at an address with these low bits.</summary>
    private readonly (ulong Rip, SingleOp? Single)[] _recentSingles = new (ulong, SingleOp?)[RecentSingles];

    /// <summary>What was asked last of an address with these low bits, for dirty code.</summary>
    private readonly (ulong Rip, DecodedAddress? Decoded)[] _recentAddresses = new (ulong, DecodedAddress?)[RecentAddresses];
    private readonly Dictionary<uint, List<Block>> _lines = [];
    private readonly List<Block> _blocks = [];
    private OpArena _arena = new();
    private BlockBuilder _builder;

    public BlockCache(GuestMemory memory, ICodeSource code)
    {
        _memory = memory;
        _code = code;
        _fetch = new MemoryFetch(memory);
        _builder = new BlockBuilder(_arena);
        JumpCacheEntries = JumpCache.Allocate();
    }

    ~BlockCache() => Free();

    public JumpCacheEntry* JumpCacheEntries { get; private set; }

    /// <summary>Counts how often everything was forgotten: operations of an earlier generation are gone.</summary>
    public int Generation { get; private set; } = 1;

    public ulong FaultAddress { get; private set; }

    public long DecodedBlocks { get; private set; }

    public long DecodedSingles { get; private set; }

    public long DecodedBytes => _arena.Bytes;

    /// <summary>The block that begins at <paramref name="rip"/>, decoded if need be; null when there is an obstacle.</summary>
    public Block? Find(ulong rip, out Obstacle obstacle)
    {
        obstacle = Obstacle.None;
        ref var decoded = ref CollectionsMarshal.GetValueRefOrAddDefault(_addresses, rip, out _);
        if (decoded?.Live is { } live) return live;
        decoded ??= new DecodedAddress();

        // What is told of is the instruction, wherever a block begins: one that goes on into dirty bytes is known from when it was last run alone, or found out when it is decoded.
        if (IsDirty(rip, 1) || (MayBeDirty(rip) && StandingSingle(rip, decoded) is { } standing && IsDirty(rip, standing.Bytes.Length)))
        {
            obstacle = Obstacle.Dirty;
            return null;
        }

        if (KnownBlock(decoded) is not { } known) return Decode(decoded, rip, out obstacle);
        known.IsLive = true;
        decoded.Live = known;
        return known;
    }

    /// <summary>True where <see cref="Find"/> is sure to meet <see cref="Obstacle.Dirty"/>.</summary>
    public bool IsFetched(ulong rip) => IsDirty(rip, 1);

    /// <summary>The instruction of clean lines that memory holds, where it was decoded before.</summary>
    public SingleOp? KnownSingle(ulong rip)
    {
        if (MayBeDirty(rip)) return null;
        ref var recent = ref _recentSingles[(int)rip & (RecentSingles - 1)];
        if (recent.Rip == rip && recent.Single is { } single && Stands(rip, single)) return single;
        if (!_addresses.TryGetValue(rip, out var decoded)) return null;
        if (StandingSingle(rip, decoded) is not { } known) return null;
        recent = (rip, known);
        return known;
    }

    /// <summary>The instruction of a dirty line that memory holds, where it was decoded before and the CPU is given just that.</summary>
    public SingleOp? KnownCertain(ulong rip, CpuId cpu)
        => StandingSingle(rip, AddressOf(rip)) is { } known && (_code.IsUpToDate(cpu) || _code.HasOneVersion(new(rip), known.Bytes.Length)) ? known : null;

    /// <summary>The instruction that memory holds, where it was decoded before; of an address that changes, that is mostly one of the last.</summary>
    private SingleOp? StandingSingle(ulong rip, DecodedAddress decoded)
    {
        var singles = CollectionsMarshal.AsSpan(decoded.Singles);
        for (var i = singles.Length - 1; i >= 0; i--)
            if (Stands(rip, singles[i])) return singles[i];
        return null;
    }

    /// <summary>True when memory holds just this instruction there, and it may be executed.</summary>
    private bool Stands(ulong rip, SingleOp known)
    {
        var length = known.Bytes.Length;
        return IsExecutable(rip) && IsExecutable(rip + (ulong)length - 1) && new ReadOnlySpan<byte>(_memory.Origin + (long)rip, length).SequenceEqual(known.Bytes);
    }

    /// <summary>The instruction that <paramref name="fetch"/> was begun for, to be run alone; null when a byte of it cannot be fetched.</summary>
    public SingleOp? FindSingle(ulong rip, InstructionFetch fetch)
    {
        var decoded = AddressOf(rip);
        var singles = decoded.Singles;
        for (var i = singles.Count - 1; i >= 0; i--)
            if (fetch.Matches(singles[i].Bytes)) return singles[i];

        if (!fetch.IsStarved) fetch.Decode(out _instructions[0]);
        if (fetch.IsStarved)
        {
            FaultAddress = fetch.EndAddress;
            return null;
        }

        return AddSingle(singles, fetch.Fetched.ToArray());
    }

    /// <summary>The instruction of these bytes, which were fetched before.</summary>
    public SingleOp SingleOf(ulong rip, ReadOnlySpan<byte> bytes)
    {
        var singles = AddressOf(rip).Singles;
        for (var i = singles.Count - 1; i >= 0; i--)
            if (bytes.SequenceEqual(singles[i].Bytes)) return singles[i];
        var copy = bytes.ToArray();
        InstructionDecoder.Decode(copy, 0, rip, out _instructions[0]);
        return AddSingle(singles, copy);
    }

    /// <summary>Makes an operation of the instruction that has been decoded.</summary>
    private SingleOp AddSingle(List<SingleOp> singles, byte[] bytes)
    {
        ref readonly var decodedInstruction = ref _instructions[0];
        var single = new SingleOp(bytes, _builder.BuildSingle(decodedInstruction), decodedInstruction.FlowControl != FlowControl.Next, InstructionTouches.Of(decodedInstruction));
        if (singles.Count == VariantsKept) singles.RemoveAt(0);
        singles.Add(single);
        DecodedSingles++;
        return single;
    }

    /// <summary>The bytes of a line changed, or it became dirty: no block that holds one of the bytes in question may be entered any more.</summary>
    public void Invalidate(ulong line)
    {
        if ((_memory.PageFlags[(uint)line >> 12] & PageFlag.Decoded) == 0) return;
        if (!_lines.TryGetValue((uint)line >> LineShift, out var blocks)) return;
        foreach (var block in CollectionsMarshal.AsSpan(blocks))
            if (block.IsLive && !Holds(block)) Retire(block);
    }

    /// <summary>The form of a block in which a CPU can stop anywhere.</summary>
    public Op* Precise(Op* first)
    {
        var header = BlockHeader.OfFirst(first);
        if (header->Precise != null) return header->Precise;
        var block = _blocks[header->Id];
        var count = 0;
        for (var at = 0; at < block.Bytes.Length; at += _instructions[count++].Length) InstructionDecoder.Decode(block.Bytes, at, block.Rip + (ulong)at, out _instructions[count]);
        header->Precise = _builder.BuildPrecise(_instructions.AsSpan(0, count), header);
        return header->Precise;
    }

    /// <summary>Points the edge of <paramref name="stub"/> at a block, for as long as that is live.</summary>
    public static void Link(Op* stub, Block target)
    {
        *(Op**)((byte*)stub + stub->Displacement) = target.First;
        target.Incoming.Add((nint)stub);
    }

    /// <summary>Lets indirect jumps find a block.</summary>
    public void Remember(Block block)
    {
        var slot = JumpCache.Slot(JumpCacheEntries, block.Rip);
        slot->Rip = block.Rip;
        slot->Block = block.First;
    }

    /// <summary>True when what a CPU stopped in may be gone on with.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsLive(Op* stopped)
    {
        var header = stopped->Handler == BlockBuilder.BudgetStepHandler ? (BlockHeader*)stopped->Immediate : BlockHeader.OfFirst(stopped);
        return header->IsLive != 0;
    }

    /// <summary>True while somebody is to be told of every fetch from a dirty line, of bytes that have not changed too.</summary>
    public bool IsObserved { get; set; }

    /// <summary>True when a byte that an instruction at <paramref name="rip"/> might have is dirty.</summary>
    public bool MayBeDirty(ulong rip) => IsDirty(rip, InstructionFetch.LongestInstruction);

    /// <summary>True when a fetch of these bytes is to go through the model: some of them may have several versions.</summary>
    public bool IsDirty(ulong start, int length)
    {
        foreach (var line in new CodeSpan(start, length).Lines)
        {
            // What goes over the end of all addresses is not asked for.
            if (IsInDirtyLine(line)) return IsObserved || start + (ulong)length < start || !_code.HasOneVersion(new(start), length);
        }

        return false;
    }

    private bool IsExecutable(ulong address) => (ulong)(int)address == address && (_memory.PageFlags[(uint)address >> 12] & (byte)PagePermissions.Execute) != 0;

    public bool IsInDirtyLine(ulong address) => (ulong)(int)address == address
        && (_memory.PageFlags[(uint)address >> 12] & PageFlag.Dirty) != 0
        && _code.IsDirty(new GuestAddress(address));

    public void Dispose()
    {
        Free();
        _arena.Dispose();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.Free(JumpCacheEntries);
        JumpCacheEntries = null;
    }

    private DecodedAddress AddressOf(ulong rip)
    {
        ref var recent = ref _recentAddresses[(int)rip & (RecentAddresses - 1)];
        if (recent.Rip == rip && recent.Decoded is { } known) return known;
        ref var decoded = ref CollectionsMarshal.GetValueRefOrAddDefault(_addresses, rip, out _);
        decoded ??= new DecodedAddress();
        recent = (rip, decoded);
        return decoded;
    }

    /// <summary>The longest block decoded here before whose bytes memory holds again.</summary>
    private Block? KnownBlock(DecodedAddress decoded)
    {
        Block? longest = null;
        foreach (var block in decoded.Blocks)
        {
            if (longest is not null && longest.Bytes.Length >= block.Bytes.Length) continue;
            if (Holds(block)) longest = block;
        }

        // One that was cut short by a dirty line gives way to the whole one once that line is clean.
        return longest is { IsCutShort: true } && !MayBeDirty(longest.Rip + (ulong)longest.Bytes.Length) ? null : longest;
    }

    private bool Holds(Block block)
    {
        foreach (var page in new CodeSpan(block.Rip, block.Bytes.Length).Pages)
            if (!IsExecutable(page)) return false;
        return new ReadOnlySpan<byte>(_memory.Origin + (long)block.Rip, block.Bytes.Length).SequenceEqual(block.Bytes) && !IsDirty(block.Rip, block.Bytes.Length);
    }

    private Block? Decode(DecodedAddress decoded, ulong rip, out Obstacle obstacle)
    {
        obstacle = Obstacle.None;
        if (_arena.Bytes > LargestArena)
        {
            Forget();
            decoded = _addresses[rip] = new DecodedAddress();
        }

        var next = rip;
        var count = 0;
        var isCutShort = false;

        // Where so many contents have been, the next comes soon, and mostly only the first instruction is another: the block is made anew, what follows it is not.
        var longest = decoded.Blocks.Count == VariantsKept ? 1 : _instructions.Length;
        while (count < longest)
        {
            ref var instruction = ref _instructions[count];
            _fetch.Begin(next);
            _fetch.Decode(out instruction);
            if (_fetch.IsStarved) break;
            isCutShort = IsDirty(next, (int)(_fetch.EndAddress - next));
            if (isCutShort) break;
            count++;
            next = _fetch.EndAddress;
            if (instruction.FlowControl != FlowControl.Next || instruction.IsInvalid) break;
        }

        if (count == 0)
        {
            FaultAddress = _fetch.EndAddress;
            obstacle = isCutShort ? Obstacle.Dirty : Obstacle.FetchFault;
            return null;
        }

        var first = _builder.BuildFast(_instructions.AsSpan(0, count), _blocks.Count);
        var bytes = new ReadOnlySpan<byte>(_memory.Origin + (long)rip, (int)(next - rip)).ToArray();
        var block = new Block(rip, bytes, first, isCutShort);
        block.IsLive = true;
        _blocks.Add(block);
        if (decoded.Blocks.Count == VariantsKept) Drop(decoded);
        decoded.Blocks.Add(block);
        decoded.Live = block;
        DecodedBlocks++;
        foreach (var line in new CodeSpan(rip, bytes.Length).Lines)
        {
            ref var blocks = ref CollectionsMarshal.GetValueRefOrAddDefault(_lines, (uint)line >> LineShift, out _);
            (blocks ??= []).Add(block);
            _memory.PageFlags[(uint)line >> 12] |= PageFlag.Decoded;
        }

        return block;
    }

    private void Retire(Block block)
    {
        block.IsLive = false;
        _addresses[block.Rip].Live = null;
        foreach (var incoming in CollectionsMarshal.AsSpan(block.Incoming))
        {
            var stub = (Op*)incoming;
            *(Op**)((byte*)stub + stub->Displacement) = stub;
        }

        block.Incoming.Clear();
        var slot = JumpCache.Slot(JumpCacheEntries, block.Rip);
        if (slot->Block == block.First) JumpCache.Empty(JumpCacheEntries, slot);
    }

    /// <summary>Forgets the oldest block of an address. None of them is live, as one is being decoded there.</summary>
    private void Drop(DecodedAddress decoded)
    {
        var oldest = decoded.Blocks[0];
        decoded.Blocks.RemoveAt(0);
        foreach (var line in new CodeSpan(oldest.Rip, oldest.Bytes.Length).Lines) _lines[(uint)line >> LineShift].Remove(oldest);
    }

    private void Forget()
    {
        Generation++;
        Array.Clear(_recentSingles);
        Array.Clear(_recentAddresses);
        _addresses.Clear();
        _lines.Clear();
        _blocks.Clear();
        JumpCache.Clear(JumpCacheEntries);
        _arena.Dispose();
        _arena = new OpArena();
        _builder = new BlockBuilder(_arena);
    }
}
