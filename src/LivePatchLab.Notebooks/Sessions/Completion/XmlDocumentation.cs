using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;

namespace LivePatchLab.Notebooks;

/// <summary>What authors have written above a symbol, found in the XML file beside its assembly, in .NET's reference pack, or in the cell that declares it.</summary>
internal sealed record XmlDocumentation(string Summary, IReadOnlyList<(string Name, string Text)> Parameters, string Returns, IReadOnlyList<(string Type, string Text)> Exceptions)
{
    private static readonly ConcurrentDictionary<string, string> Files = new(StringComparer.Ordinal);
    private static readonly Lazy<string?> ReferencePack = new(FindReferencePack);

    public static XmlDocumentation? Of(ISymbol symbol, Compilation compilation)
        => (symbol.DeclaringSyntaxReferences.Length > 0 ? InSource(symbol) : InFiles(symbol, compilation)) is { } member ? Read(member) : null;

    private static XElement? InSource(ISymbol symbol)
    {
        // Scripts are parsed without documentation, so its lines are remarks to the compiler.
        var node = symbol.DeclaringSyntaxReferences[0].GetSyntax();
        var lines = node.FirstAncestorOrSelf<SyntaxNode>(each => each.HasLeadingTrivia && each.GetLeadingTrivia().ToFullString().Contains("///", StringComparison.Ordinal))?
            .GetLeadingTrivia().ToFullString().Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("///", StringComparison.Ordinal)).Select(line => line[3..]);
        return lines is null ? null : Parse($"<member>{string.Join('\n', lines)}</member>");
    }

    private static XElement? InFiles(ISymbol symbol, Compilation compilation)
    {
        if (symbol.OriginalDefinition is not { ContainingAssembly: { } assembly } original
            || original.GetDocumentationCommentId() is not { } id
            || (compilation.GetMetadataReference(assembly) as PortableExecutableReference)?.FilePath is not { } path)
            return null;
        return Candidates(path, original).Select(file => Find(file, id)).FirstOrDefault(member => member is not null);
    }

    private static IEnumerable<string> Candidates(string assembly, ISymbol symbol)
    {
        var beside = Path.ChangeExtension(assembly, ".xml");
        if (File.Exists(beside))
            return [beside];
        if (ReferencePack.Value is not { } pack || !assembly.StartsWith(RuntimeEnvironment.GetRuntimeDirectory(), StringComparison.Ordinal))
            return [];
        // What an assembly of the runtime holds is documented under the name of the reference assembly, which is another one for all of CoreLib.
        var space = symbol.ContainingNamespace?.ToDisplayString() ?? "";
        return new[] { Path.GetFileName(beside), "System.Runtime.xml", space + ".xml", "System.Collections.xml", "System.Threading.xml", "System.Linq.xml", "System.Console.xml" }
            .Distinct().Select(name => Path.Combine(pack, name)).Where(File.Exists);
    }

    private static string? FindReferencePack()
    {
        // shared/Microsoft.NETCore.App/10.0.1/ and packs/Microsoft.NETCore.App.Ref/10.0.1/ref/net10.0/ are in one folder; the pack comes with the SDK only.
        var packs = new DirectoryInfo(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref"));
        if (!packs.Exists)
            return null;
        var moniker = $"net{Environment.Version.Major}.0";
        return packs.EnumerateDirectories($"{Environment.Version.Major}.*").Select(version => Path.Combine(version.FullName, "ref", moniker)).FirstOrDefault(Directory.Exists);
    }

    private static XElement? Find(string file, string id)
    {
        var text = Files.GetOrAdd(file, File.ReadAllText);
        var start = text.IndexOf($"<member name=\"{id}\"", StringComparison.Ordinal);
        if (start < 0)
            return null;
        var end = text.IndexOf("</member>", start, StringComparison.Ordinal);
        return end < 0 ? null : Parse(text[start..(end + "</member>".Length)]);
    }

    private static XElement? Parse(string xml)
    {
        try
        {
            return XElement.Parse(xml, LoadOptions.PreserveWhitespace);
        }
        catch (XmlException)
        {
            // A stray < in somebody's remark: then there is the signature only.
            return null;
        }
    }

    private static XmlDocumentation Read(XElement member) => new(
        Text(member.Element("summary")),
        [.. member.Elements("param").Concat(member.Elements("typeparam")).Select(each => ((string?)each.Attribute("name") ?? "", Text(each)))],
        Text(member.Element("returns")),
        [.. member.Elements("exception").Select(each => (ShortName((string?)each.Attribute("cref") ?? ""), Text(each)))]);

    private static string Text(XElement? element)
    {
        var text = new StringBuilder();
        foreach (var node in element?.Nodes() ?? [])
        {
            text.Append(node switch
            {
                XText plain => plain.Value,
                XElement { Name.LocalName: "see" or "seealso" or "paramref" or "typeparamref" } link when link.IsEmpty
                    => ShortName((string?)link.Attribute("cref") ?? (string?)link.Attribute("name") ?? (string?)link.Attribute("langword") ?? (string?)link.Attribute("href") ?? ""),
                XElement inner => " " + Text(inner) + " ",
                _ => "",
            });
        }
        return string.Join(' ', text.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Replace(" .", ".", StringComparison.Ordinal).Replace(" ,", ",", StringComparison.Ordinal);
    }

    /// <summary>M:A.B.Type.Method(System.Int32) is "Method", T:A.B.Type`1 is "Type".</summary>
    private static string ShortName(string id)
    {
        if (id.Length < 2 || id[1] != ':')
            return id;
        var name = id[2..].Split('(')[0].Split('.')[^1].Split('`')[0];
        return id[0] is 'M' or 'P' or 'F' && id[2..].Split('(')[0].Split('.') is [.., var owner, _] ? $"{owner.Split('`')[0]}.{name}" : name;
    }
}
