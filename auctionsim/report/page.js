"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const narrow = window.matchMedia("(max-width: 600px)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  // "@name" is a colour of the style sheet, "@scale:name" runs up to it from the lightest (in the dark: the darkest).
  const coloured = (value) => {
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item)]));
    }
    if (typeof value !== "string" || !value.startsWith("@")) return value;
    if (value.startsWith("@scale:")) return [[0, colour("low")], [1, colour(value.slice(7))]];
    return colour(value.slice(1));
  };

  const layoutOf = (figure, traces) => {
    const axis = { gridcolor: colour("rule"), linecolor: colour("rule"), zerolinecolor: colour("rule"), automargin: true };
    const many = traces.length > 1;
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 48, r: 16, t: 28, b: 48 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("ink") },
      showlegend: many, legend: { orientation: "h", yref: "container", y: 0.01, yanchor: "bottom", x: 0 },
      hoverlabel: { align: "left" }, dragmode: narrow.matches ? false : "zoom",
      xaxis: { ...axis, ...coloured(figure.layout.xaxis) }, yaxis: { ...axis, ...coloured(figure.layout.yaxis) },
    };
  };

  const draw = (plot) => {
    const figure = figures[plot.dataset.figure];
    const chosen = [...plot.closest(".figure-group").querySelectorAll(".switch input:checked")].map((input) => input.value);
    const traces = coloured(figure.variants[chosen.join("|")]);
    const config = {
      responsive: true, displaylogo: false, displayModeBar: !narrow.matches && "hover",
      modeBarButtons: [["toImage", "resetScale2d"]],
    };
    return Plotly.react(plot, traces, layoutOf(figure, traces), config);
  };
  const plots = [...document.querySelectorAll(".plot")];
  const drawAll = () => Promise.all(plots.map(draw));
  document.querySelectorAll(".switch input").forEach((input) => input.addEventListener("change", () => {
    input.closest(".figure-group").querySelectorAll(".plot").forEach(draw);
  }));
  dark.addEventListener("change", drawAll);
  drawAll().then(() => { document.documentElement.dataset.drawn = "yes"; });

  // What a word means, at the foot of the window: by the tab key, or by a tap where nothing hovers.
  const tip = document.getElementById("tip");
  const show = (word) => {
    if (!tip) return;
    tip.textContent = word ? word.dataset.meaning : "";
    tip.hidden = !word;
  };
  const wordOf = (event) => event.target.closest ? event.target.closest("[data-meaning]") : null;
  document.addEventListener("focusin", (event) => show(wordOf(event)));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") show(null); });
  document.addEventListener("click", (event) => {
    const word = wordOf(event);
    if (word && word.matches("a.term") && event.detail > 0) event.preventDefault();  // Enter goes to the glossary
    show(word);
  });

  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? -Infinity : Number(value);
  };
  document.querySelectorAll("table.sortable thead th").forEach((head) => {
    const column = head.cellIndex;
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      head.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = head.closest("table").tBodies[0];
      const rows = [...body.rows].sort((one, other) => {
        const a = keyOf(one, column), b = keyOf(other, column);
        const order = typeof a === "string" ? a.localeCompare(b) : a === b ? 0 : a - b;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
})();
