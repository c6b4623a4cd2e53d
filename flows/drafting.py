"""Drafting contracts: from what a target is to the proposal for it, and where that goes."""

import glob
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.vault import open_vault
from flows.workplace import Workplace
from lake.drafting.document import EDITOR_SCHEMA
from lake.engine import Session
from lake.errors import ContractError, SettingsError
from lake.naming import snake_case
from lake.settings import Settings
from lake.sources.first_answer import Request, fetch_answer

STANDARD_OUTPUT = "-"
SCHEMA_ENDINGS = (".sql", ".ddl", ".prisma")
SECRET = re.compile(r"\$\{([A-Za-z][A-Za-z0-9_-]*)\}")
SQLITE_BEGINS = b"SQLite format 3\0"
LARGEST_SCHEMA = 4 << 20  # bytes; a larger JSON file is data


@dataclass(frozen=True)
class Wishes:
    """What a draft was asked for; `headers` and `parameters` as they were written, secrets as `${NAME}`."""

    source: str | None = None
    out: Path | None = None
    dialect: str = "postgres"
    table: str = ""
    is_all: bool = False
    bearer: str = ""
    headers: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A proposal: the name of its table, and its text."""

    name: str
    text: str


def is_target(target: str) -> bool:
    """Says whether there is anything to draft from."""
    is_known = is_url(target) or is_database(target) or is_topic(target)
    return is_known or glob.has_magic(target) or Path(target).exists()


def is_url(target: str) -> bool:
    """Says whether a target is an address."""
    return target.startswith(("http://", "https://"))


def is_database(target: str) -> bool:
    """Says whether a target is a table of a database server."""
    return target.startswith(("postgresql://", "postgres://"))


def is_topic(target: str) -> bool:
    """Says whether a target is a topic at its brokers."""
    return target.startswith("kafka://")


def write_drafts(workplace: Workplace, target: str, wishes: Wishes) -> list[Path]:
    """Writes the contracts and gives where; none when they went to standard output.

    The default place is the project's `lake/contracts/`, which is made if need be: a draft begins a project. The schema
    that editors check contracts with is put beside them. Raises ContractError rather than write over a contract.
    """
    folder = workplace.project / "lake" / "contracts"
    editor = EDITOR_SCHEMA if wishes.out is None or wishes.out.resolve().parent == folder else None
    drafts = make_drafts(workplace, target, wishes, editor)
    if str(wishes.out) == STANDARD_OUTPUT:
        sys.stdout.write("---\n".join(draft.text for draft in drafts))
        return []
    if wishes.out is not None and len(drafts) > 1:
        cure = "Leave --out away: each goes to lake/contracts/, under its own name."
        raise ContractError("contract-exists", f"{len(drafts)} contracts do not fit into one file.", cure=cure)
    places = [wishes.out or folder / f"{draft.name}.yaml" for draft in drafts]
    for place in places:
        if place.exists():
            cure = "Give --out FILE, or --out - to look at the draft."
            raise ContractError("contract-exists", f"{place} is there already.", cure=cure)
    for place, draft in zip(places, drafts, strict=True):
        _write_whole(place, draft.text)
    if editor is not None:
        write_editor_schema(folder / editor)
    return places


def write_editor_schema(path: Path) -> None:
    """Writes the JSON schema of contracts, unless it stands there as it is."""
    text = editor_schema_text()
    if not path.exists() or path.read_text("utf-8") != text:
        _write_whole(path, text)


def _write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place and renames it there: whoever reads it finds all of it or nothing."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise SettingsError(
            "folder-unwritable",
            f"{path} cannot be written: {error.strerror}.",
            cure="Make its folder writable or room on its disk, or give --out FILE.",
        ) from error


def editor_schema_text() -> str:
    """Gives the JSON schema of contracts as a file holds it."""
    from lake.odcs.editor_schema import editor_schema

    return json.dumps(editor_schema(), indent=1, ensure_ascii=False) + "\n"


def make_drafts(workplace: Workplace, target: str, wishes: Wishes, editor: str | None) -> list[Draft]:
    """Gives the proposals for a target: an address, a database's table, a topic, a schema, files."""
    if is_url(target):
        return [_from_url(workplace, target, wishes, editor)]
    if is_database(target):
        return [_from_table(workplace, target, wishes, editor)]
    if is_topic(target):
        return [_from_topic(workplace, target, wishes, editor)]
    path = Path(target)
    if path.is_file() and _is_sqlite(path):
        return [_from_table(workplace, target, wishes, editor)]
    if path.is_file() and _is_schema(path):
        return _from_schema(workplace, path, wishes, editor)
    with Session(Settings.read(workplace.project).limits) as session:
        if path.is_file():
            from lake.drafting.draft import draft_contract

            name = wishes.source or snake_case(path.name.split(".", 1)[0]) or "source"
            place = _in_project(workplace, target)
            return [Draft(name, draft_contract(session, path, name=name, server_path=place, editor_schema=editor))]
        from lake.drafting.from_files import draft_from_files, files_of, name_of

        files, pattern = files_of(target)
        name = wishes.source or name_of(pattern, files)
        place = _in_project(workplace, pattern)
        return [Draft(name, draft_from_files(session, files, name=name, server_path=place, editor_schema=editor))]


def _in_project(workplace: Workplace, target: str) -> str:
    """Gives a path as contracts name it: from the project's folder where it is below it, else whole."""
    place = Path.cwd() / target
    if place.is_relative_to(workplace.project):
        return place.relative_to(workplace.project).as_posix()
    return place.as_posix()


def _is_schema(path: Path) -> bool:
    ending = path.suffix.lower()
    if ending != ".json" or path.stat().st_size > LARGEST_SCHEMA:
        return ending in (*SCHEMA_ENDINGS, ".yaml", ".yml")
    from lake.schemas.json_schema import is_json_schema

    try:
        return is_json_schema(json.loads(path.read_text("utf-8-sig")))
    except ValueError:
        return path.name.endswith(".schema.json")


def _from_schema(workplace: Workplace, path: Path, wishes: Wishes, editor: str | None) -> list[Draft]:
    from lake.drafting.from_schema import SchemaPlace, draft_from_schema
    from lake.schemas.reading import find_table, read_schema

    tables = read_schema(path, dialect=wishes.dialect, table=wishes.table)
    chosen = list(tables) if wishes.is_all else [find_table(tables, wishes.table)]
    place = SchemaPlace(_in_project(workplace, str(path)), wishes.dialect)
    named = [(wishes.source if len(chosen) == 1 else None) or snake_case(table.name) or "source" for table in chosen]
    return [
        Draft(name, draft_from_schema(table, place, name=name, editor_schema=editor))
        for name, table in zip(named, chosen, strict=True)
    ]


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_BEGINS)) == SQLITE_BEGINS


def _from_table(workplace: Workplace, target: str, wishes: Wishes, editor: str | None) -> Draft:
    from lake.drafting.from_table import draft_from_table
    from lake.odcs.servers.postgresql import read_address
    from lake.odcs.servers.sqlite import file_server
    from lake.sources.database.first_look import look_at_table

    is_server = is_database(target)
    server = read_address(target) if is_server else file_server(_in_project(workplace, target), wishes.table)
    table = look_at_table(server, workplace.project, open_vault(workplace.project))
    name = wishes.source or snake_case(table.name) or "source"
    return Draft(name, draft_from_table(table, server, name=name, editor_schema=editor))


def _from_url(workplace: Workplace, target: str, wishes: Wishes, editor: str | None) -> Draft:
    from lake.drafting.from_url import draft_from_answer, url_name

    headers, secret_headers = _parted(wishes.headers, ":", "--header 'Accept: application/json'")
    parameters, secret_parameters = _parted(wishes.parameters, "=", "--param limit=100")
    request = Request(target, headers, parameters, secret_headers, secret_parameters, wishes.bearer)
    answer = fetch_answer(request, open_vault(workplace.project))
    name = wishes.source or url_name(target)
    with Session(Settings.read(workplace.project).limits) as session:
        return Draft(name, draft_from_answer(session, request, answer, name=name, editor_schema=editor))


def _from_topic(workplace: Workplace, target: str, wishes: Wishes, editor: str | None) -> Draft:
    from lake.drafting.from_topic import draft_from_topic
    from lake.odcs.servers.kafka import read_address
    from lake.sources.kafka.sample import sample_messages

    server = read_address(target)
    name = wishes.source or snake_case(server.options["topic"].rpartition(".")[2]) or "source"
    with Session(Settings.read(workplace.project).limits) as session:
        sample = sample_messages(server, open_vault(workplace.project), session.scratch / "sample.parquet")
        return Draft(name, draft_from_topic(session, server, sample, name=name, editor_schema=editor))


def _parted(written: Sequence[str], mark: str, example: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Gives names and values, and apart from them those whose value is the name of a secret."""
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    for text in written:
        name, found, value = (part.strip() for part in text.partition(mark))
        if not name or not found:
            raise ContractError("option-unfit", f"'{name}' has no '{mark}'.", cure=f"Write e.g. {example}.")
        hidden = SECRET.fullmatch(value)
        if hidden is not None:
            secret[name] = hidden[1]
        else:
            plain[name] = value
    return plain, secret
