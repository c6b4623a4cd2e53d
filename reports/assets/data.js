// The data of the page and what the reader has picked of it.

class Dataset {
  constructor({ columns, rows, left_out: leftOut }) {
    this.columns = columns;
    this.rows = rows;
    this.leftOut = leftOut;
    this.places = new Map(columns.map((name, place) => [name, place]));
  }

  at(name) {
    return this.places.get(name);
  }
}

// Which category is picked in each chart that can be picked from; figures that follow are told.
class Picks {
  constructor(figures) {
    this.figures = figures;
    this.chosen = new Map();
    this.views = new Map();
    for (const [id, figure] of Object.entries(figures)) if (figure.select) this.chosen.set(id, figure.chosen);
  }

  pick(id, value) {
    this.chosen.set(id, value);
    const told = this.followers(id);
    for (const follower of told) if (this.chosen.has(follower)) this.chosen.set(follower, null);
    for (const each of [id, ...told]) this.views.get(each)?.refresh();
  }

  // Direct and indirect followers, each once.
  followers(id, found = new Set()) {
    for (const [name, figure] of Object.entries(this.figures)) {
      if (!figure.follows?.includes(id) || found.has(name)) continue;
      found.add(name);
      this.followers(name, found);
    }
    return found;
  }

  active(figure) {
    return (figure.follows ?? [])
      .filter((id) => (this.chosen.get(id) ?? null) !== null)
      .map((id) => ({ column: this.figures[id].x, value: this.chosen.get(id) }));
  }

  // Whether what a figure follows is picked as it was when the page was made.
  areFirst(figure) {
    return (figure.follows ?? []).every((id) => (this.chosen.get(id) ?? null) === (this.figures[id].chosen ?? null));
  }

  rowsFor(figure, dataset) {
    const wanted = this.active(figure).map(({ column, value }) => [dataset.at(column.name), value]);
    return dataset.rows.filter((row) => wanted.every(([place, value]) => row[place] === value));
  }

  wordsFor(figure) {
    return this.active(figure).map(({ column, value }) => show(value, column.format)).join(", ");
  }
}

// A spreadsheet runs text that begins like a formula; such text gets an apostrophe, numbers stay as they are.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = String(value);
  const isNumber = /^-?\d+(\.\d+)?$/.test(text);
  const safe = !isNumber && /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}

function saveCsv(name, columns, rows) {
  const lines = [columns.map((column) => column.name), ...rows].map((row) => row.map(csvCell).join(","));
  const blob = new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv;charset=utf-8" });
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it in its own time
}

function csvName(id) {
  return [parcel.page, id, parcel.release === null ? "no-release" : "release-" + parcel.release].join("-") + ".csv";
}

// Makes an element; text is always text, never markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function button(text, label, onClick) {
  const made = element("button", { type: "button", class: "tool", "aria-label": label }, text);
  made.addEventListener("click", onClick);
  return made;
}

function compareValues(a, b, numeric) {
  if (a === null || b === null) return (a === null) - (b === null);
  return numeric ? Number(a) - Number(b) : String(a).localeCompare(String(b), "en");
}

const [LONG_TEXT, LONGER_TEXT] = [24, 120]; // characters; what is longer gets room of its own

// A long name may go on in the next line behind a stroke or a comma, rather than anywhere.
function breakable(text) {
  if (text.length <= LONG_TEXT) return [text];
  return text.split(/(?<=[/_])(?=\w)|(?<=,)(?=["{[])/).flatMap((part, place) => (place ? [element("wbr"), part] : [part]));
}

function cellFor(value, column, target = null) {
  const numeric = isNumeric(column.format);
  const text = show(value, column.format);
  const written = breakable(text);
  const plain = target === null ? written : [element("a", { href: target }, ...written)];
  const shown = column.format === "outcome" && value !== null ? [element("span", { class: "pill pill-" + value }, text)] : plain;
  const whole = ["date", "month", "instant"].includes(column.format) || column.name?.endsWith("_id");
  const kind = numeric ? "number" : whole ? "whole" : text.length > LONGER_TEXT ? "long longer" : text.length > LONG_TEXT ? "long" : null;
  return element("td", { class: kind }, ...shown);
}
