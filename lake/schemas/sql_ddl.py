"""Reads SQL DDL: `create table` and what alters, comments and constrains it afterwards, as a dump writes it."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from lake.errors import ContractError
from lake.schemas.sql_columns import add_column, add_constraint, add_untyped, retype
from lake.schemas.sql_types import TEXT_EXTENSIONS, Typed, sql_type_keys
from lake.schemas.table import OperationalTable, TableDraft, malformed, string

DIALECTS = (
    "postgres",
    "mysql",
    "sqlite",
    "tsql",
    "oracle",
    "duckdb",
    "snowflake",
    "bigquery",
    "redshift",
    "clickhouse",
)
DATA_BLOCK = re.compile(r"(?ms)^COPY [^;]* FROM stdin;\n.*?^\\\.$")
COMMAND = re.compile(r"(?m)^\\.*$")  # of psql, such as \connect
BATCH_END = re.compile(r"(?im)^\s*go\s*$")  # of SQL Server's clients
CLUSTERED = re.compile(r"(?i)\b(non)?clustered\b")
CHECKED = re.compile(r"(?i)\bwith\s+(no)?check\s+add\b")
ENABLED = re.compile(r"(?i)\b(enable|disable)(\s+(no)?validate)?\b")  # of Oracle's constraints
DOMAIN = re.compile(
    r"(?is)create\s+domain\s+(?:\w+\.)?\"?(\w+)\"?\s+(?:as\s+)?(.+?)(?=\s+(?:constraint|check|not|null|default|collate)\b|$)"
)
IDLE_ALTERATIONS = re.compile(
    r"(?i)\b(owner\s+to|row\s+level|replica\s+identity|set\s+default|cluster\s+on|set\s+statistics)\b"
)


@dataclass
class _Reading:
    path: Path
    text: str
    dialect: str
    tables: dict[str, TableDraft] = field(default_factory=dict)
    types: dict[str, Typed] = field(default_factory=dict)

    def table(self, name: str, schema: str = "") -> TableDraft | None:
        """Gives the table that a statement means, by its schema or, where that is not said, by its name alone."""
        found = self.tables.get(f"{schema}.{name}".lower()) or self.tables.get(f".{name}".lower())
        if found is None and not schema:
            found = next((table for key, table in self.tables.items() if key.endswith(f".{name}".lower())), None)
        return found

    def comment_on_line(self, line: int) -> str:
        """Gives the `--` comment at the end of a line."""
        lines = self.text.splitlines()
        before, mark, comment = lines[line - 1].partition("--") if line <= len(lines) else ("", "", "")
        return comment.strip() if mark and before.count("'") % 2 == 0 else ""

    def typed(self, kind: exp.DataType, line: int) -> Typed:
        """Gives the keys of a type, declared in the file or known; raises ContractError for one that is neither."""
        if kind.this != exp.DataType.Type.USERDEFINED:
            return sql_type_keys(kind, self.dialect)
        name = kind.args["kind"].name if isinstance(kind.args.get("kind"), exp.Expr) else str(kind.args.get("kind"))
        name = name.rsplit(".", 1)[-1].strip('"').lower()
        if name in TEXT_EXTENSIONS:
            return string(), ()
        if name not in self.types:
            cure = f"Add its 'create type {name} …' to the file, or name the right --dialect ({self.dialect})."
            raise malformed(self.path, line, f"The type '{name}' is declared nowhere in the file.", cure)
        return self.types[name]


def read_sql_ddl(path: Path, text: str, dialect: str = "postgres") -> tuple[OperationalTable, ...]:
    """Gives the tables of a schema in the order they are created.

    What is no table (functions, grants, rows) is passed over. Raises ContractError naming the line that cannot be read.
    """
    if dialect not in DIALECTS:
        cure = f"Use one of {', '.join(DIALECTS)}."
        raise ContractError("schema-dialect-unknown", f"There is no SQL dialect '{dialect}'.", cure=cure, path=path)
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot parse whole is of no concern here
    reading = _Reading(path, _plain(text, dialect), dialect)
    for tokens in _statements(reading):
        _read_statement(reading, tokens)
    names = Counter(table.name.lower() for table in reading.tables.values())
    for table in reading.tables.values():
        if names[table.name.lower()] > 1 and table.aliases:
            table.name = table.aliases[0]  # the same name in two schemas
    return tuple(table.finished(path) for table in reading.tables.values())


def _plain(text: str, dialect: str) -> str:
    """Gives a script without rows and without what its client alone understands; the lines keep their numbers."""
    text = DATA_BLOCK.sub(lambda found: "\n" * found[0].count("\n"), text)
    if dialect == "tsql":
        return CHECKED.sub("add", CLUSTERED.sub("", BATCH_END.sub(";", text)))
    return ENABLED.sub("", text) if dialect == "oracle" else COMMAND.sub("", text)


def _statements(reading: _Reading) -> Iterator[list[Token]]:
    try:
        tokens = Dialect.get_or_raise(reading.dialect).tokenize(reading.text)
    except TokenError as error:
        found = re.search(r"[Ll]ine:? (\d+)|from (\d+)", f"{error.__context__} {error}")
        line = None if found is None else int(found[1] or found[2])
        cure = "Is a quote or a comment left open? Name the right --dialect."
        raise malformed(reading.path, line, f"This is no SQL: {str(error).splitlines()[0]}.", cure) from error
    statement: list[Token] = []
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            yield statement
            statement = []
        else:
            statement.append(token)
    yield statement


def _read_statement(reading: _Reading, tokens: Sequence[Token]) -> None:
    words = [token.text.lower() for token in tokens[:5]]
    if not words or words[0] not in ("create", "alter", "comment"):
        return
    if words[0] == "create" and "domain" in words[:2]:
        _read_domain(reading, tokens)
    elif words[:2] == ["comment", "on"] or words[:2] == ["alter", "table"] or _creates(words):
        _take(reading, _parsed(reading, tokens), tokens[0].line)


def _creates(words: Sequence[str]) -> bool:
    return words[0] == "create" and bool({"table", "type"} & set(words[1:4]) or words[1:3] == ["unique", "index"])


def _parsed(reading: _Reading, tokens: Sequence[Token]) -> exp.Expr:
    try:
        found = Dialect.get_or_raise(reading.dialect).parser().parse(list(tokens), reading.text)[0]
    except ParseError as error:
        told: Mapping[str, object] = error.errors[0] if error.errors else {}
        line = told.get("line")
        place = int(line) if isinstance(line, int) else tokens[0].line
        message = f"This is no SQL of {reading.dialect}: {told.get('description', 'it cannot be parsed')}".rstrip(".")
        cure = "Mend it there, or name the right --dialect."
        raise malformed(reading.path, place, f"{message} (near '{told.get('highlight', '')}').", cure) from error
    return found or exp.Command(this="")


def _read_domain(reading: _Reading, tokens: Sequence[Token]) -> None:
    found = DOMAIN.match(reading.text[tokens[0].start : tokens[-1].end + 1])
    if found is not None:
        base = exp.DataType.build(found[2], dialect=reading.dialect, udt=True)
        reading.types[found[1].lower()] = reading.typed(base, tokens[0].line)


def _take(reading: _Reading, tree: exp.Expr, line: int) -> None:
    kind = str(tree.args.get("kind", "")).upper()
    if isinstance(tree, exp.Create) and kind == "TYPE":
        if isinstance(tree.expression, exp.DataType):
            reading.types[tree.this.name.lower()] = sql_type_keys(tree.expression, reading.dialect)
    elif isinstance(tree, exp.Create) and kind == "TABLE":
        _create_table(reading, tree, line)
    elif isinstance(tree, exp.Create) and kind == "INDEX" and tree.args.get("unique"):
        _unique_index(reading, tree)
    elif isinstance(tree, exp.Alter):
        _alter(reading, tree, line)
    elif isinstance(tree, exp.Comment):
        _comment(reading, tree, kind)
    elif isinstance(tree, exp.Command) and tree.name.upper() == "ALTER":
        _unread(reading, tree, line)


def _create_table(reading: _Reading, tree: exp.Create, line: int) -> None:
    if not isinstance(tree.this, exp.Schema):
        return  # made from a select: its columns are declared nowhere
    name = tree.this.this.name
    table = TableDraft(name, line, description=_table_comment(tree))
    schema = tree.this.this.db
    table.aliases = (f"{schema}.{name}",) if schema else ()
    reading.tables[f"{schema}.{name}".lower()] = table
    constraints = []
    for entry in tree.this.expressions:
        if isinstance(entry, exp.ColumnDef):
            _add(reading, table, entry, line)
        elif isinstance(entry, (exp.Identifier, exp.Column)):
            named = entry.find(exp.Identifier)
            add_untyped(table, entry.name, line if named is None else int(named.meta.get("line", line)))
        elif isinstance(entry, exp.LikeProperty):
            table.notes.append(f"the columns of {entry.this.name}, which the table is like")
        else:
            constraints.append(entry)
    for entry in constraints:
        add_constraint(table, entry, line)
    inherited = tree.find(exp.InheritsProperty)
    if inherited is not None:
        table.notes.append(
            f"the columns of {', '.join(each.name for each in inherited.expressions)}, which it inherits"
        )


def _table_comment(tree: exp.Create) -> str:
    comment = tree.find(exp.SchemaCommentProperty)
    return "" if comment is None else comment.this.name


def _add(reading: _Reading, table: TableDraft, entry: exp.ColumnDef, line: int) -> None:
    place = int(entry.this.meta.get("line", line))
    if entry.kind is None:
        cure = "Write its type; without one nothing can be said of its values."
        raise malformed(reading.path, place, f"Column '{entry.name}' of '{table.name}' has no type.", cure)
    add_column(table, entry, reading.typed(entry.kind, place), place, reading.comment_on_line(place))


def _unique_index(reading: _Reading, tree: exp.Create) -> None:
    table = reading.table(tree.this.args["table"].name, tree.this.args["table"].db)
    parameters = tree.this.args.get("params")
    columns = [] if parameters is None else parameters.args.get("columns") or []
    if table is not None and len(columns) == 1 and not (parameters and parameters.args.get("where")):
        plain = columns[0].this
        if isinstance(plain, exp.Column):
            table.change(plain.name, unique=True)


def _alter(reading: _Reading, tree: exp.Alter, line: int) -> None:
    table = reading.table(tree.this.name, tree.this.db)
    if table is None:
        return
    for action in tree.args.get("actions") or ():
        if isinstance(action, exp.ColumnDef):
            _add(reading, table, action, line)
        elif isinstance(action, exp.AddConstraint):
            for entry in action.expressions:
                add_constraint(table, entry, line)
        elif isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN":
            dropped = action.find(exp.Identifier)
            table.columns.pop(table.find("" if dropped is None else dropped.name) or "", None)
        elif isinstance(action, exp.ModifyColumn) and isinstance(action.this, exp.ColumnDef):
            _add(reading, table, action.this, line)
        elif isinstance(action, exp.RenameColumn):
            table.rename(action.this.name, action.args["to"].name)
        elif isinstance(action, exp.AlterColumn):
            _alter_column(reading, table, action, line)
        else:
            table.notes.append(f"line {line}: '{action.sql(reading.dialect)}' was not taken into account")


def _alter_column(reading: _Reading, table: TableDraft, action: exp.AlterColumn, line: int) -> None:
    name, kind = action.this.name, action.args.get("dtype")
    if isinstance(kind, exp.DataType):
        retype(table, name, reading.typed(kind, line))
    if action.args.get("allow_null") is not None:
        table.change(name, required=not action.args["allow_null"])


def _comment(reading: _Reading, tree: exp.Comment, kind: str) -> None:
    words = "" if tree.expression is None else tree.expression.name
    if kind == "COLUMN" and isinstance(tree.this, exp.Column):
        table = reading.table(tree.this.table, tree.this.db)
        if table is not None:
            table.change(tree.this.name, description=words)
    elif kind == "TABLE" and (table := reading.table(tree.this.name, tree.this.db)) is not None:
        table.description = words


def _unread(reading: _Reading, tree: exp.Command, line: int) -> None:
    words = str(tree.expression or "")
    named = re.search(r"(?i)table\s+(?:only\s+)?(?:if\s+exists\s+)?(?:\"?\w+\"?\.)?\"?(\w+)", words)
    table = None if named is None else reading.table(named[1])
    if table is not None and not IDLE_ALTERATIONS.search(words):
        table.notes.append(f"line {line}: 'alter {' '.join(words.split())[:80]}' was not taken into account")
