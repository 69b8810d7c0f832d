namespace LivePatchLab.Notebooks;

/// <summary>
/// .NET Interactive's convention: it looks for an attribute of this name, in any namespace, and reads these two properties by reflection. So our views are
/// shown there without a reference to it.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct)]
internal sealed class TypeFormatterSourceAttribute(Type formatterSourceType) : Attribute
{
    public Type FormatterSourceType { get; } = formatterSourceType;

    public string[] PreferredMimeTypes { get; set; } = [];
}
