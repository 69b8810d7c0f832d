using System.Globalization;
using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks;

/// <summary>The top of a stack, the lowest address first.</summary>
internal static class StackView
{
    public static HtmlFragment Of(StackListing stack)
    {
        var view = new ViewBuilder().Headline($"stack of {stack.Cpu}", $": {ViewBuilder.Plural(stack.Words.Count, "word")} from rsp = {stack.Rsp}");
        return stack.Words.Count == 0
            ? view.Paragraph("Nothing is mapped there.").Build()
            : view.Table(new(["place", "address", "value", "what that is"],
                [.. stack.Words.Select(word => (string[])[Place(word.Offset), word.Address.ToString(), word.Value.Value.ToString("x16", CultureInfo.InvariantCulture), word.Value.Name ?? ""])])).Build();
    }

    private static string Place(int offset) => offset == 0 ? "rsp" : string.Create(CultureInfo.InvariantCulture, $"rsp + {offset}");
}
