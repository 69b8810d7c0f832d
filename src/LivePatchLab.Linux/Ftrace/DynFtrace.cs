using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>What ftrace_replace_code() has to do with a record.</summary>
public enum FtraceUpdate
{
    Ignore,
    MakeCall,
    MakeNop,
}

/// <summary>ftrace's record of one traced function.</summary>
[KernelName("dyn_ftrace", File = "include/linux/ftrace.h", Version = "v3.12")]
public sealed class DynFtrace(GuestAddress ip)
{
    /// <summary>The address of the call, or nop.</summary>
    public GuestAddress Ip { get; } = ip;

    /// <summary>Whether the text holds the call now: FTRACE_FL_ENABLED.</summary>
    public bool IsEnabled { get; private set; }

    /// <summary>ftrace_test_record(): what is to be done so that the record becomes as wanted.</summary>
    public FtraceUpdate TestRecord(bool enable) => enable == IsEnabled ? FtraceUpdate.Ignore : enable ? FtraceUpdate.MakeCall : FtraceUpdate.MakeNop;

    /// <summary>ftrace_update_record(): as <see cref="TestRecord"/>, and the record takes the new state.</summary>
    public FtraceUpdate UpdateRecord(bool enable)
    {
        var update = TestRecord(enable);
        IsEnabled = enable;
        return update;
    }
}
