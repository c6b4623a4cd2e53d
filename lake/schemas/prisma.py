"""Reads a Prisma schema: its models as tables, its enums as the values of their columns."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.odcs.document import did_you_mean
from lake.schemas.prisma_types import SCALARS, scalar_keys
from lake.schemas.table import OperationalColumn as Column
from lake.schemas.table import OperationalTable, TableDraft, json_value, malformed, string

BLOCKS = ("model", "view", "enum", "type", "datasource", "generator")
TABLES = ("model", "view")
OPENING = re.compile(r"(\w+)\s+(\w+)\s*\{\s*(.*)")
FIELD = re.compile(r"(\w+)\s+(Unsupported\(\"[^\"]*\"\)|\w+)(\[\]|\?)?(\s*(?:@.*)?)")
ATTRIBUTE = re.compile(r"@@?([\w.]+)")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
FILLED_ELSEWHERE = re.compile(r"\w+\(.*\)", re.DOTALL)


@dataclass(frozen=True)
class _Line:
    number: int
    text: str
    words: str  # the /// comment before it, or behind it


@dataclass(frozen=True)
class _Block:
    kind: str
    name: str
    line: int
    lines: tuple[_Line, ...]
    words: str


def read_prisma(path: Path, text: str) -> tuple[OperationalTable, ...]:
    """Gives the models of a schema in its order; raises ContractError naming the line that cannot be read."""
    blocks = _blocks(path, text)
    _expect_one_of_each(path, blocks)
    enums = {block.name: _enum_values(path, block) for block in blocks if block.kind == "enum"}
    kinds = {block.name: block.kind for block in blocks}
    return tuple(_table(path, block, enums, kinds) for block in blocks if block.kind in TABLES)


def _expect_one_of_each(path: Path, blocks: Sequence[_Block]) -> None:
    lines: dict[str, int] = {}
    for block in (found for found in blocks if found.kind not in ("datasource", "generator")):
        if block.name in lines:
            message = f"'{block.name}' is declared twice; first on line {lines[block.name]}."
            raise malformed(path, block.line, message, "Rename or remove one of the two.")
        lines[block.name] = block.line


def _blocks(path: Path, text: str) -> list[_Block]:
    blocks: list[_Block] = []
    opened: tuple[str, str, int, str] | None = None
    inside: list[_Line] = []
    for line in _lines(text):
        if opened is None:
            opened, inside = _opening(path, line), []
            rest = OPENING.fullmatch(line.text)
            if rest is None or not rest[3].startswith("}"):
                continue
            line = _Line(line.number, "}", "")
        if line.text == "}":
            kind, name, number, words = opened
            blocks.append(_Block(kind, name, number, tuple(inside), words))
            opened = None
            continue
        begins = OPENING.fullmatch(line.text)
        if begins is not None and begins[1] in BLOCKS:
            break
        inside.append(line)
    if opened is not None:
        message = f"The block '{opened[0]} {opened[1]}' is never closed."
        raise malformed(path, opened[2], message, "Close it with '}' on a line of its own.")
    return blocks


def _opening(path: Path, line: _Line) -> tuple[str, str, int, str]:
    found = OPENING.fullmatch(line.text)
    if found is None:
        cure = "Outside a block only 'model Name {', 'enum Name {' and the like may stand."
        raise malformed(path, line.number, f"'{line.text}' opens no block.", cure)
    if found[1] not in BLOCKS:
        message = f"'{found[1]}' is no block of a Prisma schema."
        raise malformed(path, line.number, message, did_you_mean(found[1], BLOCKS))
    return found[1], found[2], line.number, line.words


def _lines(text: str) -> Iterator[_Line]:
    """Gives the lines that say something, joined where a bracket stays open, each with its `///` comment."""
    words: list[str] = []
    held, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        code, comment = _split_comment(raw)
        if not code:
            words += [comment[1:].strip()] if comment.startswith("/") else []
            continue
        held, start = (f"{held} {code}", start) if held else (code, number)
        if _is_open(held):
            continue
        behind = [comment[1:].strip()] if comment.startswith("/") else []
        yield _Line(start, held, " ".join([*words, *behind]))
        held, words = "", []
    if held:
        yield _Line(start, held, "")


def _split_comment(raw: str) -> tuple[str, str]:
    """Gives a line's code and what stands behind its `//`, which no text in quotes begins."""
    masked = QUOTED.sub(lambda found: "x" * len(found[0]), raw)
    place = masked.find("//")
    return (raw.strip(), "") if place < 0 else (raw[:place].strip(), raw[place + 2 :].strip())


def _is_open(code: str) -> bool:
    masked = QUOTED.sub("", code)
    return masked.count("(") > masked.count(")")


def _enum_values(path: Path, block: _Block) -> dict[str, str]:
    """Gives the values of an enum as the database holds them, by their names in the schema."""
    values: dict[str, str] = {}
    for line in block.lines:
        if line.text.startswith("@@"):
            continue
        found = re.fullmatch(r"(\w+)\s*(@.*)?", line.text)
        if found is None:
            message = f"'{line.text}' is no value of an enum."
            raise malformed(path, line.number, message, "Write one name on a line, with @map if need be.")
        values[found[1]] = _mapped(_attributes(found[2] or "")) or found[1]
    return values


def _table(
    path: Path, block: _Block, enums: Mapping[str, Mapping[str, str]], kinds: Mapping[str, str]
) -> OperationalTable:
    table = TableDraft(block.name, block.line, description=block.words, aliases=(block.name,))
    names: dict[str, str] = {}
    of_table: list[tuple[_Line, dict[str, str]]] = []
    relations: list[dict[str, str]] = []
    for line in block.lines:
        if line.text.startswith("@@"):
            of_table.append((line, _attributes(line.text)))
            continue
        field, kind, how_many, attributes = _field(path, block, line)
        if kind in kinds and kinds[kind] in TABLES:
            relations.append({"model": kind, **_arguments(attributes.get("relation", ""))})
            continue
        column = _column(path, line, (field, kind, how_many), attributes, enums, kinds)
        names[field] = column.name
        table.columns[column.name] = column
        if "id" in attributes:
            table.key = (column.name,)
    for relation in relations:
        _relate(table, names, relation)
    for line, attributes in of_table:
        _constrain(path, table, line, attributes, names)
    return table.finished(path)


def _field(path: Path, block: _Block, line: _Line) -> tuple[str, str, str, dict[str, str]]:
    found = FIELD.fullmatch(line.text)
    if found is None:
        message = f"'{line.text}' in '{block.name}' is no field."
        raise malformed(path, line.number, message, "Write a name, a type and its attributes, e.g. 'units Int @id'.")
    return found[1], found[2], found[3] or "", _attributes(found[4])


def _column(
    path: Path,
    line: _Line,
    field: tuple[str, str, str],
    attributes: Mapping[str, str],
    enums: Mapping[str, Mapping[str, str]],
    kinds: Mapping[str, str],
) -> Column:
    name, kind, how_many = field
    keys, notes = _keys(path, line, kind, attributes, enums, kinds)
    if how_many == "[]":
        keys, notes = json_value("array"), (f"a list of {kind}, read as JSON such as [1,2]",)
    default, filled = _default(attributes.get("default"), enums.get(kind, {}))
    return Column(
        name=_mapped(attributes) or name,
        line=line.number,
        keys=keys,
        required=how_many == "",
        unique="unique" in attributes,
        default=None if how_many == "[]" else default,
        description=line.words,
        notes=(*notes, *filled),
    )


def _keys(
    path: Path,
    line: _Line,
    kind: str,
    attributes: Mapping[str, str],
    enums: Mapping[str, Mapping[str, str]],
    kinds: Mapping[str, str],
) -> tuple[dict[str, object], tuple[str, ...]]:
    if kind in SCALARS:
        return scalar_keys(kind, attributes)
    if kind in enums:
        return {**string(), "enum": tuple(enums[kind].values())}, ()
    if kinds.get(kind) == "type":
        return json_value(), ()
    if kind.startswith("Unsupported("):
        return string(), (f"{kind}: kept as the text it is delivered as",)
    message = f"The type '{kind}' is no scalar, and no model or enum of that name is declared."
    raise malformed(path, line.number, message, did_you_mean(kind, (*SCALARS, *kinds)))


def _default(written: str | None, values: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Gives a constant default, and a note where the value differs each time."""
    if written is None:
        return None, ()
    quoted = QUOTED.fullmatch(written)
    if quoted is not None:
        return quoted[1].replace('\\"', '"'), ()
    if written in values:
        return values[written], ()
    if FILLED_ELSEWHERE.fullmatch(written) or written.startswith("["):
        return None, (f"{written} fills it where it is not given",)
    return written, ()


def _relate(table: TableDraft, names: Mapping[str, str], relation: Mapping[str, str]) -> None:
    fields, references = _listed(relation.get("fields", "")), _listed(relation.get("references", ""))
    if len(fields) == 1 and len(references) == 1:
        table.change(names.get(fields[0], fields[0]), refers_to=f"{relation['model']}.{references[0]}")
    elif fields:
        table.notes.append(f"the reference of {', '.join(fields)} to {relation['model']} is not checked")


def _constrain(
    path: Path, table: TableDraft, line: _Line, attributes: Mapping[str, str], names: Mapping[str, str]
) -> None:
    for attribute in ("id", "unique"):
        if attribute not in attributes:
            continue
        listed = _listed(_arguments(attributes[attribute]).get("fields") or attributes[attribute])
        unknown = [name for name in listed if name not in names]
        if unknown:
            message = f"'@@{attribute}' names '{unknown[0]}', no field of '{table.name}'."
            raise malformed(path, line.number, message, did_you_mean(unknown[0], tuple(names)))
        columns = tuple(names[name] for name in listed)
        if attribute == "id":
            table.key = columns
        elif len(columns) == 1:
            table.change(columns[0], unique=True)
        else:
            table.notes.append(f"{' and '.join(columns)} are unique together, which is not checked")
    if mapped := _mapped(attributes):
        table.aliases = (*table.aliases, mapped)
        table.name = mapped


def _attributes(text: str) -> dict[str, str]:
    """Gives the attributes of a field or a block by name, with what stands in their brackets."""
    found: dict[str, str] = {}
    place = 0
    while (match := ATTRIBUTE.search(text, place)) is not None:
        place = match.end()
        inside = ""
        if text[place : place + 1] == "(":
            end = _closing(text, place)
            inside, place = text[place + 1 : end], end + 1
        found[match[1]] = inside.strip()
    return found


def _closing(text: str, start: int) -> int:
    """Gives where the bracket that opens at `start` is closed."""
    masked = QUOTED.sub(lambda found: "x" * len(found[0]), text)
    depth = 0
    for place in range(start, len(masked)):
        depth += {"(": 1, ")": -1}.get(masked[place], 0)
        if depth == 0:
            return place
    return len(text)


def _arguments(inside: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+):\s*(\[[^\]]*\]|\"[^\"]*\"|[\w.]+)", inside))


def _listed(text: str) -> list[str]:
    """Gives the names in `[a, b(sort: Desc)]`."""
    found = re.search(r"\[([^\]]*)\]", text)
    plain = re.sub(r"\([^)]*\)", "", found[1] if found else "")
    return [name.strip() for name in plain.split(",") if name.strip()]


def _mapped(attributes: Mapping[str, str]) -> str:
    found = QUOTED.search(attributes.get("map", ""))
    return "" if found is None else found[1]
