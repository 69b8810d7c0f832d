using System.ComponentModel;
using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The processor under the tests, asked in a process of its own: whatever an instruction does there, a signal for every kind of processor among it,
/// is an answer, and neither the tests' process nor .NET's signal handlers learn of it. A trial that ends the process itself is told too, and the
/// trials behind it go on in another process.
/// </summary>
internal sealed unsafe class TrialProcess : IDisposable
{
    private static readonly TimeSpan LongestBatch = TimeSpan.FromSeconds(60);

    private readonly TrialMapping[] _mappings;
    private readonly int _recordsMax;
    private readonly string _shared;
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _memory;
    private Process? _process;

    /// <param name="recordsMax">How many trials a batch may have.</param>
    /// <param name="mappings">What memory there is besides.</param>
    public TrialProcess(int recordsMax, params ReadOnlySpan<TrialMapping> mappings)
    {
        _recordsMax = recordsMax;
        var records = ((TrialProgram.HeaderBytes + (recordsMax * Unsafe.SizeOf<TrialRecord>()) - 1) | (GuestMemory.PageBytes - 1)) + 1;
        _mappings = [new(TrialProgram.Header, records, PagePermissions.Read | PagePermissions.Write), .. mappings];
        _shared = Path.Combine(Path.GetTempPath(), $"livepatchlab-{Guid.NewGuid():n}");
        _file = MemoryMappedFile.CreateFromFile(_shared, FileMode.CreateNew, null, _mappings.Sum(mapping => (long)mapping.Bytes));
        _view = _file.CreateViewAccessor();
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _memory);
    }

    /// <summary>An x64 Linux, for which the program is made.</summary>
    public static bool IsUsable => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>How long a batch may take before the trial that runs is taken for one that never ends.</summary>
    public TimeSpan Patience { get; init; } = LongestBatch;

    /// <summary>True where a system call of a trial is refused. Known once something has run.</summary>
    public bool IsFenced => *(ulong*)(_memory + TrialProgram.Fence) == 0;

    /// <summary>How often a process was started.</summary>
    public int Processes { get; private set; }

    public ref TrialRecord this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)_recordsMax);
            return ref ((TrialRecord*)(_memory + TrialProgram.HeaderBytes))[index];
        }
    }

    /// <summary>The trial process's memory, as the tests may read and write it.</summary>
    public Span<byte> Window(GuestAddress start, int length)
    {
        var offset = 0L;
        foreach (var mapping in _mappings)
        {
            if (start >= mapping.Start && start + length <= mapping.Start + mapping.Bytes) return new(_memory + offset + (start - mapping.Start), length);
            offset += mapping.Bytes;
        }

        throw new ArgumentOutOfRangeException(nameof(start), $"{length} bytes at {start} are in no mapping");
    }

    /// <summary>Tries the first records, one after the other.</summary>
    public void Run(int count)
    {
        var next = 0;
        while (next < count)
        {
            var process = _process ??= Start();
            Word(TrialProgram.Current) = AddressOf(next);
            Word(TrialProgram.End) = AddressOf(count);
            process.StandardInput.BaseStream.WriteByte(0);
            process.StandardInput.BaseStream.Flush();
            if (HasAnswered(process)) return;

            // The trial that ran is the one that has ended the process.
            next = (int)((Word(TrialProgram.Current) - AddressOf(0)) / (ulong)Unsafe.SizeOf<TrialRecord>());
            if (next >= count) throw new InvalidOperationException($"the trial process ended between trials, with status {End(process)}");
            this[next].Signal = (ulong)TrialSignal.EndOfProcess;
            this[next].SignalCode = (ulong)End(process);
            next++;
        }
    }

    public void Dispose()
    {
        if (_process is { } process)
        {
            process.StandardInput.Close();
            process.WaitForExit();
            process.Dispose();
        }

        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        File.Delete(_shared);
    }

    private ref ulong Word(int offset) => ref *(ulong*)(_memory + offset);

    private static ulong AddressOf(int record) => TrialProgram.Header.Value + TrialProgram.HeaderBytes + (ulong)(record * Unsafe.SizeOf<TrialRecord>());

    private Process Start()
    {
        // Beside the tests' own assembly, for a folder for temporary files may refuse to execute them.
        var path = Path.Combine(AppContext.BaseDirectory, $"trial-{Guid.NewGuid():n}");
        try
        {
            if (!OperatingSystem.IsLinux()) throw new PlatformNotSupportedException("the trial process is a program of Linux");
            File.WriteAllBytes(path, TrialProgram.Make(_mappings));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var process = Execute(new ProcessStartInfo(path, [_shared]) { RedirectStandardInput = true, RedirectStandardOutput = true });
            Processes++;
            return HasAnswered(process) ? process : throw new InvalidOperationException($"the trial process does not start: status {End(process)}");
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static Process Execute(ProcessStartInfo start)
    {
        const int TextFileBusy = 26, Attempts = 100;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return Process.Start(start)!;
            }
            catch (Win32Exception e) when (e.NativeErrorCode == TextFileBusy && attempt < Attempts)
            {
                // Another thread has started a process while the file was being written, and that has not yet closed what it got from us.
                Thread.Sleep(10);
            }
        }
    }

    /// <summary>False when the process has ended, or has had to be ended, without a word.</summary>
    private bool HasAnswered(Process process)
    {
        var answer = new byte[1];
        var reading = process.StandardOutput.BaseStream.ReadAsync(answer).AsTask();
        if (!reading.Wait(Patience)) process.Kill();
        return reading.GetAwaiter().GetResult() == 1;
    }

    private int End(Process process)
    {
        process.WaitForExit();
        var status = process.ExitCode;
        process.Dispose();
        _process = null;
        return status;
    }
}
