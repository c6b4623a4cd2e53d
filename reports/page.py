"""Pages: one Jinja file each, under front matter that says what it is, when it is drawn and to whom it goes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.errors import Broken, ModelError, told_in
from lake.marked_yaml import NotYaml, read_yaml

SUFFIX = ".html.j2"
FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n", flags=re.DOTALL)
FIELDS = {"title": str, "description": str, "audience": str, "owner": str, "recipients": list}
CHOICES = {
    "drawn": ("release", "always"),
    "mailed": ("release", "daily", "never"),
}  # the first unless it says otherwise


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


def find_pages(pages_dir: Path, broken: Broken | None = None) -> dict[str, Page]:
    """Gives the pages of a folder by name (the file's, up to `.html.j2`); raises ModelError for a broken one.

    With a place for what is broken, such files are told there, and the others are given.
    """
    pages = {}
    for path in sorted(pages_dir.glob(f"*{SUFFIX}")):
        with told_in(broken, path):
            page = read_page(path)
            pages[page.name] = page
    return pages


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
