"""What the readers of a raw table were promised, and whether a contract still keeps it.

Types stand in the table's own schema. Its key, its required columns and which columns are the contract's (others came
by drift) stand in one property of the table, so that they go where it goes: into every version, and back with it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from lake.contract import Contract, major_of, versioned_name
from lake.errors import ContractError
from lake.table_versions import TableVersion

PROPERTY = "promise"


@dataclass(frozen=True)
class Promise:
    """What a contract promised beside types; `version` is that of the contract which first said so.

    `restricted` are the columns nobody is to see, with the names they were received under: that promise holds when the
    contract is gone and its table is still there.
    """

    version: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    required: tuple[str, ...]
    restricted: Mapping[str, str] = field(default_factory=dict)

    def is_kept_as(self, other: "Promise") -> bool:
        """Whether another promise says the same, in whatever order and under whatever version."""
        return all({*mine} == {*theirs} for mine, theirs in zip(self._parts, other._parts, strict=True))

    @property
    def _parts(self) -> tuple[Collection[object], ...]:
        return self.columns, self.key, self.required, self.restricted.items()


def promise_of(contract: Contract) -> Promise:
    """Gives what a contract promises."""
    required = tuple(column.name for column in contract.columns if column.required)
    restricted = {column.name: column.source_name for column in contract.columns if column.privacy == "restricted"}
    names = tuple(column.name for column in contract.columns)
    return Promise(contract.version, names, contract.key, required, restricted)


def to_property(promise: Promise) -> dict[str, str]:
    """Gives a promise as the property a raw table keeps it in."""
    return {PROPERTY: json.dumps(asdict(promise))}


def promise_in(found: TableVersion) -> Promise | None:
    """Gives what a raw table says was promised; None of one that an older Sluice made."""
    if PROPERTY not in found.properties:
        return None
    said = json.loads(found.properties[PROPERTY])
    columns, key, required = (tuple(said[name]) for name in ("columns", "key", "required"))
    return Promise(said["version"], columns, key, required, said.get("restricted", {}))


def expect_kept(contract: Contract, found: TableVersion, narrowed: Sequence[tuple[str, str, str]]) -> None:
    """Raises ContractError when a contract takes back what was promised of its raw table.

    `narrowed` are the columns whose type cannot be widened to what the contract says: name, old type, new type.
    """
    promise = promise_in(found)
    broken = [f"column '{name}' is {old} in {found.name} and to be {new}" for name, old, new in narrowed]
    if promise is not None:
        broken += _taken_back(contract, promise)
    if found.partition != contract.partition:
        broken.append(
            f"{found.name} is partitioned by {_listed(found.partition)}, not by {_listed(contract.partition)}"
        )
    if not broken:
        return
    before = "" if promise is None else f" what {promise.version} promised"
    raise ContractError(
        "contract-breaking",
        f"Version {contract.version} of the contract breaks{before}: {'; '.join(broken)}.",
        cure=_cure(contract, promise),
        path=contract.path,
        line=_line(contract, [name for name, _, _ in narrowed]),
    )


def _taken_back(contract: Contract, promise: Promise) -> list[str]:
    names = {column.name for column in contract.columns}
    broken = [f"column '{name}' is gone" for name in promise.columns if name not in names]
    if {*promise.key} != {*contract.key}:
        broken.append(f"the key was {_listed(promise.key)} and is to be {_listed(contract.key)}")
    broken += [
        f"column '{column.name}' was optional and is to be required"
        for column in contract.columns
        if column.required and column.name in promise.columns and column.name not in (*promise.required, *contract.key)
    ]
    return broken


def _cure(contract: Contract, promise: Promise | None) -> str:
    major = max(contract.major, 1 if promise is None else major_of(promise.version)) + 1
    table = versioned_name(contract.source.removesuffix(f"_v{major - 1}"), f"{major}.0.0")
    return (
        f"Take it back, or raise `version` to {major}.0.0: the source then lands in raw.{table}, "
        f"beside raw.{contract.source}."
    )


def _listed(names: Sequence[str]) -> str:
    return f"'{', '.join(names)}'" if names else "nothing"


def _line(contract: Contract, names: Sequence[str]) -> int | None:
    lines: Mapping[str, int] = {column.name: column.line for column in contract.columns}
    return next((lines[name] for name in names if lines.get(name)), None)
