namespace LivePatchLab.Notebooks;

/// <summary>
/// Sorts tables by a click on a column's head. It travels inside the output, so that it works in Jupyter, where outputs of trusted notebooks run their scripts, and
/// on pages of ours; a reader that strips it shows the table in its first order. It reads numbers with their thousands separators and units of time.
/// </summary>
internal static class SortScript
{
    public const string TableClass = "livepatch-sort";

    // Tables are found by class, not as the script's neighbour: Jupyter's frontends run scripts of outputs away from their place.
    public const string Html = "<script>(function(){var u={ns:1e-9,us:1e-6,ms:1e-3,s:1};"
        + "function v(r,i){var t=r.cells[i].textContent.trim(),m=/^(-?[\\d.,]+)(?: ([a-z]+))?/.exec(t);return m?parseFloat(m[1].replace(/,/g,''))*(u[m[2]]||1):t}"
        + "document.querySelectorAll('table." + TableClass + ":not([data-ready])').forEach(function(t){t.setAttribute('data-ready','');"
        + "Array.prototype.forEach.call(t.tHead.rows[0].cells,function(h,i){var b=document.createElement('button');b.type='button';b.textContent=h.textContent;b.title='sort';"
        + "b.style.cssText='all:unset;cursor:pointer;text-decoration:underline dotted';h.textContent='';h.appendChild(b);"
        + "b.onclick=function(){var d=h.getAttribute('aria-sort')==='ascending'?-1:1,o=t.tBodies[0];"
        + "Array.prototype.forEach.call(t.tHead.rows[0].cells,function(x){x.removeAttribute('aria-sort')});h.setAttribute('aria-sort',d>0?'ascending':'descending');"
        + "Array.prototype.slice.call(o.rows).sort(function(p,q){var x=v(p,i),y=v(q,i);return (typeof x===typeof y?(x<y?-1:x>y?1:0):(typeof x==='number'?-1:1))*d}).forEach(function(r){o.appendChild(r)})}})})})()</script>";
}
