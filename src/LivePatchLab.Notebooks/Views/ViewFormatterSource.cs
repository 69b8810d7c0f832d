using System.Reflection;

namespace LivePatchLab.Notebooks;

/// <summary>The formatters of a view: a type with a public <c>string ToHtml()</c>, whose <c>ToString()</c> is its plain text.</summary>
public sealed class ViewFormatterSource
{
    public IEnumerable<object> CreateTypeFormatters() => [new HtmlFormatter(), new PlainFormatter()];

    // The parameter must be exactly 'object', and there must be one public Format only: .NET Interactive binds it by reflection.
    internal sealed class HtmlFormatter
    {
        public string MimeType => MimeBundle.Html;

        public bool Format(object instance, TextWriter writer)
        {
            var toHtml = instance.GetType().GetMethod("ToHtml", BindingFlags.Public | BindingFlags.Instance, Type.EmptyTypes);
            if (toHtml?.Invoke(instance, null) is not string html)
                return false;
            writer.Write(html);
            return true;
        }
    }

    internal sealed class PlainFormatter
    {
        public string MimeType => MimeBundle.Plain;

        public bool Format(object instance, TextWriter writer)
        {
            writer.Write(instance.ToString());
            return true;
        }
    }
}
