"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 560px)");
  const coarse = matchMedia("(pointer: coarse)");
  const config = {
    displaylogo: false,
    responsive: true,
    // Where nothing can hover, the buttons would never go away.
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    // Nothing of the page may ever be sent anywhere.
    showSendToCloud: false,
    plotlyServerURL: "",
    topojsonURL: "",
  };

  // Figures name colours of the style sheet, `var(--ink)`; plotly wants the colours themselves.
  const coloured = (value, style) => {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "object" ? value.map((item) => coloured(item, style)) : value;
    }
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    }
    return value;
  };

  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    for (const element of document.querySelectorAll(".chart")) {
      const figure = coloured(JSON.parse(document.getElementById(`${element.id}-data`).textContent), style);
      const scale = document.querySelector(`button[data-chart="${element.id}"][aria-pressed="true"]`);
      if (scale) figure.layout.yaxis.type = scale.dataset.scale;
      // A finger that scrolls the page must not be caught by a chart.
      if (coarse.matches) figure.layout.dragmode = false;
      if (narrow.matches) {
        figure.layout.margin = { ...figure.layout.margin, l: 40, r: 4 };
        for (const heading of figure.layout.annotations ?? []) {
          if (heading.xshift < 0) heading.xshift = -40;
        }
        for (const [name, axis] of Object.entries(figure.layout)) {
          if (/^xaxis\d*$/.test(name)) axis.nticks = axis.domain[1] - axis.domain[0] < 0.6 ? 3 : 5;
        }
      }
      Plotly.react(element, figure.data, figure.layout, config);
    }
  };

  const switchScale = (button) => {
    for (const other of button.parentElement.children) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    Plotly.relayout(button.dataset.chart, { "yaxis.type": button.dataset.scale, "yaxis.autorange": true });
  };

  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key ?? cell.textContent;
  };

  const sortBy = (heading) => {
    const ascending = heading.getAttribute("aria-sort") === "descending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const rows = Array.from(body.rows, (row, position) => ({ row, position, key: keyOf(row, column) }));
    const numeric = rows.every(({ key }) => key !== "" && !Number.isNaN(Number(key)));
    const order = (a, b) => (numeric ? Number(a.key) - Number(b.key) : a.key.localeCompare(b.key, "en"));
    rows.sort((a, b) => (ascending ? order(a, b) : order(b, a)) || a.position - b.position);
    body.append(...rows.map(({ row }) => row));
  };

  for (const button of document.querySelectorAll("button[data-scale]")) {
    button.addEventListener("click", () => switchScale(button));
  }
  for (const heading of document.querySelectorAll(".sortable thead th")) {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sortBy(heading));
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sortBy(heading);
      }
    });
  }
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
  draw();
})();
