namespace LivePatchLab.Notebooks;

public static class HtmlPage
{
    public static string Write(NotebookDocument document, string title, string folder) => throw new NotImplementedException();
}
