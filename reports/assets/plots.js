// The plotly figures of the page, made by reports/plotly_figures.py: filled with other numbers after a filter, put into
// the theme of the moment, and thinned to the room there is. A browser test holds the numbers' rules equal to Python's.

const PLOT_CONFIG = {
  displayModeBar: false,
  displaylogo: false,
  responsive: true,
  showSendToCloud: false,
  plotlyServerURL: "",
};
const [HEIGHT, BAR_HEIGHT, AXIS_HEIGHT, LEAST_HEIGHT] = [260, 34, 50, 180];
const [LEGEND_COLUMNS, LEGEND_LINE, LEGEND_LETTER, LEGEND_SIGN] = [4, 20, 7, 48]; // pixels, but for the columns
const [GAP, ROOMY_COUNT] = [0.25, 8];
const [TICKS, HEADROOM, FLAT] = [5, 0.05, 1.5];
const [LETTER_WIDTH, BETWEEN, EDGES] = [6, 12, 64]; // pixels of names under a chart, between them and beside them all
const SYSTEM_DARK = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const wish = document.documentElement.dataset.theme;
  return wish === "auto" ? SYSTEM_DARK.matches : wish === "dark";
}

// Plotly reads markup in texts; data has none.
function plainText(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function rawText(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&amp;", "&");
}

function axesOf(kind) {
  return kind === "across" ? ["y", "x"] : ["x", "y"];
}

// The figure with other numbers: `values` holds a map by category for each trace, which stays as it is in all else.
function refilled({ data, layout }, spec, categories, values) {
  const [nameAxis, valueAxis] = axesOf(spec.kind);
  const names = categories.map((each) => plainText(show(each, spec.x.format)));
  const traces = data.map((trace, place) => {
    const found = categories.map((each) => values[place].get(each) ?? null);
    return {
      ...trace,
      [nameAxis]: names,
      [valueAxis]: found.map((value) => (value === null ? null : Number(value))),
      customdata: found.map((value) => show(value, spec.format)),
      visible: found.some((value) => value !== null),
    };
  });
  const ticks = { tickvals: names, ticktext: categories.map((each) => plainText(showBrief(each, spec.x.format))) };
  return { data: traces, layout: rescaled(layout, spec, traces, ticks) };
}

function rescaled(layout, { kind, format }, traces, nameTicks) {
  const [nameAxis, valueAxis] = axesOf(kind);
  const count = nameTicks.tickvals.length;
  const shown = traces.filter((trace) => trace.visible).length;
  const [low, high] = span(traces.map((trace) => trace[valueAxis]), kind);
  return {
    ...layout,
    height: heightFor(kind, count, shown),
    bargap: kind === "across" ? GAP : Math.max(GAP, 1 - ((1 - GAP) * count) / ROOMY_COUNT),
    showlegend: shown > 1,
    [nameAxis + "axis"]: { ...layout[nameAxis + "axis"], ...nameTicks },
    [valueAxis + "axis"]: { ...layout[valueAxis + "axis"], range: [low, high], ...ticksBetween(low, high, format) },
  };
}

function heightFor(kind, count, shown) {
  const legend = shown > 1 ? LEGEND_LINE * Math.ceil(shown / LEGEND_COLUMNS) : 0;
  return legend + (kind === "across" ? Math.max(LEAST_HEIGHT, BAR_HEIGHT * count + AXIS_HEIGHT) : HEIGHT);
}

function span(columns, kind) {
  const places = columns[0].map((_, place) => columns.map((column) => column[place]).filter((each) => each !== null));
  const stacked = kind === "stacked" || kind === "area";
  const found = stacked ? places.map((place) => place.reduce((sum, each) => sum + each, 0)) : places.flat();
  const [low, high] = found.length ? [Math.min(...found), Math.max(...found)] : [0, 0];
  const tight = kind === "line" && low > 0 && low < high && high < low * FLAT;
  const [first, last] = tight ? [low - (high - low) / 2, high] : [Math.min(0, low), Math.max(0, high)];
  return [first, last + (last - first) * HEADROOM || 1];
}

function ticksBetween(low, high, format) {
  const rough = (high - low) / TICKS;
  const whole = format === "count";
  const power = Math.max(10 ** Math.floor(Math.log10(rough)), whole ? 1 : 0);
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough && (!whole || Number.isInteger(each)));
  const first = Math.ceil(low / step);
  const values = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
  return { tickvals: values, ticktext: values.map((value) => showShort(value, format)) };
}

// The figure in the colours of a theme; of the bars, only the picked one keeps its full colour.
function themed({ data, layout }, { template, colours }, picked) {
  const traces = data.map((trace) => {
    const fill = colours[trace.meta.colour];
    const pale = faded(fill, colours.paper);
    const color = trace.type === "bar" && picked >= 0 ? trace.x.map((_, place) => (place === picked ? fill : pale)) : fill;
    const line = trace.line && { line: { ...trace.line, color: fill } };
    return { ...trace, marker: { ...trace.marker, color }, ...line };
  });
  return { data: traces, layout: { ...layout, template } };
}

// Bars not picked fade towards the paper; opacity would let the grid shine through.
function faded(fill, paper) {
  const [a, b] = [fill, paper].map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  return `rgb(${a.map((part, place) => Math.round(part * 0.35 + b[place] * 0.65)).join(", ")})`;
}

// The figure in the room there is: short names in its legend, the lines these take, and as many names below it.
function fitted({ data, layout: { height, ...layout } }, kind, width) {
  const named = data.map((trace) => ({ ...trace, name: plainText(shorten(rawText(trace.name))) }));
  const xaxis = kind === "across" ? thinned(layout.xaxis, width - widthOf(layout.yaxis.ticktext)) : thinned(layout.xaxis, width);
  return { data: named, layout: { ...layout, xaxis, height: height + LEGEND_LINE * furtherLines(named, width) } };
}

function widthOf(texts) {
  return Math.max(0, ...texts.map((text) => text.length)) * LETTER_WIDTH;
}

// Lines of a legend beyond those that the figure has room for: plotly sets entries in columns of the widest.
function furtherLines(data, width) {
  const widths = data.filter((trace) => trace.visible).map((trace) => trace.name.length * LEGEND_LETTER + LEGEND_SIGN);
  const sum = widths.reduce((all, each) => all + each, 0);
  if (widths.length <= 1 || sum <= width - EDGES) return 0;
  const columns = Math.max(1, Math.floor((width - EDGES) / Math.max(...widths)));
  return Math.max(0, Math.ceil(widths.length / columns) - Math.ceil(widths.length / LEGEND_COLUMNS));
}

// The first name stays, or the axis' nought.
function thinned(axis, width) {
  const { tickvals, ticktext } = axis;
  const step = Math.ceil(tickvals.length / Math.max(2, Math.floor((width - EDGES) / (widthOf(ticktext) + BETWEEN)))) || 1;
  const first = Math.max(0, tickvals.indexOf(0));
  const kept = (texts) => texts.filter((_, place) => (place - first) % step === 0);
  return { ...axis, tickvals: kept(tickvals), ticktext: kept(ticktext) };
}
