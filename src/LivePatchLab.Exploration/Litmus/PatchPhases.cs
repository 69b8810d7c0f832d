using System.Reflection;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The phases of protocols, by the names under which their classes publish them.</summary>
public static class PatchPhases
{
    /// <summary>Those of a protocol, in the order in which its class declares them.</summary>
    public static IReadOnlyList<string> Of(IPatchProtocol protocol)
        => [.. protocol.GetType().GetFields(BindingFlags.Public | BindingFlags.Static | BindingFlags.FlattenHierarchy)
            .Where(f => f.IsLiteral && f.FieldType == typeof(string) && f.Name.StartsWith("Phase", StringComparison.Ordinal))
            .OrderBy(f => f.MetadataToken)
            .Select(f => (string)f.GetRawConstantValue()!)];
}
