using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>The variables of the host's C# cells. What a magic sets is handed over when it has ended, because the host takes a variable by running C#.</summary>
internal sealed class HostVariables(LabDirectiveCall call) : ISessionVariables
{
    private readonly Dictionary<string, (object? Value, Type Type)> _set = new(StringComparer.Ordinal);

    public void Set(string name, object? value, Type type) => _set[name] = (value, CSharpTypeName.Nameable(type));

    public bool TryGet(string name, out object? value)
    {
        var (found, held) = _set.TryGetValue(name, out var own) ? (true, own.Value) : call.Get(name);
        value = held;
        return found;
    }

    public async Task HandOverAsync()
    {
        foreach (var (name, (value, type)) in _set)
            await call.Set(name, value, type);
    }
}
