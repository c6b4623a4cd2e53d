// How values are written; the same rules as reports/formats.py, which a browser test holds equal.

const ABSENT = "–";
const NUMERIC = new Set(["money", "count", "number", "percent", "seconds", "bytes"]);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const BARE_AMOUNT = /\b(INR|USD|EUR|GBP|JPY|AED|SGD|CHF|AUD|CAD) (-?\d+(?:\.\d+)?)(?!\d|[.,]\d)/g; // none whose digits are grouped
const MOST_LETTERS = 28; // of a name beside or below a chart
const writers = new Map();

function isNumeric(format) {
  return NUMERIC.has(format.split(":")[0]);
}

// Formatters are costly to make and asked for often.
function writer(locale, options) {
  const key = locale + JSON.stringify(options);
  if (!writers.has(key)) writers.set(key, new Intl.NumberFormat(locale, options));
  return writers.get(key);
}

function localeOf(format) {
  const [kind, currency] = format.split(":");
  return kind === "money" ? (currency === "INR" ? "en-IN" : "en-US") : parcel.locale;
}

// Numbers come as whole numbers or as exact decimal strings; Intl writes the strings exactly too.
function show(value, format) {
  if (value === null || value === undefined) return ABSENT;
  const [kind] = format.split(":");
  if (isNumeric(format)) return showNumber(String(value), format);
  if (kind === "date") return showDate(value);
  if (kind === "month") return MONTHS[Number(value.slice(5, 7)) - 1] + " " + value.slice(0, 4);
  if (kind === "instant") return showDate(value) + ", " + value.slice(11, 19);
  if (kind === "sentence") return value.replace(BARE_AMOUNT, (_, currency, amount) => showNumber(amount, "money:" + currency));
  return String(value);
}

function showDate(text) {
  return Number(text.slice(8, 10)) + " " + MONTHS[Number(text.slice(5, 7)) - 1] + " " + text.slice(0, 4);
}

// A category as an axis wants it: 20 Nov, 21 Nov 02:00.
function showBrief(value, format) {
  const day = () => showDate(value).replace(/ \d+$/, "");
  if (value !== null && format === "date") return day();
  if (value !== null && format === "instant") return day() + " " + value.slice(11, 16);
  return shorten(show(value, format));
}

// The heading of a column that is not shown.
function headed(name) {
  return name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
}

// A name as a chart has room for it.
function shorten(name) {
  const letters = [...name]; // not the halves of one
  return letters.length <= MOST_LETTERS ? name : letters.slice(0, MOST_LETTERS - 1).join("").trimEnd() + "…";
}

function showNumber(text, format) {
  const [kind, detail] = format.split(":");
  const locale = localeOf(format);
  const fixed = (digits) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });
  switch (kind) {
    case "money":
      return writer(locale, { style: "currency", currency: detail }).format(text);
    case "percent":
      return writer(locale, fixed(1)).format(shiftPoint(text, 2)) + "%";
    case "count":
      return writer(locale, fixed(0)).format(text);
    case "bytes":
      return writer(locale, fixed(0)).format(Number(text) / 1024) + " kB";
    default: {
      const digits = detail ? fixed(Number(detail)) : { maximumFractionDigits: 4 };
      return writer(locale, digits).format(text) + (kind === "seconds" ? " s" : "");
    }
  }
}

// Multiplies a decimal string by a power of ten without leaving decimals.
function shiftPoint(text, places) {
  const { units, scale } = toUnits(text);
  return fromUnits(units * 10n ** BigInt(places), scale);
}

function toUnits(text) {
  const [whole, fraction = ""] = String(text).split(".");
  return { units: BigInt(whole + fraction), scale: fraction.length };
}

function fromUnits(units, scale) {
  const sign = units < 0n ? "-" : "";
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  return sign + whole + (scale ? "." + digits.slice(digits.length - scale) : "");
}

// Adds decimal strings exactly; what is missing counts as nothing.
function sumExact(values) {
  const parts = values.filter((value) => value !== null).map(toUnits);
  const scale = Math.max(0, ...parts.map((part) => part.scale));
  const units = parts.reduce((sum, part) => sum + part.units * 10n ** BigInt(scale - part.scale), 0n);
  return fromUnits(units, scale);
}

function subtractExact(a, b) {
  const { units, scale } = toUnits(b);
  return sumExact([a, fromUnits(-units, scale)]);
}

// An axis wants few characters: ₹1.2Cr, 40K, 12%.
function showShort(number, format) {
  const [kind, detail] = format.split(":");
  if (kind === "percent") return Number((number * 100).toFixed(2)) + "%";
  const options = { notation: "compact", maximumFractionDigits: 1 };
  const money = kind === "money" ? { style: "currency", currency: detail } : {};
  return writer(localeOf(format), { ...options, ...money }).format(number);
}
