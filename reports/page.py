"""Pages: one Jinja file each, drawn three times from the same data: interactive page, mail body, plain text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from lake.errors import ModelError
from lake.marked_yaml import NotYaml, read_yaml
from reports.canvas import Canvas
from reports.context import PageContext
from reports.data import QueryDesk, Reader
from reports.figures import Chart, PageFigure
from reports.media import HtmlMedium, MailMedium, Media, TextMedium

SUFFIX = ".html.j2"
FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n", flags=re.DOTALL)
FIELDS = {"title": str, "description": str, "audience": str, "owner": str, "recipients": list}
CHOICES = {
    "drawn": ("release", "always"),
    "mailed": ("release", "daily", "never"),
}  # the first unless it says otherwise
MOST_MAIL_BYTES = 100_000  # Gmail clips a body beyond about 102 kB
MAIL_ROW_BUDGETS = (100, 4, 2, 0)  # rows of each table, tried in turn until the mail body is small enough


@dataclass(frozen=True)
class Page:
    """One page as its author wrote it; `source` is the Jinja text, its lines numbered as in the file.

    `drawn` says when: `release` with every new release, `always` at the end of every run, however it ended. `mailed`
    says when people get it: with each `release`, `daily` (with the first of a day; one that is always drawn, with the
    day's exports), or `never`.
    """

    name: str
    path: Path
    title: str
    description: str
    audience: str
    owner: str
    recipients: tuple[str, ...]
    source: str
    drawn: str = "release"
    mailed: str = "release"


@dataclass(frozen=True)
class RenderedPage:
    """A page drawn: one self-contained HTML file, a mail body with its pictures by Content-ID, and plain text.

    One that nobody is mailed has neither mail body nor text.

    `figures` are the numbers shown, for reconciliation; `withheld` the titles of figures whose gate failed; `tables`
    the names of the lake's tables that were read; `context` is what the page states beside its figures.
    """

    name: str
    title: str
    html: str
    mail_html: str
    text: str
    images: Mapping[str, bytes]
    figures: tuple[PageFigure, ...]
    withheld: tuple[str, ...]
    tables: frozenset[str]
    context: PageContext
    recipients: tuple[str, ...]


def find_pages(pages_dir: Path) -> dict[str, Page]:
    """Gives the pages of a folder by name (the file's, up to `.html.j2`); raises ModelError for a broken one."""
    paths = sorted(pages_dir.glob(f"*{SUFFIX}"))
    return {page.name: page for page in (read_page(path) for path in paths)}


def read_page(path: Path) -> Page:
    """Reads one page; raises ModelError naming file and line when its front matter is not usable."""
    text = path.read_text(encoding="utf-8")
    match = FRONT_MATTER.match(text)
    if match is None:
        message = "The page does not begin with front matter between two lines of '---'."
        raise ModelError("page-front-matter", message, cure="Begin with title, description, …", path=path, line=1)
    fields = _read_fields(path, match[1])
    blank = "\n" * match[0].count("\n")
    return Page(path.name.removesuffix(SUFFIX), path, source=blank + text[match.end() :], **fields)


def _read_fields(path: Path, text: str) -> dict[str, Any]:
    try:
        fields = read_yaml(text).value
    except NotYaml as error:
        line = 1 if error.line is None else error.line + 1
        message = f"The front matter is not YAML: {error.problem}."
        raise ModelError("page-front-matter", message, cure="Mend it.", path=path, line=line) from error
    for name, kind in FIELDS.items():
        if not isinstance(fields, dict) or not isinstance(fields.get(name), kind):
            message = f"The front matter has no usable '{name}'."
            raise ModelError("page-front-matter", message, cure=f"Give a {kind.__name__}.", path=path, line=1)
    known = (*FIELDS, *CHOICES)
    unknown = sorted(set(fields) - set(known))
    if unknown:
        message = f"The front matter knows no '{unknown[0]}'."
        raise ModelError("page-front-matter", message, cure=f"It knows {', '.join(known)}.", path=path, line=1)
    return {**fields, **_read_choices(path, fields), "recipients": tuple(str(each) for each in fields["recipients"])}


def _read_choices(path: Path, fields: Mapping[str, Any]) -> dict[str, str]:
    """Gives when the page is drawn and mailed; one that is always drawn goes to nobody unless it says so."""
    is_always = fields.get("drawn") == "always"
    chosen = {"drawn": "release", "mailed": "never" if is_always else "release"} | {
        name: str(fields[name]) for name in CHOICES if name in fields
    }
    for name, words in CHOICES.items():
        if chosen[name] not in words or (is_always and chosen["mailed"] == "release"):
            message = f"The front matter's '{name}' is '{chosen[name]}'."
            cure = f"It is one of {', '.join(words)}; what is always drawn is mailed daily or never."
            raise ModelError("page-front-matter", message, cure=cure, path=path, line=1)
    return chosen


def render(page: Page, reader: Reader, context: PageContext, *, with_mail: bool = True) -> RenderedPage:
    """Draws a page in all three media from data read once; the same input gives the same bytes.

    Without `with_mail` only the interactive page is drawn.
    Raises ModelError naming the page's file and line when a query, a column or a word of it is wrong.
    """
    desk = QueryDesk(reader, context)
    html, canvas = _draw(page, desk, context, HtmlMedium(page.name, context))
    mail_html, text, pictured = "", "", []
    if with_mail:
        mail_html = _draw_mail(page, desk, context)
        text, _ = _draw(page, desk, context, TextMedium())
        charts = [each for each in canvas.figures.values() if isinstance(each, Chart) and not each.withheld]
        pictured = [chart for chart in charts if chart.categories and chart.in_mail]
    return RenderedPage(
        name=page.name,
        title=page.title,
        html=html,
        mail_html=mail_html,
        text=text,
        images=_draw_pictures(pictured, context),
        figures=tuple(canvas.recorded),
        withheld=tuple(figure.title for figure in canvas.figures.values() if figure.withheld),
        tables=desk.tables,
        context=context.about(desk.tables),
        recipients=page.recipients,
    )


def _draw_pictures(charts: Sequence[Chart], context: PageContext) -> dict[str, bytes]:
    if not charts:
        return {}
    from reports.charts import draw_png  # matplotlib costs 0.3 s: for a page with charts only

    return {chart.id: draw_png(chart, context) for chart in charts}


def _draw_mail(page: Page, desk: QueryDesk, context: PageContext) -> str:
    for rows in MAIL_ROW_BUDGETS:
        body, _ = _draw(page, desk, context, MailMedium(rows))
        if len(body.encode()) < MOST_MAIL_BYTES:
            return body
    message = f"The mail body of page '{page.name}' is {len(body.encode())} bytes without any table's rows."
    raise ModelError("page-mail-too-large", message, cure="Make two pages of it.", path=page.path)


def _draw(page: Page, desk: QueryDesk, context: PageContext, medium: Media) -> tuple[str, Canvas]:
    canvas = Canvas(page.name, desk, context, medium)
    body = _fill(page, canvas, escaped=medium.escaped)
    return medium.finish(page, canvas, body, context.about(desk.tables)), canvas


def _fill(page: Page, canvas: Canvas, *, escaped: bool) -> str:
    try:
        body = _template(page, escaped=escaped).render(canvas.words_for_author())
    except TemplateSyntaxError as error:
        message = f"The page is not a template: {error.message}."
        raise ModelError("page-template", message, cure="Mend it.", path=page.path, line=error.lineno) from error
    except (TemplateError, TypeError) as error:
        message = f"The page cannot be drawn: {error}."
        raise ModelError("page-template", message, cure="Mend it.", path=page.path, line=_line(error, page)) from error
    except ModelError as error:
        error.path, error.line = page.path, _line(error, page)
        raise
    return Markup(body) if escaped else body  # drawn by templates that escape


@lru_cache(maxsize=64)  # page and mail share one, and runs of one process
def _template(page: Page, *, escaped: bool) -> Template:
    environment = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(lambda _: (page.source, str(page.path), None)),
        undefined=StrictUndefined,
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(page.name)


def _line(error: BaseException, page: Page) -> int | None:
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(page.path)]
    return lines[-1] if lines else None
