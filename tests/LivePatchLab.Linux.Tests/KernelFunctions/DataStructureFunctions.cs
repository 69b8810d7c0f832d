using System.Runtime.InteropServices;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>sort(), bsearch(), the red-black tree and the XArray of lib/, against arrays and sets.</summary>
internal static class DataStructureFunctions
{
    // mov eax, [rdi]; sub eax, [rsi]; ret: int compare(const int *, const int *) for numbers that do not overflow.
    private static readonly byte[] CompareInts = [0x8b, 0x07, 0x2b, 0x06, 0xc3];

    public static FunctionGroup[] Groups { get; } =
    [
        new("sort", kernel =>
        {
            var compare = kernel.Kernel.Code(CompareInts);
            foreach (var count in (int[])[0, 1, 2, 500, kernel.Draw.Below(300)])
            {
                int[] numbers = [.. Enumerable.Range(0, count).Select(_ => kernel.Draw.Below(kernel.Draw.Of(10, 1 << 20)))];
                var buffer = kernel.Buffer(MemoryMarshal.AsBytes(numbers.AsSpan()));
                kernel.Call("sort", buffer, count, 4, compare, 0);
                buffer.ToArray<int>().ShouldBe(numbers.Order());
            }
        }),
        new("bsearch", kernel =>
        {
            var compare = kernel.Kernel.Code(CompareInts);
            int[] numbers = [.. Enumerable.Range(0, 1000).Select(_ => kernel.Draw.Below(1 << 14)).Distinct().Order()];
            var buffer = kernel.Buffer(MemoryMarshal.AsBytes(numbers.AsSpan()));
            foreach (var wanted in (int[])[numbers[0], numbers[1], numbers[^1], -1, 1 << 20, .. Enumerable.Range(0, 40).Select(_ => kernel.Draw.Below(1 << 14))])
            {
                var index = Array.BinarySearch(numbers, wanted);
                kernel.Call("bsearch", kernel.Buffer(BitConverter.GetBytes(wanted)), buffer, numbers.Length, 4, compare).ShouldBe(index < 0 ? 0 : (buffer + (4 * index)).Value);
            }
        }),
        new("rb_insert_color, rb_erase, rb_first, rb_next", kernel => new RedBlackTree(kernel).Check(keys: 200, erased: 60)),
        new("xa_store, xa_load, xa_erase", kernel =>
        {
            // struct xarray: a spinlock, flags, the head. Entry 0 alone lies in the head itself, so nothing is allocated.
            var (array, entry) = (kernel.Buffer(16), kernel.Buffer(8).Address.Value);
            kernel.Call("xa_load", array, 0).ShouldBe(0u);
            kernel.Call("xa_store", array, 0, entry, 0).ShouldBe(0u);
            kernel.Call("xa_load", array, 0).ShouldBe(entry);
            kernel.Call("xa_load", array, 1 + kernel.Draw.Below(1000)).ShouldBe(0u);
            kernel.Call("xa_store", array, 0, entry + 64, 0).ShouldBe(entry, "the old entry comes back");
            kernel.Call("xa_erase", array, 0).ShouldBe(entry + 64);
            kernel.Call("xa_load", array, 0).ShouldBe(0u);
            array.ToArray<ulong>().ShouldBe([0u, 0u], "unlocked and empty");
        }),
    ];

    /// <summary>struct rb_node of include/linux/rbtree_types.h: parent and colour in one word, right, left; the key is the test's.</summary>
    private sealed class RedBlackTree(KernelUnderTest kernel)
    {
        private const int Parent = 0, Right = 8, Left = 16, Key = 24, NodeBytes = 32;

        private readonly KernelBuffer _root = kernel.Buffer(8);

        public void Check(int keys, int erased)
        {
            var nodes = new SortedDictionary<int, GuestAddress>();
            while (nodes.Count < keys)
            {
                var key = kernel.Draw.Below(10_000);
                if (!nodes.ContainsKey(key)) nodes.Add(key, Insert(key));
            }

            InOrder().ShouldBe(nodes.Keys);
            BlackHeight(Word(_root.Address)).ShouldBeGreaterThan(1);
            for (var i = 0; i < erased; i++)
            {
                var key = nodes.Keys.ElementAt(kernel.Draw.Below(nodes.Count));
                kernel.Call("rb_erase", nodes[key], _root);
                nodes.Remove(key);
            }

            InOrder().ShouldBe(nodes.Keys);
            BlackHeight(Word(_root.Address));
            kernel.Call("rb_last", _root).ShouldBe(nodes.Values.Last().Value);
        }

        private GuestAddress Insert(int key)
        {
            var node = kernel.Buffer(NodeBytes);
            var (link, parent) = (_root.Address, 0UL);
            while (Word(link) is not 0 and var at)
            {
                parent = at;
                link = new(at + (key < (int)Word(new(at + Key)) ? Left : (ulong)Right));
            }

            // rb_link_node() is inline, so it is the caller's.
            node.Write(MemoryMarshal.AsBytes<ulong>([parent, 0, 0, (ulong)key]));
            kernel.Kernel.Machine.Memory.LoadUInt64(link, node.Address.Value);
            kernel.Call("rb_insert_color", node, _root);
            return node.Address;
        }

        private List<int> InOrder()
        {
            var keys = new List<int>();
            for (var at = kernel.Call("rb_first", _root); at != 0; at = kernel.Call("rb_next", at)) keys.Add((int)Word(new(at + Key)));
            return keys;
        }

        /// <summary>Black nodes on any way down, which must be as many on all; a red node's children must be black (lib/rbtree.c).</summary>
        private int BlackHeight(ulong node)
        {
            const ulong black = 1;
            if (node == 0) return 1;
            var isBlack = (Word(new(node + Parent)) & black) != 0;
            foreach (var child in (ulong[])[Word(new(node + Left)), Word(new(node + Right))])
                if (!isBlack && child != 0) (Word(new(child)) & black).ShouldBe(black, "a red node has a red child");
            var height = BlackHeight(Word(new(node + Left)));
            BlackHeight(Word(new(node + Right))).ShouldBe(height);
            return height + (isBlack ? 1 : 0);
        }

        private ulong Word(GuestAddress address) => kernel.Kernel.Machine.Memory.ReadUInt64(address);
    }
}
