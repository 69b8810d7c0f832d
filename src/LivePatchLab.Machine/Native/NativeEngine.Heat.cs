using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>What there is no translated code for: whether it is worth some by now, and of which path.</summary>
internal sealed unsafe partial class NativeEngine
{
    /// <summary>True where what comes next is a unit of its own, whatever path led to it.</summary>
    public bool EndsPath(ulong rip) => _pathLength > 0 && _cache!.IsVolatile(rip);

    /// <summary>Notes the next address of a path; false when it is as long as can be of use.</summary>
    public bool TryNote(ulong rip)
    {
        if (_pathLength == _path.Length) return false;
        _path[_pathLength++] = rip;
        return _pathLength < _path.Length;
    }

    /// <summary>Translates the path that has been noted, and forgets it.</summary>
    public void TranslatePath()
    {
        var path = _path.AsSpan(0, _pathLength);
        _pathLength = 0;
        if (path.Length >= 2) TranslateAndCount(path);
    }

    /// <summary>Why nothing translated can be entered at an address with so little left; null if now it can.</summary>
    private NativeStop? Find(ulong rip, long budget)
    {
        if (RefusalAt(rip) is { } refusal) return refusal;
        if (budget < UnitTranslator.Slack && _cache!.TryMakePrecise(rip)) return null;
        if (_cache!.LiveAt(rip) is not null) return NativeStop.Block;
        if (Again(rip) is null) return _refusal;
        return budget < UnitTranslator.Slack && !_cache.TryMakePrecise(rip) ? NativeStop.Block : null;
    }

    /// <summary>A unit for an address that is not for the interpreter anyway, if it was translated before; else what the interpreter is to do there.</summary>
    private NativeUnit? Again(ulong rip)
    {
        _refusal = NativeStop.Block;
        if (_cache!.FindAgain(rip) is { } known) return known;
        if (_cache.IsVolatile(rip)) return TranslateAlone(rip);
        if (IsHot(rip)) _refusal = _blocks.MayBeDirty(rip) ? NativeStop.Block : NativeStop.Path;
        else if (_rest > 0) _refusal = NativeStop.Cold;
        return null;
    }

    /// <summary>An instruction that changes again and again needs no path. While it is not hot with these bytes, it alone is interpreted, and nothing decoded around it.</summary>
    private NativeUnit? TranslateAlone(ulong rip)
    {
        if (_blocks.MayBeDirty(rip)) return null;
        _refusal = NativeStop.Care;
        if (!IsHot(rip)) return null;
        TranslateAndCount([rip, rip]);
        _refusal = NativeStop.Block;
        return _cache!.LiveAt(rip);
    }

    private void TranslateAndCount(ReadOnlySpan<ulong> path)
    {
        var before = Clock?.Invoke() ?? default;
        _heat[path[0]] = 0;

        // What cannot be translated is not asked for again.
        if (_cache!.LiveAt(path[0]) is null && !_blocks.MayBeDirty(path[0]) && _cache.Translate(path) is null) SlotOf(path[0]) = path[0];
        if (Clock is not null) TranslationTime += Clock() - before;
    }

    private ref ulong SlotOf(ulong rip) => ref _untranslatable[(int)rip & (UntranslatableSlots - 1)];

    private bool IsUntranslatable(ulong rip) => SlotOf(rip) == rip;

    /// <summary>Why an address is for the interpreter now, whatever has been translated; null where it is not.</summary>
    private NativeStop? RefusalAt(ulong rip) => IsUntranslatable(rip) ? NativeStop.Block : _blocks.IsDirty(rip, 1) ? NativeStop.Dirty : null;

    /// <summary>False until the first address is hot: most programs of a moment never need what is asked of the host below.</summary>
    private bool IsAnythingHot(ulong rip) => _cache is not null || IsHot(rip);

    /// <summary>
    /// Counts that an address was asked for, and how long it is interpreted then; true when that is as much as its translation takes, so that what turns out never to be
    /// executed again costs no more than twice what it would have. If not, the next question has to wait.
    /// </summary>
    private bool IsHot(ulong rip)
    {
        if (_isEager) return true;
        ref var heat = ref CollectionsMarshal.GetValueRefOrAddDefault(_heat, rip, out _);
        if (_cache is not null && (_cache.IsVolatile(rip) || _cache.WasTranslated(rip)))
        {
            // It was hot with other bytes: a site that is switched. Nobody rests for it; and what is translated alone is so in no time.
            heat += RefusalInstructions;
            return heat >= (_cache.IsVolatile(rip) ? HotInstructions / 64 : HotInstructions / 16);
        }

        heat += RefusalInstructions + (int)_restGiven;
        if (heat >= (_cache is not null ? HotInstructions : 4 * HotInstructions)) return true;
        _restGiven = Instructions - _instructionsAtRefusal > 8 * _restGiven ? ShortestRest : Math.Min(LongestRest, 2 * _restGiven);
        _instructionsAtRefusal = Instructions;
        _rest = _restGiven;
        return false;
    }
}
