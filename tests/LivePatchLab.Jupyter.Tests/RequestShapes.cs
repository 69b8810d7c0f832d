namespace LivePatchLab.Jupyter.Tests;

/// <summary>The requests that the protocol knows, with the members that they may have, and what those must not be.</summary>
internal static class RequestShapes
{
    private const string Text = "7", Flag = "\"yes\"", Number = "\"1\"", Map = "[]";

    private static readonly (string Type, (string Member, string Wrong)[] Members)[] Requests =
    [
        ("kernel_info_request", []),
        ("execute_request", [("code", Text), ("silent", Flag), ("store_history", Flag), ("stop_on_error", Flag), ("allow_stdin", Flag), ("user_expressions", Map)]),
        ("is_complete_request", [("code", Text)]),
        ("complete_request", [("code", Text), ("cursor_pos", Number)]),
        ("inspect_request", [("code", Text), ("cursor_pos", Number)]),
        ("history_request", [("hist_access_type", Text), ("n", Number), ("raw", Flag), ("output", Flag)]),
        ("comm_info_request", [("target_name", Text)]),
        ("interrupt_request", []),
        ("shutdown_request", [("restart", Flag)]),
        ("debug_request", []),
        ("nobody_knows_this_request", []),
    ];

    public static IReadOnlyList<string> Types { get; } = [.. Requests.Select(request => request.Type)];

    /// <summary>Every member with a value of another kind, and with text that is no Unicode where text belongs.</summary>
    public static IReadOnlyList<(string Type, string Member, string Wrong)> Wrong { get; } =
    [
        .. from request in Requests
           from member in request.Members
           from wrong in member.Wrong == Text ? (string[])[Text, "{}", "\"\\ud800\""] : [member.Wrong, "{\"a\":[]}"]
           where !(member.Wrong == Map && wrong.StartsWith('{'))
           select (request.Type, member.Member, wrong),
    ];

    /// <summary>A content that is right but for one member.</summary>
    public static string With(string type, string member, string wrong)
    {
        // As text: a JSON library would mend what is wrong on purpose.
        var code = member != "code" && type is ("execute_request" or "complete_request" or "inspect_request") ? "\"code\":\"\"," : "";
        return $"{{{code}\"{member}\":{wrong}}}";
    }
}
