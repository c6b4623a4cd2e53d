// Starts the page: figures, tabs, theme, print.

const VIEWS = { chart: ChartView, choice: ChoiceView, table: TableView, compare: ComparisonView };

class HeatView {
  constructor(id, spec) {
    const dataset = datasets.get(spec.data);
    const columns = dataset.columns.map((name) => ({ name, format: "text" }));
    const root = document.querySelector(`[data-figure="${id}"]`);
    root.querySelector('[data-role="export"]').addEventListener("click", () => saveCsv(csvName(id), columns, dataset.rows));
  }

  refresh() {}

  drawIfSeen() {}
}

function startFigures() {
  const picks = new Picks(parcel.figures);
  for (const [id, spec] of Object.entries(parcel.figures)) {
    picks.views.set(id, new (VIEWS[spec.type] ?? HeatView)(id, spec, picks));
  }
  for (const view of picks.views.values()) view.refresh();
  window.addEventListener("hashchange", () => pickAsked(picks));
  return picks;
}

// An address such as page.html#table=marts.sales_daily picks that value; another page leads here so.
function pickAsked(picks) {
  const asked = /^#([\w-]+)=(.+)$/.exec(location.hash);
  if (asked && parcel.figures[asked[1]]?.type === "choice") picks.pick(asked[1], decodeURIComponent(asked[2]));
}

function startTabs(views) {
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  const parts = tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
  const choose = (wanted, { focus = false } = {}) => {
    tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", String(place === wanted));
      tab.tabIndex = place === wanted ? 0 : -1;
      parts[place].hidden = place !== wanted;
    });
    if (focus) tabs[wanted].focus();
    tabs[wanted].scrollIntoView({ block: "nearest", inline: "nearest" });
    for (const view of views) view.drawIfSeen();
  };
  const goTo = (place) => {
    const wanted = (place + tabs.length) % tabs.length;
    history.replaceState(null, "", tabs[wanted].hash);
    choose(wanted, { focus: true });
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      goTo(place);
    });
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: -1, " ": place };
      if (!(event.key in steps)) return;
      event.preventDefault();
      goTo(steps[event.key]);
    });
  });
  const asked = () => tabs.findIndex((tab) => tab.hash === location.hash);
  window.addEventListener("hashchange", () => asked() >= 0 && choose(asked()));
  if (tabs.length) choose(Math.max(0, asked()));
  if (tabs.length === 1) parts[0].setAttribute("role", "region"); // its tab is not shown
  return parts;
}

// Paper has neither tabs nor pagers: all parts are shown and drawn, short tables whole, then put back.
function startPrint(views, parts) {
  let hidden = [];
  const putOnPaper = (onPaper) => {
    for (const view of views) {
      view.onPaper = onPaper; // which is light
      if (view instanceof ChartView) view.redraw();
      else view.refresh();
    }
  };
  window.addEventListener("beforeprint", () => {
    hidden = parts.filter((part) => part.hidden);
    for (const part of hidden) part.hidden = false;
    putOnPaper(true);
  });
  window.addEventListener("afterprint", () => {
    putOnPaper(false);
    for (const part of hidden) part.hidden = true;
  });
  document.getElementById("print").addEventListener("click", () => window.print());
}

function startTheme(views) {
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const redraw = () => {
    toggle.setAttribute("aria-pressed", String(isDark()));
    for (const view of views) if (view instanceof ChartView) view.redraw();
  };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    redraw();
  });
  SYSTEM_DARK.addEventListener("change", redraw);
  toggle.setAttribute("aria-pressed", String(isDark()));
}

function startGates() {
  const gates = document.getElementById("gates");
  document.getElementById("to-gates").addEventListener("click", () => {
    gates.open = true;
  });
}

const parcel = JSON.parse(document.getElementById("parcel").textContent);
const datasets = new Map(Object.entries(parcel.datasets).map(([id, data]) => [id, new Dataset(data)]));
const picks = startFigures();
const views = [...picks.views.values()];
const parts = startTabs(views);
pickAsked(picks);
startPrint(views, parts);
startTheme(views);
startGates();
