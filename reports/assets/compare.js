// Two runs side by side; the reader chooses which.

const ALONE = "There is no other run to compare with yet.";

class ComparisonView {
  constructor(id, spec) {
    Object.assign(this, { id, spec, page: 0 });
    this.root = document.querySelector(`[data-figure="${id}"]`);
    this.part = (role) => this.root.querySelector(`[data-role="${role}"]`);
    this.dataset = datasets.get(spec.data);
    for (const role of ["before", "after", "changed"]) {
      this.part(role).addEventListener("change", () => {
        this.page = 0;
        this.refresh();
      });
    }
    this.part("export").addEventListener("click", () => this.save());
  }

  rowsOf(run) {
    const at = this.dataset.at(this.spec.by.name);
    const keys = this.spec.keys.map((column) => this.dataset.at(column.name));
    const rows = this.dataset.rows.filter((row) => String(row[at]) === run);
    return new Map(rows.map((row) => [JSON.stringify(keys.map((place) => row[place])), row]));
  }

  lines() {
    const [before, after] = [this.rowsOf(this.part("before").value), this.rowsOf(this.part("after").value)];
    const places = this.spec.values.map((column) => this.dataset.at(column.name));
    const pick = (row) => places.map((place) => (row ? row[place] : null));
    return [...new Set([...after.keys(), ...before.keys()])].map((key) => {
      const [old, now] = [pick(before.get(key)), pick(after.get(key))];
      return { key: JSON.parse(key), old, now, change: this.describe(old, now) };
    });
  }

  // A run that is the only one is compared with nothing.
  get isAlone() {
    return !this.part("before").value || !this.part("after").value;
  }

  describe(old, now) {
    if (this.isAlone) return "";
    const missing = (values) => values.every((value) => value === null);
    if (missing(old)) return missing(now) ? "" : "new";
    if (missing(now)) return "gone";
    return this.spec.values.map((column, place) => difference(old[place], now[place], column)).filter(Boolean).join(", ");
  }

  refresh() {
    const lines = this.lines();
    const changed = lines.filter((line) => line.change);
    const wanted = this.part("changed").checked ? changed : lines;
    const { page, size } = windowOf(this, wanted.length);
    this.part("summary").textContent = this.isAlone ? ALONE : `${changed.length} of ${lines.length} differ`;
    const made = wanted.slice(page * size, (page + 1) * size).map((line) => this.row(line));
    this.part("table").tBodies[0].replaceChildren(...made);
    fillPager(this.part("pager"), { page, size, count: wanted.length, title: this.spec.title }, (next) => {
      this.page = next;
      this.refresh();
    });
  }

  row({ key, old, now, change }) {
    const pairs = this.spec.values.flatMap((column, place) => [cellFor(old[place], column), cellFor(now[place], column)]);
    const keys = this.spec.keys.map((column, place) => cellFor(key[place], column));
    return element("tr", { class: change ? "changed" : null }, ...keys, ...pairs, element("td", {}, change));
  }

  save() {
    const { keys, values } = this.spec;
    const pairs = values.flatMap((column) => ["a", "b"].map((side) => ({ ...column, name: `${column.name}_${side}` })));
    const columns = [...keys, ...pairs, { name: "change", format: "text" }];
    const rows = this.lines().map(({ key, old, now, change }) => [...key, ...values.flatMap((_, place) => [old[place], now[place]]), change]);
    saveCsv(csvName(this.id), columns, rows);
  }

  drawIfSeen() {}
}

function difference(old, now, column) {
  if (old === now) return "";
  if (old === null || now === null || !isNumeric(column.format)) {
    return `${show(old, column.format)} → ${show(now, column.format)}`;
  }
  const moved = subtractExact(now, old);
  if (!/[1-9]/.test(moved)) return "";
  return (moved.startsWith("-") ? "−" : "+") + show(moved.replace("-", ""), column.format);
}
