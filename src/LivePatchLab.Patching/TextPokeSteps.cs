using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// The three steps over an array of locations, as text_poke_bp_batch() does them since Linux 5.5 and smp_text_poke_batch_finish() still does. How the
/// handlers get to know the array, and how it is taken away from them, is each version's own.
/// </summary>
/// <remarks>
///   each: [0] = int3;                      sync   from here on: traps, and the handler does what the instruction would do
///   each: [1..] = new, where it has more;  sync   where some had more
///   each: [0] = new, unless that is int3;  sync   where some was written
/// Nothing is checked before and nothing put back: text_poke() either writes, or is a BUG.
/// </remarks>
internal static class TextPokeSteps
{
    public static IEnumerable<KernelStep> Three(PatchContext kernel, IReadOnlyList<TextPokeLoc> tp)
    {
        yield return new PhaseMark(TextPokePhase.Int3);
        yield return KernelStep.Call(WriteInt3(kernel, tp));
        yield return kernel.RunSync();

        yield return new PhaseMark(TextPokePhase.Tails);
        yield return KernelStep.Call(WriteTails(kernel, tp));
        if (tp.Any(loc => loc.Length > 1)) yield return kernel.RunSync();

        yield return new PhaseMark(TextPokePhase.FirstBytes);
        var written = false;
        var poke = kernel.TextPoke(default, default);
        foreach (var loc in tp)
        {
            if (loc.Text.Span[0] == BreakpointState.Int3) continue;
            yield return poke.At(loc.Address, loc.Text[..1]);
            if (poke.Error != 0) yield return Failed(kernel, poke);
            written = true;
        }

        if (written) yield return kernel.RunSync();
    }

    public static IEnumerable<KernelStep> WriteInt3(PatchContext kernel, IReadOnlyList<TextPokeLoc> tp)
    {
        var poke = kernel.TextPoke(default, default);
        foreach (var loc in tp)
        {
            yield return poke.At(loc.Address, BreakpointState.Int3Opcode);
            if (poke.Error != 0) yield return Failed(kernel, poke);
        }
    }

    public static IEnumerable<KernelStep> WriteTails(PatchContext kernel, IReadOnlyList<TextPokeLoc> tp)
    {
        var poke = kernel.TextPoke(default, default);
        foreach (var loc in tp)
        {
            if (loc.Length == 1) continue;
            yield return poke.At(loc.Address + 1, loc.Text[1..]);
            if (poke.Error != 0) yield return Failed(kernel, poke);
        }
    }

    /// <summary>BUG_ON(memcmp(addr, opcode, len)) of text_poke(): what was written does not read back.</summary>
    public static KernelStep Failed(PatchContext kernel, TextPoke poke)
        => kernel.Kernel.RaiseBug($"text_poke: {poke.Address} cannot be written ({Errno.NameOf(poke.Error)})");
}
