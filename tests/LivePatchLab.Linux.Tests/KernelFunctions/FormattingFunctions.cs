using System.Globalization;
using System.Text;

namespace LivePatchLab.Linux.Tests;

/// <summary>snprintf() with the kernel's own formats, and the symbols it finds by its own kallsyms, against .NET's formatting and the lab's table.</summary>
internal static class FormattingFunctions
{
    public static FunctionGroup[] Groups { get; } =
    [
        new("snprintf", kernel =>
        {
            Prints("[  -42|abc     |deadbeef|Z|4000000000]", "[%5d|%-8s|%08lx|%c|%u]", -42, kernel.Text("abc"), 0xdeadbeefL, 'Z', 4_000_000_000u);
            for (var i = 0; i < 20; i++)
            {
                var (a, b, c) = ((int)kernel.Draw.Interesting(), kernel.Draw.Interesting(), (byte)kernel.Draw.Below(256));
                var word = new string((char)('a' + kernel.Draw.Below(26)), kernel.Draw.Below(12));
                Prints(string.Create(CultureInfo.InvariantCulture, $"{a,7}|{b:x16}|{(long)b}|{b}|0{Convert.ToString(c, 8)}|{word,10}|{word,-5}|{c:x2}|100%"),
                    "%7d|%016llx|%lld|%llu|0%o|%10s|%-5s|%02hhx|100%%", a, b, b, b, c, kernel.Text(word), kernel.Text(word), c);
            }

            // The result is what there would be; what there is ends with the buffer.
            var small = kernel.Buffer(8);
            kernel.CallInt("snprintf", small, 4, kernel.Text("%d"), 1_234_567).ShouldBe(7);
            small.ToArray().ShouldBe([(byte)'1', (byte)'2', (byte)'3', 0, 0, 0, 0, 0]);

            void Prints(string expected, string format, params KernelArgument[] arguments)
                => Printed(kernel, format, arguments).ShouldBe(expected);
        }),
        new("snprintf %pS %pI4 %pUb %*ph", kernel =>
        {
            for (var i = 0; i < 20; i++)
            {
                var site = kernel.Image.TextFtraceSites[kernel.Draw.Below(kernel.Image.TextFtraceSites.Count)].Address;
                if (!kernel.Image.Symbols.HasSymbolAt(site)) continue;
                var name = kernel.Image.Symbols.NameOf(site);
                var size = kernel.Image.Symbols.NextAfter(site)!.Value - site;
                Printed(kernel, "%pS", kernel.AddressOf(site) + 5).ShouldBe($"{name}+0x5/0x{size:x}");

                var bytes = kernel.Draw.Bytes(16);
                Printed(kernel, "%pI4", kernel.Buffer(bytes)).ShouldBe(new System.Net.IPAddress(bytes.AsSpan(0, 4)).ToString());
                Printed(kernel, "%pUb", kernel.Buffer(bytes)).ShouldBe(new Guid(bytes, bigEndian: true).ToString());
                Printed(kernel, "%*ph", 16, kernel.Buffer(bytes)).ShouldBe(string.Join(' ', bytes.Select(b => b.ToString("x2", CultureInfo.InvariantCulture))));
            }
        }),
        new("kallsyms_lookup_name", kernel =>
        {
            kernel.Call("kallsyms_lookup_name", kernel.Text("no_such_function")).ShouldBe(0u);
            var unique = kernel.Image.Symbols.All.GroupBy(s => s.Name).Where(g => g.Count() == 1).Select(g => g.Single()).Where(s => kernel.Image.IsInText(s.Address)).ToList();
            for (var i = 0; i < 20; i++)
            {
                var symbol = unique[kernel.Draw.Below(unique.Count)];
                kernel.Call("kallsyms_lookup_name", kernel.Text(symbol.Name)).ShouldBe(kernel.AddressOf(symbol.Address).Value, symbol.Name);
            }
        }),
    ];

    private static string Printed(KernelUnderTest kernel, string format, params KernelArgument[] arguments)
    {
        const int length = 256;
        var buffer = kernel.Buffer(length);
        var printed = kernel.CallInt("snprintf", [buffer, length, kernel.Text(format), .. arguments]);
        var bytes = buffer.ToArray();
        bytes[printed].ShouldBe((byte)0);
        return Encoding.ASCII.GetString(bytes, 0, printed);
    }
}
