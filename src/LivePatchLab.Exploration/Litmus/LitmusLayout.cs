using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>Where everything of a situation lies: sites, variables, stacks, the two functions, and the code of each CPU.</summary>
internal sealed class LitmusLayout
{
    private const int VisitsOffset = 0x180, ProgramsOffset = 0x400, ProgramBytes = 0x300, StackBytes = 512;

    private static readonly GuestAddress Code = new(0xffffffff81000000), Stacks = new(0xffffffff82000000), Data = new(0xffffffff82002000);

    // Far from each other, so that an address that is half the one and half the other leads nowhere.
    private static readonly GuestAddress OldFunction = Code + 0x01234560, NewFunction = Code + 0x02356780;
    private static readonly GuestAddress Done = Code + 0x80, CallReturn = Code + 0x90, VisitStubs = Code + 0xa0;

    private readonly LitmusSituation _situation;
    private readonly Dictionary<string, PlacedSite> _sites = [];
    private readonly Dictionary<int, (GuestAddress Entry, byte[] Bytes)> _programs = [];
    private readonly Dictionary<ulong, LitmusStore> _pokes = [];
    private readonly List<byte> _visits = [];
    private readonly GuestAddress _visitsEntry;

    public LitmusLayout(LitmusSituation situation)
    {
        _situation = situation;
        if (EmulatedSeveral(situation) is { } several)
            throw new BadInputException($"'{several.Name}' is several instructions, and a handler that emulates knows what one does: let it skip the site, retry, or spin");
        var inPrograms = new Dictionary<string, LitmusSiteHere>();
        foreach (var here in situation.Programs.Values.OfType<LitmusGuestCode>().SelectMany(p => p.Instructions).OfType<LitmusSiteHere>())
            if (!inPrograms.TryAdd(here.Site, here)) throw new BadInputException($"'{here.Site}' stands in lines {inPrograms[here.Site].Line} and {here.Line}: a site stands in one place");
        var inRow = situation.Sites.Where(s => !inPrograms.ContainsKey(s.Name)).ToList();
        _visitsEntry = Code + VisitsOffset + (inRow.Count > 0 ? inRow[0].Offset ?? 0 : 0);
        foreach (var site in inRow) _visits.AddRange(Place(site, _visitsEntry + _visits.Count).Old);
        if (_visits.Count > 100) throw new BadInputException("the sites have more than 100 bytes together");
        _visits.AddRange([0xff, 0xcb]); // dec ebx
        _visits.AddRange([0x75, (byte)-(_visits.Count + 2)]); // jnz entry
        _visits.Add(0xc3); // ret

        // Programs that hold sites come first, so that the others know where those are.
        foreach (var (cpu, program) in situation.Programs.OrderByDescending(p => p.Value is LitmusGuestCode code && code.Instructions.Any(i => i is LitmusSiteHere)))
            if (program is LitmusGuestCode code) _programs[cpu] = Assemble(code, Code + ProgramsOffset + (cpu * ProgramBytes));
    }

    /// <summary>A site where it lies, with its code.</summary>
    public PlacedSite this[string site] => _sites[site];

    /// <summary>In the order of the situation.</summary>
    public IEnumerable<PlacedSite> Sites => _situation.Sites.Select(s => _sites[s.Name]);

    public GuestAddress AddressOf(string variable)
    {
        for (var i = 0; i < _situation.Variables.Count; i++)
            if (_situation.Variables[i].Name == variable) return Data + (64 * i);
        throw new ArgumentException($"there is no variable {variable}", nameof(variable));
    }

    /// <summary>Where a CPU's guest code begins, or null where it runs none.</summary>
    public GuestAddress? EntryOf(int cpu) => _situation.Programs.GetValueOrDefault(cpu) switch
    {
        LitmusVisits visits => StubFor(visits.Visits),
        LitmusGuestCode => _programs[cpu].Entry,
        _ => null,
    };

    /// <summary>A function that runs through the sites once.</summary>
    public GuestAddress VisitOnce => StubFor(1);

    /// <summary>Maps memory and lays everything down.</summary>
    public void LayOut(SmpMachine machine)
    {
        var storesItself = _situation.Programs.Values.OfType<LitmusGuestCode>().SelectMany(p => p.Instructions).Any(i => i is LitmusGuestStore { IsAlias: false });
        var text = PagePermissions.Read | PagePermissions.Execute | (storesItself || _situation.TextIsWritable ? PagePermissions.Write : 0);
        var memory = machine.Memory;
        memory.Map(Code, GuestMemory.PageBytes * (1 + (_situation.Cpus / 4)), text);
        memory.Map(OldFunction.AlignDown(GuestMemory.PageBytes), GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        memory.Map(NewFunction.AlignDown(GuestMemory.PageBytes), GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        memory.Map(Stacks, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        memory.Map(Data, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        memory.Load(OldFunction, [0x49, 0xff, 0xc4, 0xc3]); // inc r12; ret
        memory.Load(NewFunction, [0x49, 0xff, 0xc5, 0xc3]); // inc r13; ret
        memory.Load(Done, [0x0f, 0x05]); // syscall: the CPU is done
        memory.Load(CallReturn, [0xf4]); // hlt
        memory.Load(_visitsEntry, [.. _visits]);
        for (var visits = 1; visits <= 8; visits++) memory.Load(StubFor(visits), Stub(visits));
        foreach (var (entry, bytes) in _programs.Values) memory.Load(entry, bytes);
        foreach (var variable in _situation.Variables) memory.LoadUInt64(AddressOf(variable.Name), (ulong)variable.Initial);
        for (var cpu = 0; cpu < _situation.Cpus; cpu++) memory.LoadUInt64(StackOf(cpu), Done.Value);
        machine.GuestCallReturn = CallReturn;
        machine.SystemCall = DoSystemCall;
    }

    /// <summary>The stack of a CPU, where the address lies that its program returns to.</summary>
    public static GuestAddress StackOf(int cpu) => Stacks + ((cpu + 1) * StackBytes) - 64;

    /// <summary>Where a call or jump of one of the two functions goes.</summary>
    public static GuestAddress TargetOf(bool isNewFunction) => isNewFunction ? NewFunction : OldFunction;

    private static LitmusSite? EmulatedSeveral(LitmusSituation situation) => situation.Handler switch
    {
        LitmusHandler.EmulateOld => situation.Sites.FirstOrDefault(s => s.Old.IsSeveral),
        LitmusHandler.EmulateNew => situation.Sites.FirstOrDefault(s => s.New.IsSeveral),
        _ => null,
    };

    private static GuestAddress StubFor(int visits) => VisitStubs + (16 * (visits - 1));

    private byte[] Stub(int visits)
    {
        var stub = new byte[10];
        stub[0] = 0xbb; // mov ebx, visits
        BinaryPrimitives.WriteInt32LittleEndian(stub.AsSpan(1), visits);
        stub[5] = 0xe9; // jmp to the first site
        BinaryPrimitives.WriteInt32LittleEndian(stub.AsSpan(6), (int)(_visitsEntry - (StubFor(visits) + 10)));
        return stub;
    }

    private PlacedSite Place(LitmusSite site, GuestAddress address)
        => _sites[site.Name] = new(site, address, site.Old.BytesAt(address, TargetOf), site.New.BytesAt(address, TargetOf));

    /// <summary>Twice: once to know how far from the beginning the site and the labels lie, once at the place that follows from it.</summary>
    private (GuestAddress Entry, byte[] Bytes) Assemble(LitmusGuestCode code, GuestAddress room)
    {
        var labels = new Dictionary<string, GuestAddress>();
        _ = AssembleAt(code, room, labels, isFinal: false);
        var entry = room;
        if (code.Instructions.OfType<LitmusSiteHere>().FirstOrDefault() is { } first)
        {
            var site = _sites[first.Site];
            entry += ((site.Site.Offset ?? 0) - (int)(site.Address.Value & 63) + 64) & 63;
        }

        labels.Clear();
        _ = AssembleAt(code, entry, labels, isFinal: false);
        var bytes = AssembleAt(code, entry, labels, isFinal: true);
        return bytes.Length + 64 <= ProgramBytes ? (entry, bytes) : throw new BadInputException($"a program of {bytes.Length} bytes is too long: at most {ProgramBytes - 64}");
    }

    private byte[] AssembleAt(LitmusGuestCode code, GuestAddress entry, Dictionary<string, GuestAddress> labels, bool isFinal)
    {
        var bytes = new List<byte>();
        foreach (var instruction in code.Instructions)
        {
            var here = entry + bytes.Count;
            switch (instruction)
            {
                case LitmusLabel label:
                    labels[label.Name] = here;
                    break;
                case LitmusSiteHere at:
                    bytes.AddRange(Place(_situation.Sites.First(s => s.Name == at.Site), here).Old);
                    break;
                case LitmusRawBytes raw:
                    bytes.AddRange(raw.Bytes);
                    break;
                case LitmusMnemonic mnemonic:
                    bytes.AddRange(LitmusEncoder.Encode(mnemonic, here, AddressOf, name => labels.TryGetValue(name, out var at) ? at : isFinal ? throw NoLabel(mnemonic, name, labels.Keys) : here));
                    break;
                case LitmusGuestStore { IsAlias: true } poke:
                    bytes.AddRange([0x0f, 0x05]); // syscall
                    if (isFinal) _pokes[(here + 2).Value] = poke.Store;
                    break;
                case LitmusGuestStore own:
                    // A site that lies further down is not placed yet in the first round; only lengths count then.
                    bytes.AddRange(_sites.TryGetValue(own.Store.Site, out var site)
                        ? LitmusEncoder.EncodeStore(site.Address + own.Store.Start, site.BytesFor(own.Store), here)
                        : LitmusEncoder.EncodeStore(Code, new byte[own.Store.Length], here));
                    break;
            }
        }

        bytes.Add(0xc3); // ret
        return [.. bytes];
    }

    private static BadInputException NoLabel(LitmusMnemonic instruction, string name, IEnumerable<string> labels)
        => new($"line {instruction.Line}: there is no label '{name}'.{Suggestion.Question(labels, name)}");

    /// <summary>A system call that is a poke does it; the one at the end ends; any other only goes into the kernel and back.</summary>
    private void DoSystemCall(Cpu cpu)
    {
        if (_pokes.TryGetValue(cpu.Rip.Value, out var store)) cpu.Machine.TryStoreCode(cpu, _sites[store.Site].Address + store.Start, _sites[store.Site].BytesFor(store));
        else if (cpu.Rip == Done + 2) cpu.StopGuest();
    }
}

/// <summary>A site at its place.</summary>
internal sealed record PlacedSite(LitmusSite Site, GuestAddress Address, byte[] Old, byte[] New)
{
    public byte[] BytesFor(LitmusStore store) => store.Bytes.For(Old, New, store.Start, store.Length);
}
