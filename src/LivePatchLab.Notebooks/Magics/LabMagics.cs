namespace LivePatchLab.Notebooks;

/// <summary>The lab's own magic commands.</summary>
public static class LabMagics
{
    /// <summary>A new table of them; also has the lab's types shown by their views.</summary>
    public static MagicTable Table()
    {
        LabViews.Install();
        var table = new MagicTable
        {
            LoadMagic.Create(),
            MachineMagic.Create(),
            PatchMagic.Create(),
            SweepMagic.Create(),
            PlotMagic.Create(),
            EvalMagic.Create(),
            ExploreMagic.Create(),
        };
        table.Add(LabMagic.Create(table));
        return table;
    }
}
