// Read-out under the pointer, and tables that are sorted by a click on a heading. Values are read back
// from what is drawn, so the page carries its data once. Without this script the page lacks nothing else.
(function () {
  "use strict";
  var width = 1000, height = 400, levels = 8;
  function points(path) {
    var out = [], x = 0, y = 0, mode = "M";
    var tokens = path.getAttribute("d").match(/[Mlhv]|-?\d+/g) || [];
    for (var i = 0; i < tokens.length; ) {
      if (/[Mlhv]/.test(tokens[i])) mode = tokens[i++];
      var n = +tokens[i++];
      if (mode === "h") x += n;
      else if (mode === "v") y += n;
      else if (mode === "l") { x += n; y += +tokens[i++]; }
      else { out.push(null); x = n; y = +tokens[i++]; }
      out.push([x, y]);
    }
    return out;
  }
  // The line's height at x, or null in a gap.
  function at(line, x) {
    for (var i = 1; i < line.length; i++) {
      var a = line[i - 1], b = line[i];
      if (a && b && a[0] <= x && x <= b[0] && b[0] > a[0])
        return a[1] + ((b[1] - a[1]) * (x - a[0])) / (b[0] - a[0]);
    }
    for (i = 0; i < line.length; i++) if (line[i] && Math.abs(line[i][0] - x) < 8) return line[i][1];
    return null;
  }
  function number(v) {
    var a = Math.abs(v);
    return a === 0 ? "0" : a >= 1000 ? v.toFixed(0) : String(+v.toPrecision(3));
  }
  function chart(plot, share) {
    plot.line = plot.line || points(plot.querySelector("path"));
    var y = at(plot.line, share * width);
    if (y === null) return "no sample";
    var low = parseFloat(plot.dataset.l), high = parseFloat(plot.dataset.h);
    return number(low + ((high - low) * (height - y)) / height) + " " + plot.dataset.u;
  }
  function heat(plot, share, down) {
    var rows = +plot.dataset.r, names = plot.dataset.i.split(" ");
    var row = Math.min(rows - 1, Math.max(0, Math.floor(down * rows)));
    var a = Math.floor((row * names.length) / rows), name = names[a];
    var columns = plot.querySelector("svg").viewBox.baseVal.width;
    var x = Math.min(columns - 1, Math.floor(share * columns)), top = +plot.dataset.top;
    var text = "no sample";
    plot.querySelectorAll("path").forEach(function (path) {
      var level = +path.getAttribute("class").slice(1);
      if (!path.runs) path.runs = path.getAttribute("d").match(/\d+/g).map(Number);
      for (var i = 0; i < path.runs.length; i += 3)
        if (path.runs[i + 1] === row && path.runs[i] <= x && x < path.runs[i] + path.runs[i + 2])
          text = level === 0 ? "about 0 " + plot.dataset.u
            : number(((level - 1) * top) / levels) + " to " + number((level * top) / levels) + " " + plot.dataset.u;
    });
    return name + ": " + text;
  }
  document.querySelectorAll(".monitors").forEach(function (group) {
    var seconds = +group.dataset.t, line = document.createElement("div"), tip = document.createElement("div");
    line.className = "cur";
    tip.className = "tip";
    function leave() { line.remove(); tip.remove(); }
    group.addEventListener("pointermove", function (event) {
      var plot = event.target.closest(".p");
      if (!plot || !plot.querySelector("svg")) return leave();
      var box = plot.getBoundingClientRect();
      var share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      var text = plot.dataset.i === undefined ? chart(plot, share)
        : heat(plot, share, (event.clientY - box.top) / box.height);
      tip.textContent = (share * seconds).toFixed(seconds < 20 ? 2 : 1) + " s: " + text;
      plot.append(line, tip);
      line.style.left = share * 100 + "%";
      tip.style.left = Math.min(Math.max(0, share * box.width - tip.offsetWidth / 2), Math.max(0, box.width - tip.offsetWidth)) + "px";
    });
    group.addEventListener("pointerleave", leave);
  });
  // Rows by a column: by numbers where both are numbers; then the other way round.
  function sort(heading, index, body) {
    var falling = heading.getAttribute("aria-sort") === "ascending";
    function cell(row) { return row.cells[index] ? row.cells[index].textContent.replace("\u2212", "-").replace(/^✕ /, "") : ""; }
    heading.parentNode.querySelectorAll("th").forEach(function (th) { th.setAttribute("aria-sort", "none"); });
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    Array.from(body.rows).sort(function (a, b) {
      var x = cell(a), y = cell(b), m = parseFloat(x), n = parseFloat(y);
      var order = isNaN(m) || isNaN(n) ? x.localeCompare(y, "en", { numeric: true }) : m - n;
      return falling ? -order : order;
    }).forEach(function (row) { body.append(row); });
  }
  document.querySelectorAll("table.sort").forEach(function (table) {
    table.querySelectorAll("thead th").forEach(function (heading, index) {
      heading.tabIndex = 0;
      heading.setAttribute("aria-sort", "none");
      heading.title = "Sort";
      heading.addEventListener("click", function () { sort(heading, index, table.tBodies[0]); });
      heading.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(heading, index, table.tBodies[0]); }
      });
    });
  });
})();
