// A choice: a field to type in; a value that is there narrows the figures that follow, an empty field widens them again.

class ChoiceView {
  constructor(id, spec, picks) {
    Object.assign(this, { id, spec, picks });
    const root = document.querySelector(`[data-figure="${id}"]`);
    this.field = root.querySelector('[data-role="field"]');
    this.summary = root.querySelector('[data-role="summary"]');
    const dataset = datasets.get(spec.data);
    const values = new Set(dataset.rows.map((row) => row[dataset.at(spec.x.name)]));
    this.byText = new Map([...values].map((value) => [show(value, spec.x.format), value]));
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("change", () => this.typed());
  }

  typed() {
    const text = this.field.value.trim();
    if (text === "") this.picks.pick(this.id, null);
    else if (this.byText.has(text)) this.picks.pick(this.id, this.byText.get(text));
    else this.summary.textContent = "";
  }

  refresh() {
    const chosen = this.picks.chosen.get(this.id) ?? null;
    const text = chosen === null ? "" : show(chosen, this.spec.x.format);
    if (chosen !== null || this.byText.has(this.field.value.trim())) this.field.value = text;
    this.summary.textContent = chosen === null ? "" : `Only ${text}; empty the field to see all.`;
  }

  drawIfSeen() {}
}
