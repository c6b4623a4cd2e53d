"""What is wrong with received records, told at once: the model where it is certain, the landing's statement elsewhere.

The landing pass is the judge. What the door tells is what that pass will say of each record by itself: values that are
missing, of another type, out of bounds, the rules over a row, records that are no JSON objects, unknown fields. Left
to the landing alone: what needs other rows, that is duplicates, `unique`, the checks of the raw gate.

A record that the model accepts is good, but for row rules that say more than a model can. About any other one the
landing's own statement is asked. Of a contract with such rules it is asked about every record: the rules alone, by the
columns they name, where the model accepts all of a few records, else everything. So both always give the same field
and category.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import ValidationError

from lake.contract import Contract
from lake.formats.json_records import MOST_TOLD, NOT_JSON
from lake.landing.validation import Reason, contract_reasons, names_columns_alone
from lake.receiving.landing_statement import Found, LandingStatement
from lake.receiving.record_model import beyond_the_model, record_model
from lake.receiving.verdicts import Fault, RowFaults, Verdicts

MOST_FOR_THE_MODEL = 250  # records with rules over a row: of more the whole statement alone is as quick
KEY_END = b'":'
UNKNOWN = "The contract knows no such field."
SPACED_KEY = re.compile(rb'"[ \t\r\n]+:')


class RecordJudge:
    """Tells what is wrong with records of one contract; several threads may use one."""

    def __init__(self, contract: Contract) -> None:
        self.model = record_model(contract)
        self._validate = self.model.__pydantic_validator__.validate_json
        self._landing = LandingStatement(contract)
        self._reasons = {reason.code: reason for reason in contract_reasons(contract)}
        self._sources = {column.name: column.source_name for column in contract.columns}
        self._keeps_unknown = contract.drift == "evolve"
        dotted = any("." in column.source_name for column in contract.columns)
        rules = beyond_the_model(contract)
        self._has_rules = bool(rules)
        self._asks_always = dotted or not all(names_columns_alone(rule.expression, contract) for rule in rules)

    def __call__(self, lines: Sequence[bytes], /) -> Verdicts:
        """Gives the verdicts on records, one JSON object a line; a blank line is no record, and none is promised."""
        found = self._found(lines)
        bad = [
            RowFaults(each.place + 1, faults) for each in found if not each.is_blank and (faults := self._faults(each))
        ]
        return Verdicts(len(lines) - sum(each.is_blank for each in found) - len(bad), tuple(bad))

    def close(self) -> None:
        """Ends what the judge holds open."""
        self._landing.close()

    def _found(self, lines: Sequence[bytes]) -> list[Found]:
        """Gives what the landing's statement says of the records about which it has to be asked."""
        if self._asks_always or (self._has_rules and len(lines) > MOST_FOR_THE_MODEL):
            return self._landing.judge(lines)
        if self._has_rules:
            is_certain = next(self._doubtful(lines), None) is None
            return self._landing.judge_rules(lines) if is_certain else self._landing.judge(lines)
        doubtful = list(self._doubtful(lines))
        found = self._landing.judge([lines[place] for place in doubtful]) if doubtful else []
        return [replace(each, place=doubtful[each.place]) for each in found]

    def _doubtful(self, lines: Sequence[bytes]) -> Iterator[int]:
        """Gives the places of the records that the model does not accept for certain."""
        validate, spaced = self._validate, SPACED_KEY.search
        for place, line in enumerate(lines):
            try:
                record = validate(line)
            except ValidationError:
                yield place
                continue
            # a key that stands twice: the landing takes the first, Pydantic the last
            if line.count(KEY_END) != len(record.__pydantic_fields_set__) or spaced(line) is not None:
                yield place

    def _faults(self, found: Found) -> tuple[Fault, ...]:
        if not found.is_object:
            _, category, message = NOT_JSON
            return (Fault(None, category, message),)
        if found.unknown and not self._keeps_unknown:
            return tuple(Fault(name, "SCHEMA_MISMATCH", UNKNOWN) for name in found.unknown[:MOST_TOLD])
        return tuple(self._fault(self._reasons[code]) for code in found.reasons)

    def _fault(self, reason: Reason) -> Fault:
        field = None if reason.column is None else self._sources[reason.column]
        return Fault(field, reason.category, reason.message)


def record_judge(contract: Contract) -> RecordJudge:
    """Gives the judge of a contract's records."""
    return RecordJudge(contract)
