using Iced.Intel;
using Xunit.Abstractions;

namespace LivePatchLab.Machine.Tests;

/// <summary>Which codes are translated, and what is known of the host's outcome of each: all immediates, on registers and in memory.</summary>
public sealed unsafe class HostTrialsTests(ITestOutputHelper output)
{
    private const int InstancesPerCode = 24;

    /// <summary>
    /// A code whose defined flags or result come out otherwise than the interpreter's would be a fault of either. What may differ is what the test's own reading of the
    /// manual says, and the result of three codes.
    /// </summary>
    [TranslatorFact]
    public void All_immediates_of_all_translatable_codes_differ_in_undefined_flags_alone()
    {
        using var trials = new Trials(NativeHost.Own);
        var (codes, differing) = (0, 0);
        foreach (var (code, instances) in Translatable())
        {
            var difference = trials.Of.Try(instances[0]);
            codes++;
            if (difference != default) differing++;
            if (difference.IsUnfit) code.Mnemonic().ShouldBeOneOf(ResultMayDiffer);
            var undefined = instances.Aggregate(RflagsBits.None, (flags, instance) => flags | AllUndefined(instance));
            ((difference.Zeroed | difference.Flags) & ~undefined).ShouldBe(RflagsBits.None, $"{code}");

            // What the translator takes for granted without a trial.
            if (difference != default && !LeftUndefined.ByCode(instances[0])) throw new InvalidOperationException($"{code} differs, and is never tried");
            foreach (var instance in instances) LeftUndefined.ByCode(instance).ShouldBe(LeftUndefined.ByCode(instances[0]), $"{code}");
        }

        output.WriteLine($"{codes} codes, {differing} of them differ on this host");
        codes.ShouldBeGreaterThan(350);
    }

    /// <summary>The control: on a host that leaves all undefined flags otherwise, all of them are found, for every code that has some.</summary>
    [TranslatorFact]
    public void A_host_that_differs_in_all_undefined_flags_is_found_out()
    {
        using var trials = new Trials(OtherHosts.All[OtherHosts.Differing]);
        foreach (var (code, instances) in Translatable())
        {
            var difference = trials.Of.Try(instances[0]);
            var expected = RflagsBits.None;
            for (var immediate = 0; immediate <= byte.MaxValue; immediate++) expected |= LeftUndefined.By(WithImmediate(instances[0], (byte)immediate)).All;
            if (!difference.IsUnfit) ((difference.Zeroed | difference.Flags) & expected).ShouldBe(expected, $"{code}");
        }
    }

    /// <summary>What the interpreter has 0 is 0, whatever the operands, the flags before and the immediate.</summary>
    [Fact]
    public void What_is_said_to_be_zero_is_zero_in_the_interpreter()
    {
        using var arena = new OpArena();
        var builder = new BlockBuilder(arena);
        var draw = new Draw(7);
        var seen = RflagsBits.None;
        foreach (var (code, instances) in Translatable())
        {
            foreach (var instance in instances)
            {
                if (Enumerable.Range(0, instance.OpCount).Any(i => instance.GetOpKind(i) == OpKind.Memory) || instance.FlowControl != FlowControl.Next || instance.IsStackInstruction) continue;
                CpuState cpu = default;
                for (var register = 0; register < 16; register++) cpu.Registers[register] = draw.Interesting();
                if (instance.Mnemonic is Mnemonic.Div or Mnemonic.Idiv) continue;
                LazyFlags.SetBits(&cpu, LazyFlags.All);
                var zeroed = InstructionTable.Of(instance).Zeroed(instance).With(cpu.Registers[Gpr.Rcx]);
                var op = builder.BuildSingle(instance);
                ((delegate*<CpuState*, Op*, byte*, long, void>)op->Handler)(&cpu, op, null, 0);
                (LazyFlags.Status(&cpu) & LazyFlags.OfBits(zeroed)).ShouldBe(0u, $"{instance}");
                seen |= zeroed;
            }
        }

        seen.ShouldBe(FlagLiveness.Status & ~RflagsBits.CF | (seen & RflagsBits.CF));
    }

    /// <summary>Bytes of every kind, with all prefixes there are: what is translated has a handler, and the host what it takes.</summary>
    [Fact]
    public void Only_what_the_interpreter_has_a_handler_for_is_translated()
    {
        var draw = new Draw(11);
        var (translated, refused) = (new HashSet<Code>(), new HashSet<Code>());
        Span<byte> bytes = stackalloc byte[16];
        for (var i = 0; i < 3_000_000; i++)
        {
            draw.Bytes(16).CopyTo(bytes);
            bytes[0] = draw.Below(4) switch
            {
                0 => bytes[0],
                1 => (byte)(0x40 | (bytes[0] & 15)),
                2 => (byte)(bytes[0] % 3 == 0 ? 0x8f : bytes[0] % 3 == 1 ? 0xc4 : 0xc5),
                _ => 0x0f,
            };
            var decoder = Decoder.Create(64, new ByteArrayCodeReader(bytes.ToArray()), DecoderOptions.None);
            decoder.IP = 0x401000;
            decoder.Decode(out var instruction);
            if (instruction.IsInvalid) continue;
            if (!NativeInstructions.IsTranslated(instruction))
            {
                refused.Add(instruction.Code);
                continue;
            }

            translated.Add(instruction.Code);
            OpBuilder.Accepts(instruction).ShouldBeTrue($"{instruction.Code}");
            if (!NativeInstructions.IsNothing(instruction)) NativeHost.Own.Has(instruction.Code).ShouldBe(HasOnHost(instruction.Code), $"{instruction.Code}");
        }

        output.WriteLine($"{translated.Count} codes translated, {refused.Count} not");
        translated.Count.ShouldBeGreaterThan(300);
        refused.Count.ShouldBeGreaterThan(1000);
    }

    /// <summary>BEXTR with an immediate is AMD's (TBM), and another instruction than that of BMI1.</summary>
    [Fact]
    public void The_BEXTR_of_another_extension_is_not_translated()
    {
        var decoder = Decoder.Create(64, new ByteArrayCodeReader([0x8f, 0xea, 0x78, 0x10, 0xc3, 0x00, 0x04, 0x08, 0x00]));
        decoder.Decode(out var instruction);
        instruction.Code.ShouldBe(Code.XOP_Bextr_r32_rm32_imm32);
        NativeInstructions.IsTranslated(instruction).ShouldBeFalse();
        NativeHost.Own.Has(instruction.Code).ShouldBeFalse();
    }

    // SHLD and SHRD of 16 bits by more than 16 give an undefined result (SDM vol. 2), and so do BSF and BSR of 0.
    private static readonly Mnemonic[] ResultMayDiffer = [Mnemonic.Shld, Mnemonic.Shrd, Mnemonic.Bsf, Mnemonic.Bsr];

    private static bool HasOnHost(Code code) => code.CpuidFeatures().All(HostFeatures.Has);

    /// <summary>Instances of each code that is translated, the first without memory where there is one.</summary>
    private static IEnumerable<(Code Code, List<Instruction> Instances)> Translatable()
    {
        var draw = new Draw(3);
        foreach (var code in ClaimedCodes.All)
        {
            var instances = new List<Instruction>();
            for (var i = 0; i < InstancesPerCode; i++)
                if (ClaimedCodes.Instance(code, draw, 1)?.Instructions[0] is { } instance && NativeInstructions.IsTranslated(instance) && !NativeInstructions.IsNothing(instance)) instances.Add(instance);
            if (instances.Count == 0 || !IsOrdinary(instances[0])) continue;
            yield return (code, instances);
        }
    }

    // Those that go through RSP or elsewhere are written out by hand, and touch no flag; LEA has no operand on which it could be tried.
    private static bool IsOrdinary(in Instruction instruction) => instruction.FlowControl == FlowControl.Next && !instruction.IsStackInstruction && instruction.Mnemonic != Mnemonic.Lea;

    private static RflagsBits AllUndefined(in Instruction instance)
    {
        var undefined = RflagsBits.None;
        for (var immediate = 0; immediate <= byte.MaxValue; immediate++) undefined |= UndefinedFlags.After(WithImmediate(instance, (byte)immediate), RflagsBits.None);

        // An RCL or RCR that goes once around changes OF on some processors.
        return instance.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr ? undefined | RflagsBits.OF : undefined;
    }

    private static Instruction WithImmediate(in Instruction instance, byte immediate)
    {
        var instruction = instance;
        for (var i = 0; i < instruction.OpCount; i++)
            if (LeftUndefined.IsByte(instruction.GetOpKind(i)) && instruction.Code.ToOpCode().GetOpKind(i) != OpCodeOperandKind.imm8_const_1) LeftUndefined.SetByte(ref instruction, i, immediate);
        return instruction;
    }

    private sealed class Trials : IDisposable
    {
        private readonly CodeMemory _memory = CodeMemory.TryCreate(NativeCache.LeastBytes) ?? throw new InvalidOperationException("no memory for code");

        public Trials(NativeHost host)
        {
            FaultSignals.Install();
            var emitter = new NativeEmitter();
            Of = new(_memory, emitter, new(_memory, emitter), host);
        }

        public HostTrials Of { get; }

        public void Dispose() => _memory.Dispose();
    }
}
