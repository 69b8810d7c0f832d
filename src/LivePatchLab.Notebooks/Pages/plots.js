// Puts a plot that can be zoomed in the place of each drawing. When anything fails, the drawing stays.
(function () {
  'use strict';
  if (!window.Plotly) return;
  // With a plot that can be read by pointing at it the tables can stay closed; paper has no pointer.
  var tables = document.querySelectorAll('.plot details');
  function open(yes) { tables.forEach(function (table) { table.open = yes; }); }
  open(false);
  window.addEventListener('beforeprint', function () { open(true); });
  window.addEventListener('afterprint', function () { open(false); });
  var dark = window.matchMedia('(prefers-color-scheme: dark)');
  function colours() {
    var text = getComputedStyle(document.body).color;
    var line = dark.matches ? 'rgba(255,255,255,0.18)' : 'rgba(0,0,0,0.15)';
    return {
      'font.color': text, 'modebar.bgcolor': 'rgba(0,0,0,0)', 'modebar.color': line, 'modebar.activecolor': text,
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      'xaxis.gridcolor': line, 'yaxis.gridcolor': line, 'xaxis.zerolinecolor': line, 'yaxis.zerolinecolor': line
    };
  }
  document.querySelectorAll('.plot').forEach(function (box) {
    try {
      var spec = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
      var target = document.createElement('div');
      var still = box.querySelector('figure > svg, .still');
      target.style.maxWidth = '800px';
      (still ? still.parentNode : box).insertBefore(target, still || box.firstChild);
      Plotly.newPlot(target, spec.data || [], spec.layout || {}, { responsive: true, displaylogo: false, displayModeBar: 'hover', modeBarButtonsToRemove: ['sendDataToCloud'] })
        .then(function () {
          if (still) still.remove();
          Plotly.relayout(target, colours());
          dark.addEventListener('change', function () { Plotly.relayout(target, colours()); });
        }, function () { target.remove(); });
    } catch (failed) { if (target) target.remove(); }
  });
})();
