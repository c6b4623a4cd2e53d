"""The page engine: front matter, queries, figures, the three media, and what goes wrong in words a person can use."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from html import unescape
from pathlib import Path

import pyarrow as pa
import pytest

from lake.engine import EngineLimits, Session, literal
from lake.errors import ModelError
from reports.building import change_between, trend_points
from reports.context import FailedRun, GateCount
from reports.data import limited, tables_read
from reports.drawing import RenderedPage, render
from reports.figures import Change
from reports.formats import Formatter, infer_format, label, plain
from reports.page import find_pages, read_page
from tests.page_data import make_context

FRONT = """---
title: Shop
description: A small shop.
audience: everybody
owner: data team
recipients: [boss@example.in]
---
"""
RUPEES = Formatter("Asia/Kolkata", "INR")
EUROS = Formatter("Europe/Berlin", "EUR")


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits(memory="256MB", threads=1)) as opened:
        opened.execute("""
            create table marts.days as
            select
                date '2026-01-01' + n::integer as sold_on,
                date_trunc('month', sold_on)::date as sold_month,
                (n * 1000.25)::decimal(18, 2) as revenue_inr,
                n::bigint as order_count,
            from range(50) as numbers(n);
            create table marts.notes as
            select * from (values ('<script>alert(1)</script>', '=1+1'), ('a & b', null)) as notes(note, formula);
            create table ops.runs as
            select * from (values
                ('r2', 'a', 'pass', 0.1), ('r2', 'b', 'fail', 2.0), ('r2', 'new', 'pass', 0.0),
                ('r1', 'a', 'pass', 0.1), ('r1', 'b', 'pass', 0.5), ('r1', 'old', 'pass', 0.0)
            ) as runs(run_id, check_name, outcome, measured);
        """)
        yield opened


def write_page(folder: Path, body: str, front: str = FRONT) -> Path:
    path = folder / "shop.html.j2"
    path.write_text(front + body, encoding="utf-8")
    return path


def render_body(folder: Path, session: Session, body: str, **context: object) -> RenderedPage:
    return render(read_page(write_page(folder, body)), session, make_context(**context))


DAYS = "{% set days = query('select * from marts.days order by sold_on') %}\n"


# Front matter


def test_page_front_matter_says_what_the_page_is(tmp_path: Path) -> None:
    """A page is found by its file's name, with what its front matter says."""
    write_page(tmp_path, "")
    (page,) = find_pages(tmp_path).values()
    assert (page.name, page.title, page.owner, page.recipients) == ("shop", "Shop", "data team", ("boss@example.in",))


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("no front matter\n", "does not begin with front matter"),
        ("---\ntitle: [\n---\n", "is not YAML"),
        ("---\ntitle: Shop\n---\n", "no usable 'description'"),
        ("---\njust words\n---\n", "no usable 'title'"),
        (FRONT.replace("[boss@example.in]", "boss"), "no usable 'recipients'"),
        (FRONT.replace("owner:", "colour: red\nowner:"), "knows no 'colour'"),
    ],
)
def test_page_with_broken_front_matter_names_its_file(tmp_path: Path, front: str, message: str) -> None:
    """What is wrong with a front matter is said in one sentence with the file."""
    path = write_page(tmp_path, "", front)
    with pytest.raises(ModelError, match=message) as caught:
        find_pages(tmp_path)
    assert caught.value.code == "page-front-matter"
    assert caught.value.path == path


# Errors in the body


@pytest.mark.parametrize(
    ("body", "line", "code", "message"),
    [
        ("\n{% if %}", 9, "page-template", "not a template"),
        ("\n\n{{ nothing_there }}", 10, "page-template", "nothing_there"),
        ("{{ kpi('A') }}", 8, "page-template", "missing"),
        ("{% set a = query('select * from marts.missing') %}", 8, "page-query", "missing"),
        ("{% set a = query('selekt 1') %}", 8, "page-query", "not one select|not SQL"),
        ("{% set a = query('select 1; select 2') %}", 8, "page-query", "not one select"),
        ("{% set a = query('drop table marts.days') %}", 8, "page-query", "not one select"),
        (DAYS + "{{ kpi('Revenue', days, 'revenu') }}", 9, "page-column", "no column 'revenu'"),
        (
            DAYS + "{{ kpi('A', days, 'order_count') }}{{ kpi('a', days, 'order_count') }}",
            9,
            "page-figure-twice",
            "'a'",
        ),
        (DAYS + "{{ chart('A', days, x='sold_on', y='revenue_inr', kind='pie') }}", 9, "page-choice", "'pie'"),
        (DAYS + "{{ chart('A', days, x='sold_on', y='revenue_inr', select='first') }}", 9, "page-choice", "'first'"),
        (DAYS + "{{ kpi('A', days, 'order_count', format='roman') }}", 9, "page-choice", "'roman'"),
        (DAYS + "{{ table('A', days, follows='nobody') }}", 9, "page-follows", "'nobody'"),
        (DAYS + "{{ ''.__class__.__mro__ }}", 9, "page-template", "unsafe|__class__"),
    ],
)
def test_page_error_names_line_and_cause(
    tmp_path: Path, session: Session, body: str, line: int, code: str, message: str
) -> None:
    """An author's slip is told with the page's file and line, never as a traceback from the engine."""
    with pytest.raises(ModelError, match=message) as caught:
        render_body(tmp_path, session, body)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert caught.value.path == tmp_path / "shop.html.j2"


def test_page_follows_only_charts_that_share_a_column(tmp_path: Path, session: Session) -> None:
    """A figure cannot follow a chart whose category its own rows do not carry."""
    body = DAYS + "{{ chart('Days', days, x='sold_on', y='revenue_inr', select='all') }}"
    body += "{{ table('Notes', query('select note from marts.notes'), follows='days') }}"
    with pytest.raises(ModelError, match="no column 'sold_on'"):
        render_body(tmp_path, session, body)


# Data


class CountingReader:
    """A reader that remembers what it was asked."""

    def __init__(self, session: Session) -> None:
        self.session, self.asked = session, list[str]()

    def arrow(self, sql: str) -> pa.Table:
        self.asked.append(sql)
        return self.session.arrow(sql)


def test_page_runs_each_query_once_for_all_media(tmp_path: Path, session: Session) -> None:
    """Page, mail and text are drawn from the same data, read once."""
    reader = CountingReader(session)
    body = DAYS + "{{ kpi('Revenue', days, 'revenue_inr') }}{{ table('Days', days) }}"
    render(read_page(write_page(tmp_path, body)), reader, make_context())
    assert len(reader.asked) == 1


def test_page_never_leaves_rows_out_silently(tmp_path: Path, session: Session) -> None:
    """A bounded query keeps its order, says how many rows it left out, and totals all of them."""
    body = "{% set days = query('select * from marts.days order by sold_on desc', limit=7) %}"
    page = render_body(tmp_path, session, body + "{{ table('Days', days, totals='revenue_inr') }}")
    data = read_parcel(page.html)["datasets"]["data-1"]
    assert [row[0] for row in data["rows"]] == [f"2026-02-{day}" for day in range(19, 12, -1)]
    assert data["left_out"] == 43
    assert "first 7 of 50 rows; 43 are left out" in page.html
    assert "44 more of 50 rows" in page.mail_html
    assert "44 more of 50 rows" in page.text
    assert {each.figure: each.value for each in page.figures} == {
        "days.rows": 50,
        "days.revenue_inr": Decimal("1225306.25"),
    }


def test_page_limit_leaves_a_select_with_its_own_limit_alone() -> None:
    """The page's bound does not widen the author's."""
    assert limited("select 1 order by 1;", 5) == "select 1 order by 1\nlimit 5"
    assert limited("select 1 limit 2", 5) == "select * from (select 1 limit 2) as limited limit 5"


def test_page_limit_is_not_swallowed_by_a_comment(session: Session) -> None:
    """A query that ends in a comment is bounded all the same."""
    assert session.arrow(limited("select * from marts.days -- all of it", 5)).num_rows == 5


def test_page_knows_the_tables_it_reads(tmp_path: Path, session: Session) -> None:
    """Tables are found through joins, subqueries and CTEs, whose own names do not count."""
    sql = "with a as (select * from marts.days) select * from a join (select * from ops.runs) as b on true"
    assert tables_read(sql) == {"marts.days", "ops.runs"}
    assert render_body(tmp_path, session, DAYS).tables == {"marts.days"}


def test_page_draws_the_same_bytes_from_the_same_data(tmp_path: Path, session: Session) -> None:
    """Rendering is a function: no clock, no chance."""
    body = DAYS + "{{ kpi('R', days, 'revenue_inr') }}{{ chart('C', days, x='sold_on', y='revenue_inr') }}"
    assert render_body(tmp_path, session, body) == render_body(tmp_path, session, body)


def read_parcel(html: str) -> dict:
    return json.loads(re.search(r'id="parcel">(.*?)</script>', html, flags=re.DOTALL)[1])


# Gates


def test_page_withholds_figures_whose_gate_failed(tmp_path: Path, session: Session) -> None:
    """A figure that reads a table with a failed check is not shown in any medium; others are."""
    body = DAYS + "{% set runs = query('select * from ops.runs') %}"
    body += """
    {{ kpi('Revenue', days, 'revenue_inr') }}
    {{ chart('By day', days, x='sold_on', y='revenue_inr', select='last') }}
    {{ table('Days', days, totals='revenue_inr', follows='by-day') }}
    {{ heat('Map', days, row='sold_month', column='sold_on', value='revenue_inr') }}
    {{ compare('Compared', days, by='sold_on', keys='sold_month', values='revenue_inr') }}
    {{ kpi('Runs', runs, 'measured') }}
    {% call words() %}It was {{ value(days, 'revenue_inr') }}.{% endcall %}
    """
    page = render_body(tmp_path, session, body, gates=(GateCount("marts", "marts.days", 3, 0, 1),))
    assert page.withheld == ("Revenue", "By day", "Days", "Map", "Compared")
    assert [each.figure for each in page.figures] == ["runs"]
    assert page.images == {}
    assert "1,000.25" not in page.html + page.mail_html + page.text
    assert page.html.count("A check failed on marts.days") == 5
    assert page.mail_html.lower().count("a check failed on marts.days") == 5
    assert page.text.count("withheld, a check failed on marts.days") == 5
    assert "It was (withheld)." in page.text


def test_page_shows_figures_whose_gate_only_warned(tmp_path: Path, session: Session) -> None:
    """A warning is told, and withholds nothing."""
    body = DAYS + "{{ kpi('Revenue', days, 'revenue_inr') }}"
    page = render_body(tmp_path, session, body, gates=(GateCount("marts", "marts.days", 3, 1, 0),))
    assert page.withheld == ()
    assert "3 passed, 1 warned, 0 failed" in page.html


def test_page_says_when_the_last_run_failed(tmp_path: Path, session: Session) -> None:
    """After a failed run every medium says whose figures these are and why."""
    failed = FailedRun("run-9", "Check 'volume' failed on raw.sales.")
    page = render_body(tmp_path, session, "", failed_run=failed)
    for medium in (page.html.replace("&#39;", "'"), page.mail_html.replace("&#39;", "'"), page.text):
        assert "figures are of release 41" in medium
        assert "Check 'volume' failed on raw.sales." in medium


def test_page_before_the_first_release_says_so(tmp_path: Path, session: Session) -> None:
    """Without a release there is a page all the same."""
    page = render_body(tmp_path, session, "", release_id=None, published_at=None, data_as_of=None, gates=())
    assert "none yet" in page.html
    assert "Release none yet, published –" in page.text


# Safety


def test_page_writes_data_as_text_never_as_markup(tmp_path: Path, session: Session) -> None:
    """Markup in data stays text in the tables, the embedded data and the mail."""
    body = "{{ table('Notes', query('select * from marts.notes')) }}"
    page = render_body(tmp_path, session, body)
    assert "<script>alert" not in page.html + page.mail_html
    assert "&lt;script&gt;alert(1)&lt;/<wbr>script&gt;" in page.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.mail_html
    assert "a &amp; b" in page.mail_html
    assert read_parcel(page.html)["datasets"]["data-1"]["rows"][0][0] == "<script>alert(1)</script>"


def test_page_words_are_markdown_without_markup(tmp_path: Path, session: Session) -> None:
    """Words know emphasis, and no HTML."""
    page = render_body(tmp_path, session, "{% call words() %}\n  **Bold** <b>raw</b>\n{% endcall %}")
    assert "<strong>Bold</strong> &lt;b&gt;raw&lt;/b&gt;" in page.html
    assert "Bold" in page.text


def test_page_words_hold_data_letter_by_letter(tmp_path: Path, session: Session) -> None:
    """A value that looks like Markdown, markup or a template makes no link, picture or emphasis in page and mail."""
    name = "[Win](https://evil.example) ![](https://evil.example/a.png) *x* `y` <https://evil.example> # {{ 7 * 7 }}"
    session.execute(f"create or replace table marts.named as select {literal(name)} as name")
    body = """{% call finding() %}
        **{{ value(query("select name from marts.named"), "name") }}** leads.
    {% endcall %}"""
    page = render_body(tmp_path, session, body)
    for medium in (page.html, page.mail_html):
        (said,) = re.findall(r"<p[^>]*>(<strong[^>]*>.*? leads\.)</p>", medium)
        assert set(re.findall(r"<(/?\w+)", said)) == {"strong", "/strong"}
        assert unescape(re.sub(r"<[^>]*>", "", said)) == f"{name} leads."
    assert f"{name} leads." in page.text


def test_page_lets_nothing_in_but_what_its_policy_names(tmp_path: Path, session: Session) -> None:
    """The policy names each script and style by digest; there is no address in the page's own code."""
    html = render_body(tmp_path, session, DAYS + "{{ chart('By day', days, x='sold_on', y='revenue_inr') }}").html
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert (len(scripts), len(styles)) == (2, 1)
    for text in scripts + styles:
        assert f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    assert not re.search(r"https?:", html.replace(scripts[0], ""))


def test_page_carries_its_library_once_and_small(tmp_path: Path, session: Session) -> None:
    """plotly.js is there once, in its small build, with its licence line; a page without charts does without it."""
    charted = render_body(tmp_path, session, DAYS + "{{ chart('By day', days, x='sold_on', y='revenue_inr') }}").html
    assert charted.count("plotly.js (basic - minified)") == 1
    assert len(charted.encode()) < 1_300_000
    assert len(render_body(tmp_path, session, DAYS + "{{ table('Days', days) }}").html.encode()) < 80_000


# Colours


@pytest.mark.parametrize(("darkest", "first", "last"), [("high", "heat-0", "heat-6"), ("low", "heat-6", "heat-0")])
def test_page_heat_is_darkest_where_the_author_looks(
    tmp_path: Path, session: Session, darkest: str, first: str, last: str
) -> None:
    """The darkest cell is the highest, or the lowest where that is what matters; page and mail say which."""
    body = f"""
        {{% set days = query("select * from marts.days where sold_on < date '2026-01-04' order by sold_on") %}}
        {{{{ heat("Days", days, row="sold_month", column="sold_on", value="order_count", darkest="{darkest}") }}}}
    """
    page = render_body(tmp_path, session, body)
    assert re.findall(r'<td class="number (heat-\d)">(\d)', page.html)[::2] == [(first, "0"), (last, "2")]
    ends = ("0", "2") if darkest == "high" else ("2", "0")
    for medium in (page.html, page.mail_html):
        words = re.sub(r"<[^>]*>|&nbsp;|\u00a0", "", medium)
        assert f"Shaded from {ends[0]} to {ends[1]}" in words


def test_page_chart_takes_colours_that_mean_something(tmp_path: Path, session: Session) -> None:
    """A column or a value of a series that is good or bad has the colour that says so; an unknown colour is refused."""
    body = """
        {% set runs = query("select run_id, check_name, outcome, measured, 1 as seen from ops.runs order by all") %}
        {{ chart("Columns", runs, x="run_id", y=["measured", "seen"], colours={"measured": "fail"}) }}
        {{ chart("Values", runs, x="run_id", y="measured", series="check_name", colours={"b": "series-8"}) }}
    """
    parcel = json.loads(re.search(r'id="parcel">(.*?)</script>', render_body(tmp_path, session, body).html)[1])
    drawn = {name: [trace["meta"]["colour"] for trace in plot["data"]] for name, plot in parcel["plots"].items()}
    assert drawn == {"columns": ["fail", "series-2"], "values": ["series-1", "series-8", "series-3", "series-4"]}
    with pytest.raises(ModelError, match=r"colours='red' is not known\."):
        render_body(tmp_path, session, body.replace('"fail"', '"red"'))


# Mail


def test_page_mail_body_needs_no_script_and_no_stranger(tmp_path: Path, session: Session) -> None:
    """The mail has styles in its tags, pictures by Content-ID, and nothing that runs or loads."""
    body = DAYS + "{{ chart('By day', days, x='sold_on', y='revenue_inr') }}{{ table('Days', days) }}"
    page = render_body(tmp_path, session, body)
    assert 'src="cid:by-day"' in page.mail_html
    assert page.images["by-day"].startswith(b"\x89PNG")
    assert not re.search(r"<script|<style|https?:|\son\w+=", page.mail_html)
    assert 'style="' in page.mail_html


def test_page_mail_body_as_a_file_holds_its_pictures(tmp_path: Path, session: Session) -> None:
    """Kept on disk, the body has each picture in itself; what merely reads like a picture stays as it is."""
    words = '{% call words() %}The word <img src="cid:by-day"> is no picture.{% endcall %}'
    page = render_body(tmp_path, session, DAYS + words + "{{ chart('By day', days, x='sold_on', y='revenue_inr') }}")
    address = f"data:image/png;base64,{b64encode(page.images['by-day']).decode()}"
    assert page.mail_file == page.mail_html.replace('<img src="cid:by-day"', f'<img src="{address}"')
    assert page.mail_file.count(address) == 1


def test_page_mail_has_numbers_where_no_font_has_the_letters(tmp_path: Path, session: Session) -> None:
    """A chart in letters that no font of the machine has is a table in the mail, not a picture of boxes."""
    session.execute("update marts.notes set note = chr(1114109) where formula is not null")  # no letter of any script
    body = """
        {% set notes = query("select *, 5::bigint as seen_count from marts.notes order by note") %}
        {{ chart("Notes", notes, x="note", y="seen_count") }}
    """
    page = render_body(tmp_path, session, body)
    assert page.images == {}
    assert "cid:" not in page.mail_html
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page.mail_html)
    assert [unescape(cell) for cell in cells][-4:] == ["a & b", "5", "\U0010fffd", "5"]


def test_page_mail_body_stays_small_with_many_tables(tmp_path: Path, session: Session) -> None:
    """Tables give up rows, and say so, before a mail is clipped."""
    body = DAYS + "".join(f"{{{{ table('T{at}', days, mail_rows=50, page_rows=50) }}}}" for at in range(40))
    page = render_body(tmp_path, session, body)
    assert len(page.mail_html.encode()) < 100_000
    assert page.mail_html.count("more of 50 rows") == 40


def test_page_too_large_for_any_mail_says_so(tmp_path: Path, session: Session) -> None:
    """A page of words without end is refused, not clipped."""
    body = "{% call words() %}" + "many words " * 10_000 + "{% endcall %}"
    with pytest.raises(ModelError, match=r"The mail body of page 'shop' is \d+ bytes") as caught:
        render_body(tmp_path, session, body)
    assert caught.value.code == "page-mail-too-large"


def test_page_keeps_a_chart_out_of_the_mail_when_asked(tmp_path: Path, session: Session) -> None:
    """`in_mail=false` leaves a chart to the interactive page."""
    body = DAYS + "{{ chart('By day', days, x='sold_on', y='revenue_inr', in_mail=false) }}"
    page = render_body(tmp_path, session, body)
    assert page.images == {}
    assert "By day" not in page.mail_html + page.text
    assert "By day" in page.html


# Figures


def test_page_kpi_compares_with_the_rendering_before(tmp_path: Path, session: Session) -> None:
    """A KPI says how it moved since the figure of the same name was last shown."""
    body = "{{ kpi('Orders', query('select sum(order_count)::bigint as order_count from marts.days'), 'order_count') }}"
    page = render_body(tmp_path, session, body, previous_figures={"orders": Decimal(1000)})
    assert "Orders: 1,225 (▲ 22.5% on release 40)" in page.text


@pytest.mark.parametrize(
    ("new", "old", "code", "better", "change"),
    [
        (Decimal(110), Decimal(100), "money:INR", "more", Change("▲", "good", "10.0% on before")),
        (Decimal(110), Decimal(100), "money:INR", "less", Change("▲", "bad", "10.0% on before")),
        (90, 100, "count", "neither", Change("▼", "even", "10.0% on before")),
        (5, 5, "count", "more", Change("=", "even", "unchanged since before")),
        (5, 0, "count", "more", Change("▲", "good", "from nothing on before")),
        (99_999, 100_000, "count", "more", Change("▼", "bad", "under 0.1% on before")),
        (0.12, 0.1, "percent", "more", Change("▲", "good", "2.0 points on before")),
        (None, 5, "count", "more", None),
        (5, None, "count", "more", None),
        ("b", "a", "text", "more", None),
    ],
)
def test_page_change_is_told_in_words(new, old, code, better, change) -> None:
    """A change has a direction, a mood and a size; what cannot be compared has none."""
    assert change_between(new, old, code, "before", better) == change


def test_page_trend_fits_its_box() -> None:
    """The small line runs the whole width, lowest at the foot; one point is no line."""
    assert trend_points([1, 3, 2]) == "0.0,22.0 50.0,2.0 100.0,12.0"
    assert trend_points([2, 2]) == "0.0,22.0 100.0,22.0"
    assert trend_points([2, None]) == ""


def test_page_figures_that_follow_start_with_the_choice(tmp_path: Path, session: Session) -> None:
    """What follows a chart shows the rows of its first choice, in mail and text too."""
    body = (
        DAYS
        + """
    {{ chart('Months', days, x='sold_month', y='revenue_inr', select='last') }}
    {{ table('Days', days, follows='months', columns='sold_on', mail_rows=1) }}
    """
    )
    page = render_body(tmp_path, session, body)
    assert "Days (Feb 2026)\nSold\n1 Feb 2026\n" in page.text
    assert "1 Jan 2026" not in page.mail_html


def test_page_compares_the_newest_runs_first(tmp_path: Path, session: Session) -> None:
    """Two runs differ by what changed, what is new and what is gone."""
    body = """{{ compare('Runs', query('select * from ops.runs'), by='run_id', keys='check_name',
    values=['outcome', 'measured']) }}"""
    text = render_body(tmp_path, session, body).text
    assert "3 of 4 differ between run r1 and run r2." in text
    assert "b: pass → fail, +1.5" in text
    assert "new: new" in text
    assert "old: gone" in text


def test_page_with_one_run_compares_with_nothing(tmp_path: Path, session: Session) -> None:
    """A first run has no other to be compared with, which is said; nothing of it counts as changed."""
    body = """{{ compare('Runs', query("select * from ops.runs where run_id = 'r1'"), by='run_id', keys='check_name',
    values='outcome') }}"""
    text = render_body(tmp_path, session, body).text
    assert "There is no other run to compare with yet." in text
    assert "differ" not in text


def test_page_heat_map_shades_evenly(tmp_path: Path, session: Session) -> None:
    """The lowest value has the lightest shade, the highest the darkest."""
    body = """{{ heat('Map', query("select * from marts.days where order_count < 8"), row='sold_month',
    column='sold_on', value='order_count') }}"""
    html = render_body(tmp_path, session, body).html
    assert re.findall(r'number heat-(\d)">(\d)<', html) == [
        ("0", "0"), ("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"), ("5", "5"), ("6", "6"), ("6", "7"),
    ]  # fmt: skip


def test_page_of_empty_tables_is_a_page(tmp_path: Path, session: Session) -> None:
    """No rows are said, not crashed on."""
    body = """{% set empty = query('select * from marts.days where false') %}
    {{ kpi('Revenue', empty, 'revenue_inr') }}
    {{ chart('By day', empty, x='sold_on', y='revenue_inr', select='last') }}
    {{ table('Days', empty, totals='revenue_inr', follows='by-day') }}
    {{ heat('Map', empty, row='sold_month', column='sold_on', value='revenue_inr') }}
    {{ compare('Runs', empty, by='sold_on', keys='sold_month', values='revenue_inr') }}
    """
    page = render_body(tmp_path, session, body)
    assert page.text.count("No rows.") == 3
    assert page.images == {}
    assert [(each.figure, each.value) for each in page.figures] == [
        ("revenue", None), ("days.rows", 0), ("days.revenue_inr", None),
    ]  # fmt: skip


# Formats


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (Decimal("1234567.89"), "money:INR", "₹12,34,567.89"),
        (Decimal("-1234567.895"), "money:INR", "-₹12,34,567.90"),
        (Decimal("99999999999999999999999999.01"), "money:INR", "₹9,99,99,99,99,99,99,99,99,99,99,99,999.01"),
        (Decimal("1234567.5"), "money:EUR", "€1,234,567.50"),
        (Decimal("1234567"), "money:JPY", "¥1,234,567"),
        (1234567, "count", "12,34,567"),
        (Decimal("672.8269"), "number:4", "672.8269"),
        (0.1 + 0.2, "number", "0.3"),
        (0.12345, "percent", "12.3%"),
        (0.0005, "percent", "0.1%"),
        (1.25, "seconds", "1.25 s"),
        (2048, "bytes", "2 kB"),
        (date(2026, 11, 1), "month", "Nov 2026"),
        (date(2026, 11, 1), "date", "1 Nov 2026"),
        (datetime(2026, 11, 20, 20, 30, 4, tzinfo=UTC), "instant", "21 Nov 2026, 02:00:04"),
        (datetime(2026, 11, 20, 20, 30, 4), "instant", "21 Nov 2026, 02:00:04"),  # zoneless is UTC
        (None, "count", "–"),
        (0, "count", "0"),
        (True, "text", "True"),
        ("text", "text", "text"),
        (float("nan"), "number", "NaN"),
    ],
)
def test_page_formats_write_values_for_people(value: object, code: str, shown: str) -> None:
    """Money is exact and grouped as its country groups it; a missing value is a dash and nought is nought."""
    assert RUPEES.show(value, code) == shown


def test_page_formats_follow_the_currency_and_zone() -> None:
    """Where rupees are not the currency, counts are grouped by thousands and instants are local."""
    assert EUROS.show(1234567, "count") == "1,234,567"
    assert EUROS.show(Decimal("1234567.89"), "money:INR") == "₹12,34,567.89"
    assert EUROS.instant(datetime(2026, 7, 1, 12, 0, tzinfo=UTC)) == "1 Jul 2026, 14:00 CEST"
    assert RUPEES.short(12_300_000, "money:INR") == "₹1.2Cr"


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("revenue_inr", pa.decimal128(18, 2), "money:INR"),
        ("revenue_eur", pa.float64(), "money:EUR"),
        ("share_ratio", pa.float64(), "percent"),
        ("order_count", pa.int64(), "count"),
        ("total", pa.decimal128(38, 0), "count"),
        ("weight", pa.decimal128(10, 3), "number:3"),
        ("measured", pa.float64(), "number"),
        ("took_seconds", pa.float64(), "seconds"),
        ("byte_count", pa.int64(), "bytes"),
        ("sold_on", pa.date32(), "date"),
        ("sold_month", pa.date32(), "month"),
        ("checked_at", pa.timestamp("us", "UTC"), "instant"),
        ("outcome", pa.string(), "outcome"),
        ("note_inr", pa.string(), "text"),
    ],
)
def test_page_formats_come_from_names_and_types(name: str, kind: pa.DataType, code: str) -> None:
    """The house's naming rules give each column its format."""
    assert infer_format(name, kind, "INR") == code


def test_page_labels_drop_the_unit() -> None:
    """A heading is the column's name in words."""
    assert [label(name) for name in ("revenue_inr", "sold_on", "_run_id", "share_ratio")] == [
        "Revenue", "Sold", "Run id", "Share",
    ]  # fmt: skip


def test_page_embeds_exact_values() -> None:
    """What the page carries is exact: decimals as strings without exponents, instants with their offset."""
    values = [Decimal("0.10"), Decimal("1E+3"), 1e-05, 3, True, None, date(2026, 1, 2), "x"]
    assert [plain(value, RUPEES.zone) for value in values] == [
        "0.10", "1000", "0.00001", 3, True, None, "2026-01-02", "x",
    ]  # fmt: skip
    moment = datetime(2026, 11, 20, 20, 30, 4, 123, tzinfo=UTC)
    assert plain(moment, RUPEES.zone) == "2026-11-21T02:00:04.000123+05:30"
