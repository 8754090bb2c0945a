"use strict";
// The page is complete without this: it hides what was not chosen, moves the layer, and changes the theme.
(() => {
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const one = (what, within = document) => within.querySelector(what);
  const boxes = all("#controls input[type=checkbox]");
  const figures = all("figure[data-layers]");
  const slider = one("#layer");
  const layers = slider.dataset.layers.split(" ");

  // Which pairs and adapters are shown: lines, bars and legends carry their keys.
  function choose() {
    const on = new Set(boxes.filter((box) => box.checked).map((box) => box.value)).add("base");
    for (const element of all("main [data-key]")) element.classList.toggle("off", !on.has(element.dataset.key));
    for (const figure of all("figure[data-rows]")) stack(figure, on);
    live();
  }

  // Bars close the gaps of those that are hidden: each moves up, and the picture ends below the last.
  function stack(figure, on) {
    const rows = figure.dataset.rows.split(" "), step = Number(figure.dataset.step), svg = one("svg", figure);
    svg.dataset.height ??= svg.viewBox.baseVal.height;
    const above = new Map();
    let gone = 0;
    for (const key of rows) {
      above.set(key, gone);
      if (!on.has(key)) gone += 1;
    }
    for (const element of all("[data-key]", svg))
      element.setAttribute("transform", `translate(0 ${-step * above.get(element.dataset.key)})`);
    const box = svg.viewBox.baseVal;
    svg.setAttribute("viewBox", `0 0 ${box.width} ${Number(svg.dataset.height) - step * gone}`);
  }

  // One layer for every chart along the depth: a cursor, its numbers in the legend, and all of them in one table.
  function walk() {
    const at = Number(slider.value), layer = layers[at];
    one("#chosen").textContent = layer;
    slider.setAttribute("aria-valuetext", `layer ${layer}`);
    for (const figure of figures) {
      const x = JSON.parse(figure.dataset.layers)[at], [top, bottom] = JSON.parse(figure.dataset.ends);
      const line = one(".cursor", figure) ?? one("svg", figure).appendChild(document.createElementNS("http://www.w3.org/2000/svg", "line"));
      line.setAttribute("class", "cursor");
      for (const [name, value] of Object.entries({ x1: x, x2: x, y1: top, y2: bottom })) line.setAttribute(name, value);
      const where = one(".where", figure);
      where.hidden = false;
      where.textContent = `layer ${layer}`;
      const numbers = cells(figure, layer);
      for (const item of all(".legend [data-key]", figure)) one(".value", item).textContent = numbers.get(item.dataset.key) ?? "";
      for (const row of all("tbody tr", figure)) row.classList.toggle("now", row.dataset.row === `layer-${layer}`);
    }
    live();
  }

  function cells(figure, layer) {
    const row = one(`tr[data-row="layer-${layer}"]`, figure), found = new Map();
    if (row) for (const head of all("th[data-column]", figure)) found.set(head.dataset.column, row.cells[head.cellIndex].textContent);
    return found;
  }

  function live() {
    const host = one("#live"), layer = layers[Number(slider.value)];
    if (!host || !figures.length) return;
    host.hidden = false;
    host.replaceChildren();
    for (const [kind, title] of [["pairs", "pair"], ["adapters", "adapter"]]) {
      const charts = figures.map((figure) => [one("thead th:nth-child(2)", figure), figure, cells(figure, layer)])
        .filter(([, , numbers]) => [...numbers.keys()].some((key) => key.startsWith(kind.slice(0, -1))));
      const chosen = boxes.filter((box) => box.dataset.of === kind && box.checked);
      if (!charts.length || !chosen.length) continue;
      const table = host.appendChild(document.createElement("table"));
      table.createCaption().textContent = `All numbers of layer ${layer}, by ${title}`;
      const head = table.createTHead().insertRow();
      for (const name of [title, ...charts.map(([, figure]) => figure.dataset.name)]) {
        const cell = head.appendChild(document.createElement("th"));
        cell.scope = "col";
        cell.textContent = name;
      }
      const body = table.createTBody();
      for (const box of chosen) {
        const row = body.insertRow(), name = row.appendChild(document.createElement("th"));
        name.scope = "row";
        name.textContent = box.parentElement.textContent.trim();
        for (const [, , numbers] of charts) {
          const cell = row.insertCell();
          cell.className = "n";
          cell.textContent = numbers.get(box.value) ?? "";
        }
      }
    }
  }

  // What the pointer is on, or the keyboard, stands out in its chart.
  for (const figure of all("figure")) {
    const light = (event) => {
      const key = event.target.closest?.("[data-key]")?.dataset.key;
      figure.classList.toggle("hot", Boolean(key));
      for (const element of all("[data-key]", figure)) element.classList.toggle("lit", element.dataset.key === key);
    };
    figure.addEventListener("pointerover", light);
    figure.addEventListener("pointerleave", light);
  }

  const button = one("#theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);

  // Another choice than the first: what the page said of that one is no longer so.
  function chooseAnew() {
    for (const note of all(".some, #drawn")) note.hidden = true;
    choose();
  }

  for (const box of boxes) box.addEventListener("change", chooseAnew);
  for (const press of all("#controls button"))
    press.addEventListener("click", () => {
      const of = press.dataset.all ?? press.dataset.none;
      for (const box of boxes) if (box.dataset.of === of) box.checked = "all" in press.dataset;
      chooseAnew();
    });
  slider.addEventListener("input", walk);
  addEventListener("beforeprint", () => { for (const fold of all(".fold, .findings details")) fold.open = true; });
  one("#controls").addEventListener("submit", (event) => event.preventDefault());
  one("#controls").hidden = button.hidden = false;
  for (const text of all("[data-script]")) text.hidden = false;
  one("nav details").open = matchMedia("(min-width: 36.01rem)").matches;
  name();
  choose();
  walk();
  // What was just hidden and filled in moved the place that the address names.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
})();
