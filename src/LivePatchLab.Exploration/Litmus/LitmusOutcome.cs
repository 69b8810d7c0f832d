using System.Globalization;

namespace LivePatchLab.Exploration;

/// <summary>A state in which an execution can end: all of its terms hold.</summary>
public sealed record LitmusOutcome(IReadOnlyList<LitmusTerm> Terms)
{
    public override string ToString() => string.Join(" and ", Terms);
}

/// <summary>How two numbers compare.</summary>
public enum LitmusRelation
{
    Equal,
    NotEqual,
    Less,
    Greater,
}

/// <summary>Something that can be looked at when an execution has ended.</summary>
public abstract record LitmusTerm
{
    protected static string Show(LitmusRelation relation) => relation switch
    {
        LitmusRelation.Equal => "=",
        LitmusRelation.NotEqual => "!=",
        LitmusRelation.Less => "<",
        _ => ">",
    };
}

/// <summary>A register of a CPU.</summary>
public sealed record LitmusRegisterTerm(int Cpu, string Register, LitmusRelation Relation, long Value) : LitmusTerm
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"cpu{Cpu}:{Register} {Show(Relation)} {Value}");
}

/// <summary>A variable in memory.</summary>
public sealed record LitmusVariableTerm(string Variable, LitmusRelation Relation, long Value) : LitmusTerm
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Variable} {Show(Relation)} {Value}");
}

/// <summary>The bytes of a site.</summary>
/// <param name="Site">Its name.</param>
/// <param name="IsEqual">Whether it must hold them, or must not.</param>
/// <param name="Bytes">What.</param>
public sealed record LitmusSiteTerm(string Site, bool IsEqual, LitmusBytes Bytes) : LitmusTerm
{
    public override string ToString() => $"{Site} {(IsEqual ? "=" : "!=")} {Bytes}";
}

/// <summary>Bytes for a site: its old ones, its new ones, or any.</summary>
/// <param name="Source">"old", "new", or null for <paramref name="Literal"/>.</param>
/// <param name="Literal">The bytes where they are written out.</param>
public sealed record LitmusBytes(string? Source, IReadOnlyList<byte> Literal)
{
    /// <summary>The bytes themselves.</summary>
    /// <param name="old">The site's old code.</param>
    /// <param name="new">Its new code.</param>
    /// <param name="start">The first byte that is meant.</param>
    /// <param name="length">How many are meant, of old or new.</param>
    public byte[] For(byte[] old, byte[] @new, int start, int length) => Source switch
    {
        "old" => old[start..(start + length)],
        "new" => @new[start..(start + length)],
        _ => [.. Literal],
    };

    public override string ToString() => Source ?? Convert.ToHexStringLower([.. Literal]);
}
