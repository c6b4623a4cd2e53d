"""The three media of a page. Each writes figures with its own templates; words come in as Markdown."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from reports.bundle import bundle
from reports.canvas import Canvas
from reports.context import PageContext
from reports.figures import Chart
from reports.formats import Formatter, is_numeric
from reports.letters import families_for
from reports.page import Page
from reports.theme import OUTCOMES

TEMPLATES = Path(__file__).parent / "templates"
WIDEST_TEXT = 40  # characters of one cell in the plain text
LONG_TEXT = 24  # characters of one cell of the page that fit in a line
BREAK = re.compile(r'(?<=[/_])(?=\w)|(?<=,)(?=["{[])')
CHART_NAMES = {
    "bar": "bar chart",
    "across": "bar chart",
    "stacked": "stacked bar chart",
    "line": "line chart",
    "area": "area chart",
}


class Media(Protocol):
    """What a page is drawn in: figures one by one, then the whole."""

    escaped: bool

    def draw(self, block: str, /, **subject: object) -> str:
        """Gives one figure or block."""
        ...

    def finish(self, page: Page, canvas: Canvas, body: str, context: PageContext) -> str:
        """Gives the document around the body."""
        ...


def _markdown(text: str) -> Markup:
    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))  # html is off: words are text


def _close(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip())


def align(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Gives lines of cells in columns of equal width, numbers to the right."""
    whole = [[" ".join(cell.split()) for cell in row] for row in rows]
    short = [[cell if len(cell) <= WIDEST_TEXT else cell[: WIDEST_TEXT - 1] + "…" for cell in row] for row in whole]
    widths = [max(len(row[place]) for row in short) for place in range(len(right))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in short
    )


def breakable(text: str) -> Markup | str:
    """Gives a long text with places to go on in the next line: behind a stroke or comma, rather than anywhere."""
    return text if len(text) <= LONG_TEXT else Markup("<wbr>").join(BREAK.split(text))


def _environment(*, escaped: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["numeric"] = is_numeric
    environment.filters["aligned"] = align
    environment.filters["breakable"] = breakable
    environment.filters["close"] = _close
    environment.filters["markdown"] = _markdown
    environment.globals["chart_names"] = CHART_NAMES
    environment.globals["outcomes"] = OUTCOMES
    return environment


HTML, TEXT = _environment(escaped=True), _environment(escaped=False)


class _TemplateMedium:
    """Draws with the macros of one template file and closes with another."""

    escaped = True
    _templates = HTML
    _figures = ""
    _document = ""

    def draw(self, block: str, /, **subject: object) -> str:
        """Gives one figure or block."""
        macros = self._templates.get_template(self._figures).module
        drawn: str = getattr(macros, f"draw_{block}")(**subject)
        return drawn

    def _write(self, page: Page, canvas: Canvas, body: str, context: PageContext, **more: Any) -> str:
        formatter = Formatter(context.timezone, context.currency)
        return self._templates.get_template(self._document).render(
            page=page, canvas=canvas, body=body, context=context, instant=formatter.instant, **more
        )


class HtmlMedium(_TemplateMedium):
    """The interactive page: one file with its data, its script and its style, and no way out."""

    _figures, _document = "page_figures.html.j2", "page.html.j2"

    def __init__(self, name: str, context: PageContext) -> None:
        """Takes the page's name and what it is told, which the script needs too."""
        self._name, self._context = name, context

    def finish(self, page: Page, canvas: Canvas, body: str, context: PageContext) -> str:
        """Gives the document, with everything in it that it needs."""
        parcel = bundle(self._name, canvas.figures, context)
        return self._write(page, canvas, body, context, parcel=parcel)


class MailMedium(_TemplateMedium):
    """The mail body: tables and pictures, styles in the tags, no script."""

    _figures, _document = "mail_figures.html.j2", "mail.html.j2"

    def __init__(self, most_rows: int) -> None:
        """Takes the most rows any table may show."""
        self._most_rows = most_rows

    def draw(self, block: str, /, **subject: object) -> str:
        """Gives one figure or block, cut to the rows there is room for."""
        if block in ("table", "compare"):
            subject["most_rows"] = self._most_rows
        if block == "chart":
            subject["has_letters"] = bool(families_for(cast(Chart, subject["figure"])))
        return super().draw(block, **subject)

    def finish(self, page: Page, canvas: Canvas, body: str, context: PageContext) -> str:
        """Gives the document with its styles inlined, as mail clients want them."""
        document = self._write(page, canvas, body, context)
        return css_inline.inline(document, load_remote_stylesheets=False, minify_css=True)


class TextMedium(_TemplateMedium):
    """The plain text beside the mail body."""

    escaped, _templates = False, TEXT
    _figures, _document = "text_figures.txt.j2", "text.txt.j2"

    def finish(self, page: Page, canvas: Canvas, body: str, context: PageContext) -> str:
        """Gives the text with at most one blank line between paragraphs."""
        text = self._write(page, canvas, body, context)
        lines = [line.rstrip() for line in text.splitlines()]
        kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
        return "\n".join(kept).strip() + "\n"
