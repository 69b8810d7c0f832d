using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// How each CPU goes through sites of several instructions: a pass begins where it comes in from elsewhere, and goes on from each instruction to the next, by going
/// straight on, by a jump inside the site, or by coming back from a call, until it leaves the site or comes to where it was before. The handler of an interrupt, or
/// what is called, may go through the same site in between; then the inner pass ends before the outer goes on.
/// </summary>
internal sealed class SitePasses
{
    /// <summary>In longer sites, a pass ends here.</summary>
    private const int LongestPass = 128;

    /// <summary>By the CPU's number, the innermost last.</summary>
    private readonly List<List<Pass>> _open = [];

    /// <summary>An execution begins: nobody is anywhere.</summary>
    public void Clear()
    {
        foreach (var passes in _open) passes.Clear();
    }

    /// <summary>Takes note of an instruction that a CPU has executed at a site, whose RIP points to its next.</summary>
    /// <returns>True when it belongs to one code, and what the CPU executed before it in the same pass to the other.</returns>
    public bool IsMixed(Cpu cpu, PatchSite site, int offset, ReadOnlySpan<byte> instruction)
    {
        while (_open.Count <= cpu.Id.Index) _open.Add([]);
        var passes = _open[cpu.Id.Index];
        var code = (site.IsOld(offset, instruction) ? Codes.Old : Codes.None) | (site.IsNew(offset, instruction) ? Codes.New : Codes.None);
        var visited = UInt128.Zero;
        var isMixed = false;
        var at = passes.FindLastIndex(pass => pass.Site == site && pass.Next == offset);
        if (at >= 0)
        {
            // What is torn belongs to neither; I2 tells of it.
            isMixed = code != Codes.None && (code & passes[at].Code) == Codes.None;
            code &= passes[at].Code;
            visited = passes[at].Visited;
            passes.RemoveRange(at, passes.Count - at);
        }

        if (code == Codes.None) return isMixed;
        if (offset < LongestPass) visited |= UInt128.One << offset;
        var isCall = (code.HasFlag(Codes.New) ? site.NewInstructions : site.OldInstructions).IsCallAt(offset);
        var next = isCall ? offset + instruction.Length : cpu.Rip - site.Address;
        if (next >= 0 && next < Math.Min(site.Length, LongestPass) && (visited & (UInt128.One << (int)next)) == 0) passes.Add(new(site, (int)next, code, visited));
        return isMixed;
    }

    [Flags]
    private enum Codes
    {
        None = 0,
        Old = 1,
        New = 2,
    }

    /// <param name="Site">What the CPU is in.</param>
    /// <param name="Next">The byte at which it goes on.</param>
    /// <param name="Code">To which of the two codes all belongs that it has executed.</param>
    /// <param name="Visited">A bit for each byte at which it has executed an instruction.</param>
    private readonly record struct Pass(PatchSite Site, int Next, Codes Code, UInt128 Visited);
}
