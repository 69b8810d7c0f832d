namespace LivePatchLab.Machine;

/// <summary>What is known of the code in a machine's memory, for whoever shows it to people. The machine itself never asks.</summary>
public interface ICodeMap
{
    /// <summary>Whose code it is: a kernel's release, the path of a program.</summary>
    string Source { get; }

    /// <summary>The name of what begins at an address, or null.</summary>
    string? LabelAt(GuestAddress address);

    /// <summary>"name" or "name+0x12", as the kernel's %pS prints it; null where no name covers the address.</summary>
    string? NameOf(GuestAddress address);

    bool TryFind(string name, out GuestAddress address);

    /// <summary>The first name that begins above an address; null after the last.</summary>
    GuestAddress? NextAfter(GuestAddress address);

    /// <summary>The number of the patch site that begins at an address, or null.</summary>
    int? SiteAt(GuestAddress address);
}
