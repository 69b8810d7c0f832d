namespace LivePatchLab.Exploration;

/// <summary>Reads a step of kernel code: <c>store site+1 = new</c>, <c>sync</c>, <c>flag = 1</c>, …</summary>
internal static class LitmusStepReader
{
    private const string Hint = "a step is: store SITE = BYTES, sync, sync here, fence read|write|full, publish, retract, irq off|on, lock, unlock, maintain SITE, delay N, wait VARIABLE = N, VARIABLE = N, REGISTER = VARIABLE, return";

    public static LitmusStep Read(LitmusCursor line, LitmusSituation situation)
    {
        if (line.TryWord("store")) return ReadStore(line, situation);
        if (line.TryWords("sync", "here")) return new LitmusPlainStep(LitmusPlainStepKind.SyncHere);
        if (line.TryWord("sync")) return new LitmusPlainStep(LitmusPlainStepKind.Sync);
        if (line.TryWords("fence", "read")) return new LitmusPlainStep(LitmusPlainStepKind.FenceRead);
        if (line.TryWords("fence", "write")) return new LitmusPlainStep(LitmusPlainStepKind.FenceWrite);
        if (line.TryWords("fence", "full")) return new LitmusPlainStep(LitmusPlainStepKind.FenceFull);
        if (line.TryWord("publish")) return new LitmusPlainStep(LitmusPlainStepKind.Publish);
        if (line.TryWord("retract")) return new LitmusPlainStep(LitmusPlainStepKind.Retract);
        if (line.TryWords("irq", "off")) return new LitmusPlainStep(LitmusPlainStepKind.InterruptsOff);
        if (line.TryWords("irq", "on")) return new LitmusPlainStep(LitmusPlainStepKind.InterruptsOn);
        if (line.TryWord("lock")) return new LitmusPlainStep(LitmusPlainStepKind.Lock);
        if (line.TryWord("unlock")) return new LitmusPlainStep(LitmusPlainStepKind.Unlock);
        if (line.TryWord("return")) return new LitmusPlainStep(LitmusPlainStepKind.Return);
        if (line.TryWord("maintain")) return new LitmusMaintain(ReadSite(line, situation).Name);
        if (line.TryWord("delay")) return new LitmusDelay((int)line.Number("the number of cycles", 1, 1_000_000));
        if (line.TryWord("wait"))
        {
            var awaited = ReadVariable(line, situation);
            line.Expect("=", "as in 'wait flag = 1'");
            return new LitmusAwait(awaited, line.Number("the value that is waited for"));
        }

        var at = line.Copy();
        if (!char.IsAsciiLetter(line.Peek())) throw at.Fail(Hint);
        var name = line.Identifier("a step");
        if (!line.TryWord("=")) throw at.Fail(Hint);
        if (LitmusOutcomeReader.Registers.Contains(name)) return new LitmusGet(name, ReadVariable(line, situation));
        if (situation.Variables.All(v => v.Name != name)) throw at.Fail(LitmusOutcomeReader.Unknown(situation, name));
        return new LitmusSet(name, line.Number("the value that is written"));
    }

    /// <summary>SITE = BYTES, SITE+1 = BYTES, SITE[0] = BYTES, SITE[1..3] = BYTES; "byte by byte" may follow.</summary>
    public static LitmusStore ReadStore(LitmusCursor line, LitmusSituation situation)
    {
        var site = ReadSite(line, situation);
        var (start, end) = (0, site.Length);
        var isWhole = true;
        if (line.TryWord("+"))
        {
            start = (int)line.Number("the byte", 0, site.Length - 1);
        }
        else if (line.TryWord("["))
        {
            isWhole = false;
            start = (int)line.Number("the byte", 0, site.Length - 1);
            end = line.TryWord("-") ? (int)line.Number("the last byte", start, site.Length - 1) + 1 : start + 1;
            line.Expect("]", "a part of a site is site[0] or site[1-4], the last byte included");
        }

        line.Expect("=", "as in 'store site = cc' or 'store site[1-4] = new'");
        var at = line.Copy();
        var bytes = line.TryWord("old") ? new LitmusBytes("old", []) : line.TryWord("new") ? new LitmusBytes("new", []) : new(null, line.Bytes());
        if (bytes.Source is null)
        {
            if (bytes.Literal.Count == 0) throw at.Fail("bytes are missing here: 'old', 'new', or hexadecimal ones, as in cc or 0f 1f 44 00 00");
            if (bytes.Literal.Count > end - start || (!isWhole && bytes.Literal.Count != end - start)) throw at.Fail($"{bytes.Literal.Count} bytes for a place of {end - start}");
            end = start + bytes.Literal.Count;
        }

        return new(site.Name, start, end - start, bytes, line.TryWords("byte", "by", "byte"));
    }

    public static LitmusSite ReadSite(LitmusCursor line, LitmusSituation situation)
    {
        if (situation.Sites.Count == 0) throw line.Fail("there is no site: declare one, as in 'site call old -> call new'");
        return line.OneOf(situation.Sites, s => s.Name, "site");
    }

    public static string ReadVariable(LitmusCursor line, LitmusSituation situation)
    {
        if (situation.Variables.Count == 0) throw line.Fail("there is no variable: declare one, as in 'variable flag = 0'");
        var at = line.Copy();
        var name = line.Identifier("a variable");
        return situation.Variables.Any(v => v.Name == name) ? name : throw at.Fail(LitmusOutcomeReader.Unknown(situation, name));
    }
}
