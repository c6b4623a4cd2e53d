"""Drawing a page: three times from the same data, as interactive page, mail body and plain text."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from traceback import walk_tb

from jinja2 import FunctionLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from lake.errors import ModelError
from reports.canvas import Canvas
from reports.context import PageContext
from reports.data import QueryDesk, Reader
from reports.figures import Chart, PageFigure
from reports.letters import families_for
from reports.media import HtmlMedium, MailMedium, Media, TextMedium
from reports.page import Page

PICTURE = re.compile(r'(?<=<img src=")cid:([^"]+)')
MOST_MAIL_BYTES = 100_000  # Gmail clips a body beyond about 102 kB
MAIL_ROW_BUDGETS = (100, 4, 2, 0)  # rows of each table, tried in turn until the mail body is small enough


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

    @property
    def mail_file(self) -> str:
        """Gives the mail body as a file for a browser: its pictures are in it, where a mail carries them beside it."""
        return PICTURE.sub(lambda found: _data_address(self.images[found[1]]), self.mail_html)


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
        pictured = [chart for chart in charts if chart.categories and chart.in_mail and families_for(chart)]
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


def _data_address(picture: bytes) -> str:
    return f"data:image/png;base64,{b64encode(picture).decode()}"


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
