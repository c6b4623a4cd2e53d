"""The Pydantic model of a contract's records: what is certainly as promised, and what a page shows of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lake.contract import Column, Contract, RowRule
from lake.receiving.values import BITS, Limit, certain_schema, limit_of, may_be_absent

STRINGS = {"date": "date", "timestamp": "date-time", "timestamptz": "date-time"}
SHOWN_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class Strict(BaseModel):
    """A record that has the contract's fields and no other."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Evolving(BaseModel):
    """A record whose unknown fields are kept, as text."""

    __pydantic_extra__: dict[str, StrictStr | StrictInt | StrictBool | None]

    model_config = ConfigDict(extra="allow", protected_namespaces=())


@dataclass(frozen=True)
class Promised:
    """The annotation of a field: its schema for Pydantic's core, and what the OpenAPI page says."""

    certain: CoreSchema
    shown: JsonSchemaValue

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Gives Pydantic the schema to validate by."""
        return self.certain

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Gives Pydantic the schema to show."""
        return dict(self.shown)


def record_model(contract: Contract) -> type[BaseModel]:
    """Gives the model of one record; its fields bear the provider's names as aliases.

    What it accepts is good for the landing pass, but for rules over a whole row; what it does not accept may be good.
    """
    limits = row_limits(contract)
    fields: dict[str, Any] = {
        f"field_{place}": _field(column, limits.get(column.name, ())) for place, column in enumerate(contract.columns)
    }
    base = Evolving if contract.drift == "evolve" else Strict
    return create_model(contract.source, __base__=base, __doc__=contract.description, **fields)


def row_limits(contract: Contract) -> Mapping[str, tuple[Limit, ...]]:
    """Gives the bounds of each column that row rules say and nothing more."""
    found = {
        column.name: tuple(limit for rule in contract.rules if (limit := limit_of(rule, column)) is not None)
        for column in contract.columns
    }
    return {name: limits for name, limits in found.items() if limits}


def beyond_the_model(contract: Contract) -> tuple[RowRule, ...]:
    """Gives the row rules that no model can tell, but only the landing's statement."""
    return tuple(rule for rule in contract.rules if all(limit_of(rule, column) is None for column in contract.columns))


def _field(column: Column, limits: tuple[Limit, ...]) -> tuple[Any, Any]:
    shown = shown_schema(column, limits)
    optional = may_be_absent(column, limits)
    info = Field(default=None if optional else ..., alias=column.source_name)
    return Annotated[Any, Promised(certain_schema(column, limits), shown)], info


def shown_schema(column: Column, limits: tuple[Limit, ...] = ()) -> dict[str, Any]:
    """Gives the JSON schema that tells a reader what a column takes."""
    kind = column.sql_type.lower()
    shown: dict[str, Any] = {"title": column.name, "description": _description(column)}
    if column.enum and kind == "varchar":
        shown |= {"type": "string", "enum": list(column.enum)}
    elif kind in BITS:
        shown |= {"type": "integer"}
    elif kind.startswith("decimal"):
        shown |= {"type": ["string", "number"], "format": "decimal"}
    elif kind in ("double", "float", "boolean"):
        shown |= {"type": "boolean" if kind == "boolean" else "number"}
    elif kind == "varchar" or kind in STRINGS:
        shown |= {"type": "string"}
        shown |= {"format": STRINGS[kind]} if kind in STRINGS and not column.formats else {}
    shown |= {"pattern": f"^(?:{column.pattern})$"} if column.pattern is not None else {}
    shown |= {"minLength": column.min_length} if column.min_length is not None else {}
    shown |= {"maxLength": column.max_length} if column.max_length is not None else {}
    return shown | (_shown_bounds(column, limits) if kind in BITS or kind == "double" else {})


def _shown_bounds(column: Column, limits: tuple[Limit, ...]) -> dict[str, Any]:
    own = {"minimum": column.minimum, "maximum": column.maximum}
    shown: dict[str, Any] = {key: float(text) for key, text in own.items() if text is not None}
    shown |= {SHOWN_BOUNDS[limit.operator]: float(limit.number) for limit in limits}
    return {key: int(number) if number.is_integer() else number for key, number in shown.items()}


def _description(column: Column) -> str:
    words = [column.description]
    if column.formats:
        words.append(f"Written as {' or '.join(column.formats)}.")
    if column.sql_type.startswith("decimal"):
        words.append(f"An exact {column.sql_type}; write it as text, or as a number of up to 15 digits.")
    if column.privacy == "restricted":
        words.append("Restricted: it is masked wherever it is shown.")
    return " ".join(word for word in words if word)
