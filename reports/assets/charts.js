// Charts: their tools, what is picked in them, and when they are drawn. A click on a category narrows what follows.

const [PAPER_WIDTH, PAPER_HALF] = [656, 304]; // pixels of a chart on A4 upright, alone and as one of a pair

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
    this.redraw();
  }

  redraw() {
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
    const { data, layout } = this.figure();
    Plotly.react(this.plot, data, layout, PLOT_CONFIG);
    if (this.spec.select && !this.drawn) {
      this.plot.on("plotly_click", (event) => this.clicked(event.points[0].pointNumber));
    }
    this.drawn = true;
  }

  clicked(place) {
    const value = this.categories[place];
    this.picks.pick(this.id, this.picks.chosen.get(this.id) === value ? null : value);
  }

  // The figure as it came; once the reader has picked otherwise, with the numbers of the rows then left.
  figure() {
    const came = parcel.plots[this.id];
    const now = this.picks.areFirst(this.spec) ? came : refilled(came, this.spec, this.categories, this.split(came.data));
    const chosen = this.picks.chosen.get(this.id) ?? null;
    const picked = chosen === null ? -1 : this.categories.indexOf(chosen);
    const theme = parcel.themes[isDark() && !this.onPaper ? "dark" : "light"];
    const { data, layout } = themed(fitted(now, this.spec.kind, this.width), theme, picked);
    return { data, layout: { ...layout, width: this.onPaper ? this.width : undefined, autosize: !this.onPaper } };
  }

  // Paper is laid out after the page is told to print: its width is known beforehand only.
  get width() {
    if (!this.onPaper) return this.plot.clientWidth;
    return this.root.closest(".pair") ? PAPER_HALF : PAPER_WIDTH;
  }

  // Values by category for each trace: one per y column, or one per value of the series column.
  split(traces) {
    const { spec, dataset } = this;
    const at = dataset.at(spec.x.name);
    if (!spec.series) {
      return spec.y.map((column) => new Map(this.rows.map((row) => [row[at], row[dataset.at(column.name)]])));
    }
    const named = new Map(traces.map((trace) => [trace.name, new Map()]));
    const [split, value] = [dataset.at(spec.series.name), dataset.at(spec.y[0].name)];
    for (const row of this.rows) named.get(plainText(show(row[split], spec.series.format))).set(row[at], row[value]);
    return [...named.values()];
  }
}
