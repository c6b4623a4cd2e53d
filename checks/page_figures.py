"""What pages show against what marts say: `checks/pages/<page>.yml` names figures, each with its select."""

import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent

from lake.engine import literal
from lake.errors import ModelError
from lake.marked_yaml import NotYaml, read_yaml

FOLDER, UNION = "pages", "\nunion all\n"
SELECT = re.compile(r"\s*(select|with)\b", flags=re.IGNORECASE)


def read_figures(path: Path, text: str) -> Mapping[str, str]:
    """Gives the select of each figure named in a file; raises ModelError when it is no such list."""
    try:
        found = read_yaml(text).value
    except NotYaml as error:
        message = f"This is no YAML: {error.problem}."
        raise ModelError("check-file-invalid", message, cure="Mend it.", path=path, line=error.line or 1) from error
    if not isinstance(found, dict) or not all(isinstance(sql, str) and SELECT.match(sql) for sql in found.values()):
        message = (
            "A file of a page's figures holds lines such as 'revenue: select sum(revenue_inr) from marts.sales_daily'."
        )
        raise ModelError(
            "check-file-invalid", message, cure="Write each figure's name and its select.", path=path, line=1
        )
    return {str(figure): sql.strip() for figure, sql in found.items()}


def figures_sodacl(path: Path, text: str) -> str:
    """Gives the check that a page's figures are those of the marts, to the last digit of six.

    A figure that the page does not show fails it, too. Where there is nothing, the page shows no number.
    """
    selects = [
        f"select {literal(figure)} as figure, cast((\n{indent(sql, '    ')}\n) as decimal(38, 6)) as amount"
        for figure, sql in read_figures(path, text).items()
    ]
    page = path.name.partition(".")[0]
    query = f"""with
shown as (select figure, value from ops.page_figures where page = {literal(page)}),
expected as (
{indent(UNION.join(selects), "    ")}
)
select expected.figure, shown.value as shown_value, expected.amount as expected_value
from expected left join shown using (figure)
where exists (select * from shown)
    and (shown.figure is null or coalesce(try_cast(shown.value as decimal(38, 6)), 0) <> coalesce(amount, 0))"""
    head = f"checks:\n  - failed rows:\n      name: the figures of the page '{page}' are those of the marts\n"
    return f"{head}      fail query: |\n{indent(query, '        ')}\n"
