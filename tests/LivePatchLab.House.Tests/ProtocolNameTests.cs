using System.Reflection;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.House.Tests;

/// <summary>Every protocol says which function of the kernel it stands for.</summary>
public sealed class ProtocolNameTests
{
    private static readonly Dictionary<Type, string> Exempt = new()
    {
        [typeof(WithoutSync)] = "a control: made wrong on purpose, and in no kernel",
    };

    [Fact]
    public void Every_protocol_names_its_function_of_the_kernel() => Nameless(typeof(IPatchProtocol).Assembly.GetTypes()).ShouldBeEmpty();

    [Fact]
    public void A_protocol_without_a_name_is_found() => Nameless([typeof(Nobody), typeof(Patching.TextPokeBp)]).ShouldBe([nameof(Nobody)]);

    private static IEnumerable<string> Nameless(IEnumerable<Type> types) => types
        .Where(t => t is { IsClass: true, IsAbstract: false } && t.IsAssignableTo(typeof(IPatchProtocol)) && !Exempt.ContainsKey(t))
        .Where(t => t.GetCustomAttribute<KernelNameAttribute>() is null)
        .Select(t => t.Name);

    private sealed class Nobody : IPatchProtocol
    {
        public string Name => "nobody";

        public string Summary => "";

        public bool MaySkip => false;

        public Invariants PromisesUnder(FetchModel model) => Invariants.None;

        public IPatcher Attach(LinuxKernel kernel) => throw new InvalidOperationException("only its type is looked at");
    }
}
