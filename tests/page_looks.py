"""What a page looks like, measured in the browser: contrast, names of controls, headings, and charts' letters."""

from playwright.sync_api import Page

AA_CONTRAST = 4.5
WIDTH = "() => document.documentElement.scrollWidth"  # innerWidth grows with what overflows on a phone
# Ratio of each text to its ground, by WCAG: pages' words, and the letters of charts. Disabled buttons are exempt there.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of ["white", ...colours]) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const line = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((part) => line(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const grounds = new Map([[document, []]]);
  const groundsOf = (element) => {
    if (!grounds.has(element)) {
      const own = getComputedStyle(element).backgroundColor;
      grounds.set(element, [...groundsOf(element.parentNode), ...(own === "rgba(0, 0, 0, 0)" ? [] : [own])]);
    }
    return grounds.get(element);
  };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("button:disabled, script, noscript, option")) continue;
    const colour = getComputedStyle(element)[element.closest("svg") ? "fill" : "color"];
    const looks = element.localName + " " + colour + " on " + groundsOf(element);
    if (found.has(looks)) continue;
    const [a, b] = [light(paint(groundsOf(element))), light(paint([...groundsOf(element), colour]))];
    found.set(looks, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return [...found];
}"""
UNNAMED = """() => [...document.querySelectorAll("button, select, input, a[href], img, [role=img]")].filter((each) =>
    !(each.getAttribute("aria-label") || each.textContent.trim() || each.alt || each.labels?.length)).length"""
REPEATED = """() => { const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
    return ids.filter((id, place) => ids.indexOf(id) !== place); }"""
SKIPPING = """() => [...document.querySelectorAll("h1, h2, h3, h4")].map((each) => Number(each.localName[1])).filter(
    (level, place, levels) => level > (place ? levels[place - 1] : 0) + 1).length"""
UNSCOPED = "() => document.querySelectorAll('th:not([scope])').length"
# Letters of charts that leave their chart or stand on each other, legends that would have to be scrolled, empty charts.
SPOILT = """() => [...document.querySelectorAll(".plot")].filter((plot) => plot.offsetParent).flatMap((plot) => {
  const box = plot.getBoundingClientRect();
  const texts = [...plot.querySelectorAll("text")].map((each) => [each.textContent, each.getBoundingClientRect()])
    .filter(([text, at]) => text.trim() && at.width);
  const out = texts.filter(([, at]) => at.left < box.left - 1 || at.right > box.right + 1
    || at.top < box.top - 1 || at.bottom > box.bottom + 1).map(([text]) => `cut: ${text}`);
  const over = texts.flatMap(([text, at], place) => texts.slice(place + 1).filter(([, other]) =>
    Math.min(at.right, other.right) - Math.max(at.left, other.left) > 1
    && Math.min(at.bottom, other.bottom) - Math.max(at.top, other.top) > 2).map(([other]) => `${text} on ${other}`));
  const bars = [...plot.querySelectorAll(".legend .scrollbar")];
  const scrolled = bars.filter((each) => each.getBoundingClientRect().width);
  const bare = plot.querySelector("svg.main-svg, .empty") ? [] : ["not drawn"];
  return [...out, ...over, ...scrolled.map(() => "legend scrolls"), ...bare].map((what) => `${plot.id}: ${what}`);
})"""


def faint_texts(page: Page) -> list[tuple[str, float]]:
    """Gives the visible texts that do not stand out from their ground by WCAG AA."""
    return [(looks, ratio) for looks, ratio in page.evaluate(CONTRAST) if ratio < AA_CONTRAST]


def spoilt_charts(page: Page) -> list[str]:
    """Gives what is wrong with the visible charts' letters."""
    return list(page.evaluate(SPOILT))


def unreadable(page: Page) -> dict[str, object]:
    """Gives what a screen reader stumbles over: controls without a name, ids twice, levels left out, bare heads."""
    found = {"unnamed": UNNAMED, "ids twice": REPEATED, "levels left out": SKIPPING, "heads without scope": UNSCOPED}
    return {what: count for what, script in found.items() if (count := page.evaluate(script))}
