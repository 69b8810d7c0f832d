using System.Text.Json.Nodes;
using LivePatchLab.Linux;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LivePatchLab.Notebooks;

/// <summary>
/// Values that a notebook is run with instead of its own, in the way of papermill: a cell tagged <c>parameters</c> holds the defaults, and a cell tagged
/// <c>injected-parameters</c> is put behind it.
/// </summary>
public sealed class NotebookParameters
{
    public const string DefaultsTag = "parameters";
    public const string InjectedTag = "injected-parameters";

    /// <summary>Where papermill keeps its record, and where those who read such notebooks look for it.</summary>
    private const string RecordKey = "papermill";

    private readonly List<(string Name, ParameterValue Value)> _values = [];

    /// <summary>No parameters: notebooks run as they are.</summary>
    public static NotebookParameters None { get; } = new();

    /// <param name="given">Each <c>name=value</c>.</param>
    /// <exception cref="BadInputException">One of them is none, or a name is given twice.</exception>
    public static NotebookParameters Parse(IEnumerable<string> given)
    {
        var parameters = new NotebookParameters();
        foreach (var text in given)
        {
            var (name, value) = text.IndexOf('=') is >= 0 and var at
                ? (text[..at].Trim(), text[(at + 1)..])
                : throw new BadInputException($"--parameter {text}: no = in it; write name=value");
            if (!CSharpSession.IsVariableName(name))
                throw new BadInputException($"--parameter {text}: '{name}' cannot be the name of a C# variable");
            if (parameters._values.Any(known => known.Name == name))
                throw new BadInputException($"--parameter {text}: {name} is given twice");
            try
            {
                parameters._values.Add((name, ParameterValue.Parse(value)));
            }
            catch (BadInputException wrong)
            {
                throw new BadInputException($"--parameter {name}: {wrong.Message}");
            }
        }
        return parameters;
    }

    /// <summary>
    /// Puts the values into a notebook: a code cell behind its first <c>parameters</c> cell, in place of an injected one that is there already, or at the very
    /// front. A variable that the parameters cell declares is assigned, so that it keeps its type; others are declared. The notebook's metadata record the
    /// values, and no time, so that the same run still gives the same bytes.
    /// </summary>
    /// <returns>What the user should know, a line each: values that the notebook does not ask for.</returns>
    /// <exception cref="BadInputException">An empty list is given for a variable whose type nobody knows.</exception>
    public IReadOnlyList<string> PutInto(NotebookDocument document)
    {
        if (_values.Count == 0) return [];
        var defaults = document.Cells.FindIndex(cell => cell.Kind == CellKind.Code && cell.HasTag(DefaultsTag));
        var declared = defaults < 0 ? [] : Declarations(document.Cells[defaults].Source);
        var source = "// Parameters\n" + string.Join('\n', _values.Select(parameter => Statement(parameter.Name, parameter.Value, declared)));

        var injected = document.Cells.FindIndex(cell => cell.Kind == CellKind.Code && cell.HasTag(InjectedTag));
        if (injected >= 0)
            document.Cells[injected] = new(CellKind.Code, document.Cells[injected].Id, source) { Metadata = document.Cells[injected].Metadata };
        else
            document.Cells.Insert(defaults + 1, new(CellKind.Code, FreeId(document), source) { Metadata = new() { ["tags"] = new JsonArray(InjectedTag) } });
        document.Metadata[RecordKey] = new JsonObject { ["parameters"] = new JsonObject(_values.Select(parameter => KeyValuePair.Create(parameter.Name, (JsonNode?)parameter.Value.Json.DeepClone()))) };

        return defaults < 0
            ? [$"no code cell is tagged '{DefaultsTag}', so nothing tells whether the notebook uses {string.Join(", ", _values.Select(parameter => parameter.Name))}"]
            : [.. _values.Where(parameter => !declared.ContainsKey(parameter.Name)).Select(parameter => $"the '{DefaultsTag}' cell declares no '{parameter.Name}'.{Suggestion.Question(declared.Keys, parameter.Name)}")];
    }

    private static string Statement(string name, ParameterValue value, Dictionary<string, string?> declared)
    {
        if (declared.TryGetValue(name, out var constant)) return constant is null ? $"{name} = {value.Literal};" : $"const {constant} {name} = {value.Literal};";
        return value.Type is { } type
            ? $"{type} {name} = {value.Literal};"
            : throw new BadInputException($"--parameter {name}: an empty list has no type, and the notebook declares no '{name}' that has one");
    }

    /// <summary>The variables that a cell declares; with its type where it is a constant, which cannot be assigned, only declared anew.</summary>
    private static Dictionary<string, string?> Declarations(string source)
    {
        var code = string.Join('\n', CellPart.Split(source).Where(part => !part.IsMagic).Select(part => part.Text));
        var members = CSharpSyntaxTree.ParseText(code, new CSharpParseOptions(kind: SourceCodeKind.Script)).GetCompilationUnitRoot().Members;
        var declared = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var field in members.OfType<FieldDeclarationSyntax>())
            foreach (var variable in field.Declaration.Variables)
                declared[variable.Identifier.ValueText] = field.Modifiers.Any(SyntaxKind.ConstKeyword) ? field.Declaration.Type.ToString() : null;
        // var (a, b) = (1, 2);
        foreach (var designation in members.OfType<GlobalStatementSyntax>().SelectMany(statement => statement.DescendantNodes(node => node is not BlockSyntax)).OfType<SingleVariableDesignationSyntax>())
            declared[designation.Identifier.ValueText] = null;
        return declared;
    }

    private static string FreeId(NotebookDocument document)
    {
        var id = InjectedTag;
        while (document.Cells.Any(cell => cell.Id == id)) id += "-";
        return id;
    }
}
