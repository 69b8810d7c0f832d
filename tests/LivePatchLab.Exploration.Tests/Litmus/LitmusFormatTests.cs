using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>The format of litmus files: what is read, and what is said of a file that is wrong.</summary>
public sealed class LitmusFormatTests
{
    private const string Whole = """
        # a comment
        litmus    group/name
        question  May five bytes
                  be written by one store?
        site      call old -> call new, 3 bytes before an 8-byte boundary   # behind a line, too
        variable  flag = 0x10
        cpu0      steps
                    store site[0] = cc; sync
                    store site[1-4] = new
                    flag = 1
        cpu1      code
                  again:
                    cmp [flag], 1
                    jne again
                    site
        gate      trap
        keeps     I2, NewAfterReturn
        never     cpu1:r12 = 1 and flag != 0
        allowed   site = new
        verdict   every model  violation  it is the
                  worst of all
        """;

    [Fact]
    public void All_that_a_file_says_is_read()
    {
        var test = LitmusFile.Parse("a.litmus", Whole);
        test.Name.ShouldBe("group/name");
        test.Question.ShouldBe("May five bytes be written by one store?");
        test.Keeps.ShouldBe(Invariants.NothingTorn | Invariants.NewAfterReturn);
        test.Never.ShouldHaveSingleItem().ToString().ShouldBe("cpu1:r12 = 1 and flag != 0");
        test.Allowed.ShouldHaveSingleItem().ToString().ShouldBe("site = new");
        test.Expected.Select(e => e.Model).ShouldBe(FetchModel.Presets.Select(m => m.Name));
        test.Expected.ShouldAllBe(e => e.Verdict == Verdict.Violation && e.Reason == "it is the worst of all" && e.Line == 20);
        var situation = test.Situation;
        situation.Cpus.ShouldBe(2);
        situation.Gate.ShouldBe(GateType.Trap);
        situation.Variables.ShouldHaveSingleItem().Initial.ShouldBe(16);
        situation.Sites.ShouldHaveSingleItem().Offset.ShouldBe(5);
        situation.Programs[0].ShouldBeOfType<LitmusSteps>().Steps.Count.ShouldBe(4);
        situation.Programs[1].ShouldBeOfType<LitmusGuestCode>().Instructions.Count.ShouldBe(4);
    }

    [Fact]
    public void Without_a_control_of_its_own_a_test_is_controlled_by_a_rewrite_byte_by_byte()
    {
        var control = LitmusFile.Parse("a.litmus", Whole).Control;
        control.Programs[0].ShouldBeOfType<LitmusSteps>().Steps[0].ShouldBeOfType<LitmusStore>().IsByteByByte.ShouldBeTrue();
        control.Programs[1].ShouldBeOfType<LitmusGuestCode>();
    }

    [Fact]
    public void A_control_replaces_what_it_names_and_nothing_else()
    {
        var test = LitmusFile.Parse("a.litmus", Whole + "\ncontrol   cpu0 steps\n            flag = 2\ncontrol   order pso\n");
        test.Control.Programs[0].ShouldBeOfType<LitmusSteps>().Steps.ShouldHaveSingleItem().ShouldBe(new LitmusSet("flag", 2));
        test.Control.Order.ShouldBe(MemoryOrder.PartialStoreOrder);
        test.Situation.Order.ShouldBe(MemoryOrder.SequentiallyConsistent);
    }

    [Theory]
    [InlineData("litmus    group/name", "", "1:1", "begins with the line 'litmus")]
    [InlineData("question ", "qestion ", "3:1", "Did you mean question?")]
    [InlineData("call new,", "cal new,", "5:23", "an instruction is missing here")]
    [InlineData("call new,", "0f 1f 40 00,", "5:23", "4 bytes and the old one 5")]
    [InlineData("call old ->", "nop5 nop5 nop5 nop5 nop5 nop5 66 90 90 ->", "5:11", "33 bytes: a site has at most 32")]
    [InlineData("call old ->", "nop5 cal new ->", "5:16", "'->' is missing here")]
    [InlineData("3 bytes before an 8-byte", "9 bytes before an 8-byte", "5:", "at most 7 bytes")]
    [InlineData("3 bytes before an 8-byte", "64 bytes before an 8-byte", "5:33", "give 1 to 63")]
    [InlineData("3 bytes before an 8-byte boundary", "somewhere", "5:33", "a place is")]
    [InlineData("flag = 0x10", "flag = x", "6:18", "a whole number")]
    [InlineData("flag = 0x10", "site = 1", "6:11", "is taken")]
    [InlineData("steps", "stepz", "7:11", "a CPU's program is")]
    [InlineData("store site[0]", "store sit[0]", "8:19", "Did you mean site?")]
    [InlineData("site[0] = cc", "site[0] = cc cc", "8:29", "2 bytes for a place of 1")]
    [InlineData("site[1-4]", "site[1-5]", "9:26", "give 1 to 4")]
    [InlineData("flag = 1\n", "flg = 1\n", "10:13", "Did you mean flag?")]
    [InlineData("sync\n", "sync sync\n", "8:38", "nothing more is expected")]
    [InlineData("cmp [flag], 1", "cmq [flag], 1", "13:13", "Did you mean cmp?")]
    [InlineData("cmp [flag], 1", "cmp [flag]", "13:13", "cmp takes")]
    [InlineData("cmp [flag], 1", "lock cmp [flag], 1", "13:13", "lock goes with")]
    [InlineData("jne again", "jne agian", "1:1", "line 14: there is no label 'agian'. Did you mean again?")]
    [InlineData("jne again", "site", "1:1", "'site' stands in lines 14 and 15")]
    [InlineData("gate      trap", "gate      tarp", "16:11", "Did you mean trap?")]
    [InlineData("I2, NewAfterReturn", "I2, I13", "17:15", "no invariant named 'I13'")]
    [InlineData("cpu1:r12", "cpu2:r12", "18:11", "cpu0 to cpu1")]
    [InlineData("cpu1:r12", "cpu1:r16", "18:16", "no register named 'r16'")]
    [InlineData("every model", "sdm-wurst", "20:11", "Did you mean sdm-worst?")]
    [InlineData("every model  violation", "every model  violated", "20:24", "Did you mean violation?")]
    [InlineData("every model", "ideal", "1:1", "no verdict is expected under intel-practice")]
    [InlineData("worst of all", "worst of all\nverdict ideal pass so", "22:9", "expected already, in line 20")]
    public void A_wrong_file_gets_one_line_with_its_place_and_what_to_do(string right, string wrong, string place, string hint)
    {
        Whole.ShouldContain(right);
        var text = Whole.Replace(right, wrong, StringComparison.Ordinal);
        var complaint = Should.Throw<BadInputException>(() => LitmusFile.Parse("a.litmus", text)).Message;
        complaint.ShouldStartWith($"a.litmus:{place}", Case.Sensitive, complaint);
        complaint.ShouldContain(hint);
        complaint.ShouldNotContain("\n");
    }

    [Theory]
    [InlineData("eb 09 66 0f 1f 84 00 00 02 00 00", "41 ba 01 00 00 00 call new", 11, true, true)]
    [InlineData("call old", "call new", 5, false, false)]
    [InlineData("call old nop5", "0f 1f 80 00 00 00 00 0f 1f 00", 10, true, true)]
    [InlineData("jmp old 66 90", "0f 1f 80 00 00 00 00", 7, true, false)]
    public void A_site_is_one_instruction_or_several(string old, string @new, int length, bool isOldSeveral, bool isNewSeveral)
    {
        var site = LitmusFile.Parse("a.litmus", Whole.Replace("call old -> call new", $"{old} -> {@new}", StringComparison.Ordinal)).Situation.Sites.ShouldHaveSingleItem();
        (site.Length, site.Old.IsSeveral, site.New.IsSeveral).ShouldBe((length, isOldSeveral, isNewSeveral));
    }

    [Fact]
    public void A_call_in_a_site_of_several_goes_to_the_function_from_where_it_stands()
    {
        var layout = new LitmusLayout(LitmusFile.Parse("a.litmus", Whole.Replace("call old -> call new", "nop5 call old -> call new nop5", StringComparison.Ordinal)).Situation);
        var site = layout["site"];
        var (oldTarget, newTarget) = (LitmusLayout.TargetOf(isNewFunction: false), LitmusLayout.TargetOf(isNewFunction: true));
        (site.Address + 10 + BitConverter.ToInt32(site.Old.AsSpan(6))).ShouldBe(oldTarget);
        (site.Address + 5 + BitConverter.ToInt32(site.New.AsSpan(1))).ShouldBe(newTarget);
    }

    [Theory]
    [InlineData("emulate-old", "call old 90 -> 66 0f 1f 44 00 00")]
    [InlineData("emulate-new", "66 0f 1f 44 00 00 -> 90 call new")]
    public void A_handler_does_not_emulate_what_is_several_instructions(string handler, string code)
    {
        var text = Whole.Replace("call old -> call new", code, StringComparison.Ordinal).Replace("gate      trap", $"handler   {handler}", StringComparison.Ordinal);
        Should.Throw<BadInputException>(() => LitmusFile.Parse("a.litmus", text)).Message.ShouldStartWith("a.litmus:1:1: 'site' is several instructions");
        LitmusFile.Parse("a.litmus", text.Replace(handler, "skip", StringComparison.Ordinal)).Situation.Handler.ShouldBe(LitmusHandler.Skip);
    }

    [Fact]
    public void A_patcher_that_refuses_the_site_proves_nothing()
    {
        const string Text = "litmus x\nquestion y\nsite call old -> call new\ncpu0 patcher xray_sled\ncpu1 runs the site once\nkeeps I2\nverdict every model pass  so\n";
        var row = new LitmusPlan().Run(LitmusFile.Parse("c.litmus", Text), FetchModel.Ideal);
        row.Verdict.ShouldBe(Verdict.Inconclusive);
        row.Reason.ShouldNotBeNull().ShouldContain("the patcher fails in every execution before it has stored anything: -EINVAL");

        // Made to fail on purpose, it may well be what is asked.
        var failing = Text.Replace("xray_sled", "text_poke_bp", StringComparison.Ordinal) + "fail write 1 EFAULT\n";
        new LitmusPlan().Run(LitmusFile.Parse("c.litmus", failing), FetchModel.Ideal).Verdict.ShouldBe(Verdict.Pass);
    }

    [Theory]
    [InlineData("patcher text_poke_bpp", "Did you mean text_poke_bp?")]
    [InlineData("patcher text_poke_bp without the sync after firstbyte", "Did you mean first byte?")]
    [InlineData("patcher text_poke_bp without int3", "the sync after PHASE")]
    public void A_protocol_or_phase_that_does_not_exist_gets_a_suggestion(string program, string hint)
        => Should.Throw<BadInputException>(() => LitmusFile.Parse("b.litmus", $"litmus x\nquestion y\nsite call old -> call new\ncpu0 {program}\n")).Message.ShouldContain(hint);

    [Fact]
    public void Guest_code_cannot_read_what_waits_in_a_store_buffer()
        => Should.Throw<BadInputException>(() => LitmusFile.Parse("a.litmus", Whole.Replace("gate      trap", "order     tso", StringComparison.Ordinal))).Message.ShouldStartWith("a.litmus:13:");

    [Fact]
    public void What_is_said_to_be_possible_must_happen_or_a_pass_is_no_pass()
    {
        var text = "litmus x\nquestion y\nsite 0f 1f 44 00 00 -> 0f 1f 44 00 08\ncpu0 steps\n  store site[4] = new\ncpu1 runs the site once\ncontrol cpu0 steps\n  store site[0-1] = 00 00\nkeeps I2\nverdict every model pass  so\n";
        new LitmusPlan().Run(LitmusFile.Parse("c.litmus", text + "allowed site = new\n"), FetchModel.SdmWorst).Verdict.ShouldBe(Verdict.Pass);
        var row = new LitmusPlan().Run(LitmusFile.Parse("c.litmus", text + "allowed site = cc 1f 44 00 00\n"), FetchModel.SdmWorst);
        row.Verdict.ShouldBe(Verdict.Inconclusive);
        row.Reason.ShouldNotBeNull().ShouldContain("never happens");
    }
}
