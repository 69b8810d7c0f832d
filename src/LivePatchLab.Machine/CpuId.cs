using System.Globalization;

namespace LivePatchLab.Machine;

/// <summary>The number of a CPU, from 0.</summary>
public readonly record struct CpuId(int Index) : IComparable<CpuId>
{
    public int CompareTo(CpuId other) => Index.CompareTo(other.Index);

    public override string ToString() => "CPU" + Index.ToString(CultureInfo.InvariantCulture);
}
