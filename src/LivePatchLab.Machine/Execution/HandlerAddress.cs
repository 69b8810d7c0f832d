using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// From a handler's name and type arguments to the address of its code. The run-time's own function pointer leads through a
/// stub (jmp [rip+x]); a chain of handlers would pay for it at every instruction, so on x64 the stub is followed once,
/// after the method has been compiled. Handlers are compiled fully optimised at once and never again, so the address lasts.
/// </summary>
internal static unsafe class HandlerAddress
{
    private static readonly ConcurrentDictionary<Key, nint> Known = new();

    public static nint Of(Type family, string method, Type? a = null, Type? b = null, Type? c = null, Type? d = null, Type? e = null, Type? f = null)
        => Known.GetOrAdd(new Key(family, method, a, b, c, d, e, f), Compile);

    private static nint Compile(Key key)
    {
        var method = key.Family.GetMethod(key.Method, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            ?? throw new MissingMethodException(key.Family.Name, key.Method);
        Type[] arguments = [.. new[] { key.A, key.B, key.C, key.D, key.E, key.F }.OfType<Type>()];
        if (arguments.Length > 0) method = method.MakeGenericMethod(arguments);
        RuntimeHelpers.PrepareMethod(method.MethodHandle, arguments.Length > 0 ? [.. arguments.Select(type => type.TypeHandle)] : null);
        return BehindStub(method.MethodHandle.GetFunctionPointer());
    }

    private static nint BehindStub(nint code)
    {
        const ushort JumpThroughMemory = 0x25ff;
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return code;
        while (*(ushort*)code == JumpThroughMemory) code = *(nint*)(code + 6 + *(int*)(code + 2));
        return code;
    }

    private readonly record struct Key(Type Family, string Method, Type? A, Type? B, Type? C, Type? D, Type? E, Type? F);
}
