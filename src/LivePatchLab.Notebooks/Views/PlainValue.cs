using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace LivePatchLab.Notebooks;

/// <summary>How values without a view are shown: scalars as text, sequences as lists, sequences of records as tables.</summary>
internal static class PlainValue
{
    private const int RowsMax = 20;
    private const int CellLengthMax = 120;

    public static MimeBundle Bundle(object value)
    {
        if (value is not string && value is IEnumerable sequence)
            return Sequence(sequence);
        if (IsScalar(value.GetType()) || HasOwnText(value.GetType()))
            return new(MimeBundle.Plain, Text(value));
        var columns = Columns(value.GetType());
        if (columns.Count == 0)
            return new(MimeBundle.Plain, Text(value));
        var table = new DataTable(["", TypeName(value.GetType())], [.. columns.Select(column => new[] { column.Name, Short(column.Read(value)) })]);
        return table.Bundle();
    }

    private static MimeBundle Sequence(IEnumerable sequence)
    {
        var shown = new List<object?>();
        var more = 0L;
        foreach (var item in sequence)
        {
            if (shown.Count < RowsMax)
                shown.Add(item);
            else if (sequence is ICollection collection)
            {
                more = collection.Count - shown.Count;
                break;
            }
            else if (++more == 1_000_000)
            {
                // A sequence without end must not hold the notebook.
                break;
            }
        }
        var remainder = more == 0 ? "" : more == 1_000_000 ? "… and more than a million more" : string.Create(CultureInfo.InvariantCulture, $"… and {more} more");
        var type = shown.FirstOrDefault(item => item is not null)?.GetType();
        var columns = type is null || shown.Any(item => item?.GetType() != type) || IsScalar(type) || typeof(IEnumerable).IsAssignableFrom(type) ? [] : Columns(type);
        if (columns.Count == 0)
            return new(MimeBundle.Plain, $"[{string.Join(", ", shown.Select(Short))}{(more == 0 ? "" : " ")}{remainder}]");
        return new DataTable([.. columns.Select(column => column.Name)], [.. shown.Select(item => columns.Select(column => Short(column.Read(item!))).ToArray())])
        {
            Remainder = remainder,
            Numeric = [.. columns.Select(column => IsNumber(column.Type))],
        }.Bundle();
    }

    public static string Text(object? value) => value switch
    {
        null => "null",
        string text => text,
        bool yes => yes ? "true" : "false",
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    private static string Short(object? value)
    {
        var text = (value is not string && value is IEnumerable inner ? $"[{string.Join(", ", inner.Cast<object?>().Take(RowsMax).Select(Text))}]" : Text(value))
            .ReplaceLineEndings(" ");
        return text.Length <= CellLengthMax ? text : text[..(CellLengthMax - 1)] + "…";
    }

    private static List<Column> Columns(Type type)
    {
        if (typeof(ITuple).IsAssignableFrom(type) && type.Name.StartsWith("ValueTuple", StringComparison.Ordinal))
            return [.. type.GetFields().Select(field => new Column(field.Name, field.FieldType, field.GetValue))];
        return
        [
            .. type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                .Where(property => property.CanRead && property.GetMethod!.IsPublic && property.GetIndexParameters().Length == 0 && property.Name != "EqualityContract" && !property.PropertyType.IsByRefLike)
                .Select(property => new Column(property.Name, property.PropertyType, instance => Read(property, instance))),
        ];
    }

    private static object? Read(PropertyInfo property, object instance)
    {
        try
        {
            return property.GetValue(instance);
        }
        catch (TargetInvocationException failed)
        {
            // A property that throws must not hide the others.
            return $"({failed.InnerException?.GetType().Name})";
        }
    }

    private static bool IsScalar(Type type)
        => type.IsPrimitive || type.IsEnum || type == typeof(string) || type == typeof(decimal) || type == typeof(DateTime) || type == typeof(TimeSpan)
            || type == typeof(Guid) || (type.IsValueType && typeof(IFormattable).IsAssignableFrom(type)) || typeof(Type).IsAssignableFrom(type) || typeof(Delegate).IsAssignableFrom(type);

    private static bool IsNumber(Type type) => type.IsPrimitive && type != typeof(bool) && type != typeof(char) || type == typeof(decimal);

    private static bool HasOwnText(Type type) => type.GetMethod("ToString", Type.EmptyTypes)?.DeclaringType is { } declaring
        && declaring != typeof(object) && declaring != typeof(ValueType);

    private static string TypeName(Type type) => type.Name.Contains("AnonymousType", StringComparison.Ordinal) ? "" : type.Name.Split('`')[0];

    private sealed record Column(string Name, Type Type, Func<object, object?> Read);
}
