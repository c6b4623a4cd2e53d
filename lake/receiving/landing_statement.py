"""The landing's own verdict on a few records, at once: its statement, prepared in a small engine of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from lake.contract import Contract
from lake.engine import EngineLimits, Session, literal, quote
from lake.formats.json_records import is_object_sql, json_pointer, unknown_keys_sql
from lake.landing.drift import Drift
from lake.landing.validation import rule_columns, rule_reasons, typed_select
from lake.receiving.record_model import beyond_the_model

LIMITS = EngineLimits(memory="512MB", threads=1)
PLAIN_PLAN = "set disabled_optimizers = 'filter_pushdown'"  # it would work out every reason twice
LINES = """
    select unnest(texts) as text, unnest(range(len(texts))) as place
    from (select string_split($1::varchar, chr(10)) as texts)
"""
CARRIED = ("place of the record", "nature of the record", "strangers of the record")  # no key is written so


@dataclass(frozen=True)
class Found:
    """What the statement says of one record that is not simply good.

    `place` counts from 0; `is_blank` lines are no records; `reasons` are codes of the landing; `unknown` are keys
    that the contract does not know.
    """

    place: int
    is_blank: bool
    is_object: bool
    reasons: tuple[str, ...]
    unknown: tuple[str, ...]


class LandingStatement:
    """What the landing pass would say of records of one contract; safe to be used by several threads."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._lock = Lock()
        self._session: Session | None = None
        self._prepared: dict[frozenset[str], str] = {}
        self._has_rules = False
        names = [column.source_name for column in contract.columns]
        self._dotted = [name for name in names if "." in name]

    def judge(self, lines: Sequence[bytes]) -> list[Found]:
        """Gives what is wrong with each record that is not good, in their order."""
        rows = self._answers(lines, self._prepare)
        return [Found(place, nature == "blank", nature == "object", *_told(row)) for place, nature, *row in rows]

    def judge_rules(self, lines: Sequence[bytes]) -> list[Found]:
        """Gives which records break rules over a row, in their order: of records whose values are all as promised."""
        rows = self._answers(lines, self._prepare_rules)
        return [Found(place, False, True, tuple(reasons), ()) for place, reasons in rows]

    def _answers(self, lines: Sequence[bytes], prepare: Callable[[Session, str], str]) -> list[tuple[Any, ...]]:
        texts = [line.decode("utf-8", errors="replace").rstrip("\r\n") for line in lines]
        whole = "\n".join(texts).replace("\0", "\1")  # neither may stand in JSON, and the engine's parser ends at one
        with self._lock:
            if self._session is None:
                self._session = Session(LIMITS)
                self._session.execute(PLAIN_PLAN)
            name = prepare(self._session, whole)
            return self._session.rows(f"execute {name}({literal(whole)})")

    def close(self) -> None:
        """Ends the engine; another judgement opens one again."""
        with self._lock:
            if self._session is not None:
                self._session.__exit__(None, None, None)
            self._session, self._prepared, self._has_rules = None, {}, False

    def _prepare(self, session: Session, whole: str) -> str:
        """Gives the name of the statement for these records: a dotted name is a path where one of them has it."""
        paths = self._paths(session, whole) if self._dotted else frozenset()
        if paths not in self._prepared:
            name = f"judge_{len(self._prepared)}"
            session.execute(f"prepare {name} as {_statement(self._contract, paths)}")
            self._prepared[paths] = name
        return self._prepared[paths]

    def _prepare_rules(self, session: Session, _whole: str) -> str:
        if not self._has_rules:
            session.execute(f"prepare judge_rules as {_rules_statement(self._contract)}")
            self._has_rules = True
        return "judge_rules"

    def _paths(self, session: Session, whole: str) -> frozenset[str]:
        keys = {
            row[0]
            for row in session.rows(
                "select distinct unnest(json_keys(sound)) from "
                f"(select {_sound('text')} as sound from (select unnest(string_split($1::varchar, chr(10))) as text))",
                [whole],
            )
        }
        return frozenset(name for name in self._dotted if name.split(".")[0] in keys)


def _told(row: Sequence[list[str] | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    reasons, unknown = row
    return tuple(reasons or ()), tuple(unknown or ())


def _sound(text: str) -> str:
    return f"case when {is_object_sql(text)} then {text} end"


def _fields(names: Sequence[str]) -> str:
    return ", ".join(f"fields[{number}] as {quote(name)}" for number, name in enumerate(names, 1))


def _statement(contract: Contract, paths: frozenset[str]) -> str:
    """Gives the select over the lines of one text ($1), a row per line that is no good record."""
    names = [column.source_name for column in contract.columns]
    pointers = ", ".join(literal(json_pointer(*(name.split(".") if name in paths else (name,)))) for name in names)
    known = [*names, *(name.split(".")[0] for name in paths)]
    place, nature, strangers = (quote(name) for name in CARRIED)
    source = f"""
        select {_fields(names)}, place as {place}, strangers as {strangers},
            case when sound is not null then 'object' when trim(text) = '' then 'blank' else 'broken' end as {nature}
        from (
            select place, text, sound, json_extract_string(sound, [{pointers}]) as fields,
                {unknown_keys_sql("sound", "keys", known)} as strangers
            from (select *, json_keys(sound) as keys from (select *, {_sound("text")} as sound from ({LINES})))
        )
    """
    drift = Drift(added=tuple((name, name) for name in CARRIED))
    judged = typed_select(contract, names, source, drift)
    return f"""
        select {place}, {nature}, case when {nature} = 'object' then _reasons end, {strangers} from ({judged})
        where {nature} <> 'object' or _reasons is not null or len({strangers}) > 0
    """


def _rules_statement(contract: Contract) -> str:
    """Gives the select over the lines of one text ($1), a row per record that breaks rules which no model can tell.

    It reads the columns that those rules name, as the whole statement does, and no other.
    """
    rules = beyond_the_model(contract)
    named = {name for rule in rules for name in rule_columns(rule.expression, contract)}
    narrow = replace(
        contract, columns=tuple(each for each in contract.columns if each.name in named), rules=rules, key=()
    )
    names, place = [column.source_name for column in narrow.columns], quote(CARRIED[0])
    pointers = ", ".join(literal(json_pointer(name)) for name in names)
    source = f"""
        select {_fields(names)}, place as {place}
        from (select place, json_extract_string({_sound("text")}, [{pointers}]) as fields from ({LINES}))
    """
    drift = Drift(added=((CARRIED[0], CARRIED[0]),))
    judged = typed_select(narrow, names, source, drift, rule_reasons(narrow))
    return f"select {place}, _reasons from ({judged}) where _reasons is not null"
