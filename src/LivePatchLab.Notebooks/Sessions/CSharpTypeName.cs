using System.Reflection;

namespace LivePatchLab.Notebooks;

/// <summary>Writes a type as C# source, for the declaration of a variable that a magic has set.</summary>
internal static class CSharpTypeName
{
    private const string SubmissionPrefix = "Submission#";

    /// <summary>The type itself where C# can name it, else the nearest base class or a generic interface that it can.</summary>
    public static Type Nameable(Type type)
    {
        if (IsNameable(type))
            return type;
        for (var parent = type.BaseType; parent is not null && parent != typeof(object); parent = parent.BaseType)
        {
            if (IsNameable(parent))
                return parent;
        }
        return type.GetInterfaces().FirstOrDefault(each => each.IsGenericType && IsNameable(each)) ?? typeof(object);
    }

    /// <summary>The assemblies that a declaration of this type needs.</summary>
    public static IEnumerable<Assembly> Assemblies(Type type)
        => type.HasElementType
            ? Assemblies(type.GetElementType()!)
            : type.GetGenericArguments().SelectMany(Assemblies).Prepend(type.Assembly);

    public static string Of(Type type)
    {
        if (type.IsArray)
            return Array(type);
        if (type.IsPointer)
            throw new ArgumentException($"{type} is a pointer, which no variable of a cell can hold", nameof(type));
        var arguments = type.GetGenericArguments();
        if (type.DeclaringType is not { } declaring)
            return $"global::{(type.Namespace is null ? "" : type.Namespace + ".")}{Part(type, arguments)}";
        // A type declared in a cell is nested in the submission's class, which has no name in C#; the type is in scope as it is.
        var own = arguments[declaring.GetGenericArguments().Length..];
        if (declaring.Name.StartsWith(SubmissionPrefix, StringComparison.Ordinal))
            return Part(type, own);
        var outer = declaring.IsGenericTypeDefinition ? declaring.MakeGenericType(arguments[..declaring.GetGenericArguments().Length]) : declaring;
        return $"{Of(outer)}.{Part(type, own)}";
    }

    private static string Array(Type type)
    {
        // int[][,] is an array of int[,]: C# writes the outermost rank first.
        var ranks = "";
        var element = type;
        for (; element.IsArray; element = element.GetElementType()!)
            ranks += $"[{new string(',', element.GetArrayRank() - 1)}]";
        return Of(element) + ranks;
    }

    private static string Part(Type type, Type[] arguments)
    {
        var name = type.Name.Split('`')[0];
        return arguments.Length == 0 ? name : $"{name}<{string.Join(", ", arguments.Select(Of))}>";
    }

    private static bool IsNameable(Type type)
    {
        if (type.IsArray)
            return IsNameable(type.GetElementType()!);
        for (var each = type; each is not null; each = each.DeclaringType)
        {
            if (each.Name.StartsWith(SubmissionPrefix, StringComparison.Ordinal))
                return true;
            if (each.Name.Contains('<') || !(each.IsPublic || each.IsNestedPublic))
                return false;
        }
        return !type.IsPointer && !type.IsByRef && type.GetGenericArguments().All(IsNameable);
    }
}
