namespace LivePatchLab.Machine;

/// <summary>The registers by their names.</summary>
public sealed unsafe partial class Cpu
{
    public ulong Rax { get => State->Registers[0]; set => State->Registers[0] = value; }

    public ulong Rcx { get => State->Registers[1]; set => State->Registers[1] = value; }

    public ulong Rdx { get => State->Registers[2]; set => State->Registers[2] = value; }

    public ulong Rbx { get => State->Registers[3]; set => State->Registers[3] = value; }

    public ulong Rsp { get => State->Registers[4]; set => State->Registers[4] = value; }

    public ulong Rbp { get => State->Registers[5]; set => State->Registers[5] = value; }

    public ulong Rsi { get => State->Registers[6]; set => State->Registers[6] = value; }

    public ulong Rdi { get => State->Registers[7]; set => State->Registers[7] = value; }

    public ulong R8 { get => State->Registers[8]; set => State->Registers[8] = value; }

    public ulong R9 { get => State->Registers[9]; set => State->Registers[9] = value; }

    public ulong R10 { get => State->Registers[10]; set => State->Registers[10] = value; }

    public ulong R11 { get => State->Registers[11]; set => State->Registers[11] = value; }

    public ulong R12 { get => State->Registers[12]; set => State->Registers[12] = value; }

    public ulong R13 { get => State->Registers[13]; set => State->Registers[13] = value; }

    public ulong R14 { get => State->Registers[14]; set => State->Registers[14] = value; }

    public ulong R15 { get => State->Registers[15]; set => State->Registers[15] = value; }

    /// <summary>A register by its name: rax … r15, rip, rflags, in any case.</summary>
    /// <exception cref="ArgumentException">There is no such register.</exception>
    public ulong this[string register]
    {
        get => RegisterNames.IndexOf(register) switch
        {
            RegisterNames.Rip => State->Rip,
            RegisterNames.Rflags => Rflags,
            >= 0 and var index => State->Registers[index],
            _ => throw NoRegister(register),
        };
        set
        {
            switch (RegisterNames.IndexOf(register))
            {
                case RegisterNames.Rip:
                    Rip = new(value);
                    break;
                case RegisterNames.Rflags:
                    Rflags = value;
                    break;
                case >= 0 and var index:
                    State->Registers[index] = value;
                    break;
                default:
                    throw NoRegister(register);
            }
        }
    }

    /// <summary>All registers that have a name, in the order of <see cref="RegisterNames.All"/>.</summary>
    public ulong[] NamedRegisters() => [.. Registers, State->Rip, Rflags];

    private static ArgumentException NoRegister(string name) => new($"there is no register '{name}': the names are rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15, rip, rflags");
}
