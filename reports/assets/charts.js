// Charts by plotly.js, in the page's own colours; a click on a category narrows the figures that follow.

const PLOT_CONFIG = {
  displayModeBar: false,
  displaylogo: false,
  responsive: true,
  showSendToCloud: false,
  plotlyServerURL: "",
};
const SERIES_COUNT = 8;
const TICKS = 5;
const OUTCOMES = ["pass", "warn", "fail", "error"];

// Plotly wants colours, not custom properties; a probe lets the browser resolve them for the theme of the moment.
function colour(name) {
  const probe = element("span", { class: "probe probe-" + name });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function seriesColour(name, place) {
  return colour(OUTCOMES.includes(name) ? name : "series-" + ((place % SERIES_COUNT) + 1));
}

// Bars not picked fade towards the paper; opacity would let the grid shine through.
function faded(fill) {
  const [a, b] = [fill, colour("paper")].map((text) => text.match(/[\d.]+/g).slice(0, 3).map(Number));
  return `rgb(${a.map((part, place) => Math.round(part * 0.35 + b[place] * 0.65)).join(", ")})`;
}

// Plotly reads markup in texts; data has none.
function plainText(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function ticksFor(low, high, format) {
  const spread = high - low || 1;
  const rough = spread / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const first = Math.floor(low / step);
  const values = Array.from({ length: Math.ceil(high / step) - first + 1 }, (_, place) => (first + place) * step);
  return { tickvals: values, ticktext: values.map((value) => showShort(value, format)) };
}

class ChartView {
  constructor(id, spec, picks) {
    Object.assign(this, { id, spec, picks });
    this.root = document.querySelector(`[data-figure="${id}"]`);
    this.plot = this.root.querySelector('[data-role="plot"]');
    this.dataset = datasets.get(spec.data);
    this.stale = true;
    this.addTools();
  }

  addTools() {
    const tools = this.root.querySelector('[data-role="tools"]');
    this.rowsHolder = this.root.querySelector('[data-role="rows"]');
    const rowsButton = button("Rows", `Show the numbers of ${this.spec.title}`, () => this.toggleRows(rowsButton));
    rowsButton.setAttribute("aria-expanded", "false");
    tools.prepend(rowsButton);
    if (this.spec.select) tools.prepend(this.makeChoice());
    tools.querySelector('[data-role="export"]').addEventListener("click", () => this.save());
  }

  makeChoice() {
    this.choice = element("select", { "data-role": "choice", "aria-label": `${this.spec.x.label}: narrow what follows` });
    this.choice.addEventListener("change", () => {
      const place = this.choice.selectedIndex;
      this.picks.pick(this.id, place ? this.categories[place - 1] : null);
    });
    return this.choice;
  }

  get columns() {
    const { x, series, y } = this.spec;
    return [x, ...(series ? [series] : []), ...y];
  }

  save() {
    const places = this.columns.map((column) => this.dataset.at(column.name));
    saveCsv(csvName(this.id), this.columns, this.rows.map((row) => places.map((place) => row[place])));
  }

  toggleRows(toggle) {
    const open = this.rowsHolder.hidden;
    this.rowsHolder.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
    this.fillRows();
  }

  fillRows() {
    if (this.rowsHolder.hidden) return;
    const head = element("tr", {}, ...this.columns.map((column) => element("th", { scope: "col", class: isNumeric(column.format) ? "number" : null }, column.label)));
    const body = this.rows.map((row) => element("tr", {}, ...this.columns.map((column) => cellFor(row[this.dataset.at(column.name)], column))));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
    this.rowsHolder.replaceChildren(element("div", { class: "scroll short", tabindex: "0", role: "region", "aria-label": `Numbers of ${this.spec.title}` }, table));
  }

  refresh() {
    this.rows = this.picks.rowsFor(this.spec, this.dataset);
    const at = this.dataset.at(this.spec.x.name);
    this.categories = [...new Set(this.rows.map((row) => row[at]))];
    this.root.querySelector('[data-role="narrowed"]').textContent = this.picks.wordsFor(this.spec);
    if (this.choice) this.fillChoice();
    this.fillRows();
    this.stale = true;
    this.drawIfSeen();
  }

  fillChoice() {
    const all = element("option", {}, `All ${this.categories.length}`);
    const options = this.categories.map((value) => element("option", {}, show(value, this.spec.x.format)));
    this.choice.replaceChildren(all, ...options);
    this.choice.selectedIndex = this.categories.indexOf(this.picks.chosen.get(this.id)) + 1;
  }

  // A hidden part has no width to draw in; its charts wait until it is shown.
  drawIfSeen() {
    if (!this.stale || !this.plot.offsetParent) return;
    this.stale = false;
    if (!this.rows.length) {
      Plotly.purge(this.plot);
      this.plot.replaceChildren(element("p", { class: "empty" }, "No rows."));
      return;
    }
    if (!this.drawn) this.plot.replaceChildren();
    const traces = this.traces();
    Plotly.react(this.plot, traces, this.layout(traces), PLOT_CONFIG);
    if (this.spec.select && !this.drawn) {
      this.plot.on("plotly_click", (event) => this.clicked(event.points[0].pointNumber));
    }
    this.drawn = true;
  }

  clicked(place) {
    const value = this.categories[place];
    this.picks.pick(this.id, this.picks.chosen.get(this.id) === value ? null : value);
  }

  // One series per y column, or one per value of the series column.
  split() {
    const { spec, dataset } = this;
    const at = dataset.at(spec.x.name);
    if (!spec.series) {
      return spec.y.map((column) => [column.label, new Map(this.rows.map((row) => [row[at], row[dataset.at(column.name)]]))]);
    }
    const named = new Map();
    const [split, value] = [dataset.at(spec.series.name), dataset.at(spec.y[0].name)];
    for (const row of this.rows) {
      const name = String(row[split]);
      if (!named.has(name)) named.set(name, new Map());
      named.get(name).set(row[at], row[value]);
    }
    return [...named];
  }

  traces() {
    const { kind, x, format } = this.spec;
    const names = this.categories.map((value) => plainText(show(value, x.format)));
    const chosen = this.picks.chosen.get(this.id) ?? null;
    return this.split().map(([name, values], place) => {
      const numbers = this.categories.map((each) => (values.get(each) ?? null) === null ? null : Number(values.get(each)));
      const texts = this.categories.map((each) => show(values.get(each) ?? null, format));
      const fill = seriesColour(name, place);
      const hover = `%{${kind === "across" ? "y" : "x"}}<br>%{customdata}<extra>${this.spec.series ? plainText(name) : ""}</extra>`;
      const shared = { name: plainText(name), customdata: texts, hovertemplate: hover };
      if (kind === "line") return { ...shared, type: "scatter", mode: "lines+markers", x: names, y: numbers, line: { color: fill, width: 2 }, marker: { size: 5 } };
      if (kind === "area") return { ...shared, type: "scatter", mode: "lines", stackgroup: "one", x: names, y: numbers, line: { color: fill, width: 1 } };
      const pale = faded(fill);
      const fills = this.categories.map((each) => (chosen === null || chosen === each ? fill : pale));
      const bars = { ...shared, type: "bar", marker: { color: fills, line: { width: 0 } } };
      return kind === "across" ? { ...bars, orientation: "h", y: names, x: numbers } : { ...bars, x: names, y: numbers };
    });
  }

  layout(traces) {
    const { kind, format } = this.spec;
    const across = kind === "across";
    const stacked = kind === "stacked" || kind === "area";
    const muted = colour("muted");
    const [low, high] = this.range(traces, across ? "x" : "y", stacked);
    const values = { ...ticksFor(low, high, format), range: [low, high * 1.04 || 1], gridcolor: colour("line"), zerolinecolor: colour("line"), fixedrange: true };
    const names = { type: "category", fixedrange: true, automargin: true, showgrid: false, tickangle: 0, ticklabelstandoff: 5, ...this.nameTicks(across) };
    return {
      autosize: true,
      height: across ? Math.max(180, 34 * this.categories.length + 50) : 260,
      margin: { l: across ? 8 : 56, r: 8, t: 8, b: 32 },
      barmode: stacked ? "stack" : "group",
      bargap: 0.25,
      showlegend: traces.length > 1,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false, traceorder: "normal" },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: muted },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { bgcolor: colour("paper"), bordercolor: colour("line"), font: { color: colour("ink") } },
      dragmode: false,
      xaxis: across ? values : names,
      yaxis: across ? names : values,
    };
  }

  // As many names as there is room for, in their brief form; lying bars have room for all.
  nameTicks(across) {
    const { format } = this.spec.x;
    const room = across ? Infinity : Math.max(2, Math.floor((this.plot.clientWidth - 64) / 76));
    const step = Math.ceil(this.categories.length / room) || 1;
    const shown = this.categories.filter((_, place) => place % step === 0);
    const ticks = {
      tickmode: "array",
      tickvals: shown.map((value) => plainText(show(value, format))),
      ticktext: shown.map((value) => plainText(showBrief(value, format))),
    };
    return across ? { ...ticks, autorange: "reversed" } : ticks;
  }

  range(traces, axis, stacked) {
    const columns = this.categories.map((_, place) => traces.map((trace) => trace[axis][place] ?? 0));
    const sums = stacked ? columns.map((each) => each.reduce((sum, value) => sum + value, 0)) : columns.flat();
    const low = Math.min(...sums);
    const high = Math.max(...sums);
    const tight = this.spec.kind === "line" && low > 0 && high < low * 1.5;
    return [tight ? low - (high - low || low * 0.1) * 0.5 : Math.min(0, low), Math.max(high, low < 0 ? 0 : high)];
  }
}
