// Tables: sorting, search, filters, pages, export. The first rows stand in the page already.

class TableView {
  constructor(id, spec, picks) {
    Object.assign(this, { id, spec, picks, page: 0, search: "", sort: null, filters: new Map() });
    this.root = document.querySelector(`[data-figure="${id}"]`);
    this.table = this.root.querySelector('[data-role="table"]');
    this.pager = this.root.querySelector('[data-role="pager"]');
    this.dataset = datasets.get(spec.data);
    this.places = spec.columns.map((column) => this.dataset.at(column.name));
    this.addTools();
    this.addSorting();
  }

  addTools() {
    const tools = this.root.querySelector('[data-role="tools"]');
    const search = element("input", { type: "search", placeholder: "Search", "aria-label": `Search in ${this.spec.title}` });
    search.addEventListener("input", () => this.change({ search: search.value.toLowerCase() }));
    tools.prepend(...this.spec.filters.map((name) => this.makeFilter(name)), search);
    tools.querySelector('[data-role="export"]').addEventListener("click", () => this.save());
  }

  makeFilter(name) {
    const at = this.dataset.at(name);
    const column = this.spec.columns.find((each) => each.name === name) ?? { label: headed(name), format: "text" };
    const values = [...new Set(this.dataset.rows.map((row) => row[at]))].sort((a, b) => compareValues(a, b, false));
    const choice = element("select", { "data-filter": name, "aria-label": `${column.label} in ${this.spec.title}` });
    choice.append(element("option", {}, `${column.label}: all`), ...values.map((value) => element("option", {}, show(value, column.format))));
    choice.addEventListener("change", () => {
      if (choice.selectedIndex) this.filters.set(at, values[choice.selectedIndex - 1]);
      else this.filters.delete(at);
      this.change({});
    });
    return choice;
  }

  addSorting() {
    const heads = [...this.table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const sorter = element("button", { type: "button", class: "sorter" }, head.textContent);
      sorter.addEventListener("click", () => this.sortBy(place));
      head.replaceChildren(sorter);
    });
  }

  sortBy(place) {
    const down = this.sort?.place === place && !this.sort.down;
    const heads = [...this.table.tHead.rows[0].cells];
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[place].setAttribute("aria-sort", down ? "descending" : "ascending");
    this.change({ sort: { place, down } });
  }

  change(what) {
    Object.assign(this, what, { page: 0 });
    this.refresh();
  }

  matching() {
    const rows = this.picks.rowsFor(this.spec, this.dataset).filter((row) => this.matches(row));
    if (!this.sort) return rows;
    const at = this.places[this.sort.place];
    const numeric = isNumeric(this.spec.columns[this.sort.place].format);
    const order = this.sort.down ? -1 : 1;
    return rows.sort((a, b) => order * compareValues(a[at], b[at], numeric));
  }

  matches(row) {
    for (const [at, value] of this.filters) if (row[at] !== value) return false;
    if (!this.search) return true;
    return this.spec.columns.some((column, place) => {
      const value = row[this.places[place]];
      return value !== null && (String(value).toLowerCase().includes(this.search) || show(value, column.format).toLowerCase().includes(this.search));
    });
  }

  refresh() {
    const rows = this.matching();
    const { page, size } = windowOf(this, rows.length);
    const shown = rows.slice(page * size, (page + 1) * size);
    const made = shown.map((row) => element("tr", {}, ...this.spec.columns.map((column, place) => cellFor(row[this.places[place]], column, this.target(row, column)))));
    this.table.tBodies[0].replaceChildren(...(made.length ? made : [this.nothing()]));
    this.root.querySelector('[data-role="narrowed"]').textContent = this.picks.wordsFor(this.spec);
    this.fillFoot(rows);
    fillPager(this.pager, { page, size, count: rows.length, title: this.spec.title }, (wanted) => {
      this.page = wanted;
      this.refresh();
    });
  }

  // Where a value leads: to the page its row names.
  target(row, column) {
    const page = this.spec.links[column.name] === undefined ? null : row[this.dataset.at(this.spec.links[column.name])];
    return page === null ? null : page.replace(/^[^#]*/, "$&.html");
  }

  nothing() {
    const words = this.dataset.leftOut ? "No row of those on this page matches; others were left out." : this.dataset.rows.length ? "No row matches." : "No rows.";
    return element("tr", {}, element("td", { class: "empty", colspan: String(this.spec.columns.length) }, words));
  }

  get isNarrowed() {
    return Boolean(this.search || this.filters.size || this.picks.active(this.spec).length);
  }

  // All rows: the total SQL gave. Fewer: the exact sum of the rows that match, unless others may be among those left out.
  fillFoot(rows) {
    const foot = this.table.tFoot;
    if (!foot) return;
    const { leftOut } = this.dataset;
    const all = !this.isNarrowed;
    const isPart = !all && leftOut > 0;
    const count = all ? rows.length + leftOut : rows.length;
    [...foot.rows[0].cells].forEach((cell, place) => {
      const column = this.spec.columns[place];
      const total = this.spec.totals[column.name];
      if (place === 0) {
        cell.textContent = `${all ? "All " : ""}${show(count, "count")} row${count === 1 ? "" : "s"}${isPart ? " on this page" : ""}`;
      } else if (total !== undefined) {
        cell.textContent = all ? total : isPart ? ABSENT : show(sumExact(rows.map((row) => row[this.places[place]])), column.format);
      }
    });
  }

  save() {
    const rows = this.matching().map((row) => this.places.map((place) => row[place]));
    saveCsv(csvName(this.id), this.spec.columns, rows);
  }

  drawIfSeen() {}
}

const PAPER_ROWS = 40; // a table of no more is printed whole

// The page of a table that is shown, no further than there are rows; paper leaves the reader's page as it was.
function windowOf({ spec, onPaper, page }, count) {
  const size = onPaper && count <= PAPER_ROWS ? PAPER_ROWS : spec.page_rows;
  return { size, page: Math.min(page, Math.max(0, Math.ceil(count / size) - 1)) };
}

function fillPager(pager, { page, size, count, title }, go) {
  const last = Math.max(0, Math.ceil(count / size) - 1);
  if (!last) {
    pager.replaceChildren();
    return;
  }
  const number = (value) => show(value, "count");
  const range = `${number(page * size + 1)}–${number(Math.min(count, (page + 1) * size))} of ${number(count)}`;
  const words = element("span", { role: "status" }, range);
  const onPaper = element("span", { class: "paper" }, `Rows ${range}; the others are on the page itself, ${parcel.page}.html.`);
  const held = document.activeElement?.getAttribute("aria-label");
  const back = button("‹", `Earlier rows of ${title}`, () => go(page - 1));
  const on = button("›", `Later rows of ${title}`, () => go(page + 1));
  back.disabled = page === 0;
  on.disabled = page === last;
  pager.replaceChildren(back, words, on, onPaper);
  for (const each of [back, on]) if (each.getAttribute("aria-label") === held) (each.disabled ? (each === on ? back : on) : each).focus();
}
