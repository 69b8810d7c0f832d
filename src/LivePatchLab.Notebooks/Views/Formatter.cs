using System.Collections.Concurrent;
using System.Reflection;

namespace LivePatchLab.Notebooks;

/// <summary>
/// Turns a value into its MIME forms: by the view registered for its type, by the formatters that its attribute names (the convention of
/// .NET Interactive, see <see cref="TypeFormatterSourceAttribute"/>), and else by what reads well.
/// </summary>
public static class Formatter
{
    private static readonly ConcurrentDictionary<Type, Func<object, object>> ViewByType = new();
    private static readonly ConcurrentDictionary<Type, ConventionFormatters?> ConventionByType = new();

    /// <summary>The types that were given a view, for hosts that keep such a table of their own.</summary>
    public static IReadOnlyCollection<Type> ViewedTypes => [.. ViewByType.Keys];

    /// <summary>Has values of a type shown by a view. So the machine and the protocols need to know nothing of HTML.</summary>
    public static void Show<T>(Func<T, object> view) where T : notnull => ViewByType[typeof(T)] = value => view((T)value);

    public static MimeBundle Bundle(object? value)
    {
        if (value is MimeBundle bundle)
            return bundle;
        if (value is null)
            return new(MimeBundle.Plain, "null");
        var shown = ViewOf(value);
        var forms = ConventionByType.GetOrAdd(shown.GetType(), ConventionFormatters.Find)?.Bundle(shown) ?? PlainValue.Bundle(shown);
        if (shown is IPictured pictured)
            forms.Picture = pictured.Picture;
        return forms;
    }

    /// <summary>The view of a value, or the value itself.</summary>
    public static object ViewOf(object value)
    {
        for (var type = value.GetType(); type is not null; type = type.BaseType)
        {
            if (ViewByType.TryGetValue(type, out var view))
                return view(value);
        }
        return value;
    }
}

/// <summary>The formatters of one type, found by the names of their members.</summary>
internal sealed class ConventionFormatters
{
    private const string AttributeName = "TypeFormatterSourceAttribute";

    private readonly List<(string MimeType, Func<object, TextWriter, bool> Format)> _formatters = [];

    public static ConventionFormatters? Find(Type type)
    {
        var attribute = type.GetCustomAttributes(inherit: true).FirstOrDefault(each => each.GetType().Name == AttributeName);
        if (attribute is null || Property<Type>(attribute, "FormatterSourceType") is not { } sourceType || Activator.CreateInstance(sourceType) is not { } source)
            return null;
        if (sourceType.GetMethod("CreateTypeFormatters", BindingFlags.Public | BindingFlags.Instance)?.Invoke(source, null) is not System.Collections.IEnumerable created)
            return null;
        var found = new ConventionFormatters();
        foreach (var formatter in created)
        {
            var format = formatter.GetType().GetMethod("Format", [typeof(object), typeof(TextWriter)]);
            if (Property<string>(formatter, "MimeType") is { } mimeType && format?.ReturnType == typeof(bool))
                found._formatters.Add((mimeType, format.CreateDelegate<Func<object, TextWriter, bool>>(formatter)));
        }
        // The preferred types come first, in their order; the others follow, because a saved notebook is read by more than one program.
        var preferred = Property<string[]>(attribute, "PreferredMimeTypes") ?? [];
        found._formatters.Sort((one, other) => Rank(preferred, one.MimeType).CompareTo(Rank(preferred, other.MimeType)));
        return found;
    }

    public MimeBundle? Bundle(object value)
    {
        var bundle = new MimeBundle();
        foreach (var (mimeType, format) in _formatters)
        {
            var writer = new StringWriter();
            if (!bundle.Has(mimeType) && format(value, writer))
                bundle.Set(mimeType, writer.ToString());
        }
        return bundle.Count == 0 ? null : bundle;
    }

    private static int Rank(string[] preferred, string mimeType)
    {
        var index = Array.IndexOf(preferred, mimeType);
        return index < 0 ? int.MaxValue : index;
    }

    private static T? Property<T>(object owner, string name) where T : class => owner.GetType().GetProperty(name)?.GetValue(owner) as T;
}
