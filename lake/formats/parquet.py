"""Parquet: typed columns, read as text like everything else, so that one contract judges every format alike."""

from dataclasses import dataclass

from lake.archive import WorkingFile
from lake.engine import Session, literal, quote
from lake.errors import SourceError
from lake.formats.header import spell_as
from lake.formats.lines import json_of
from lake.formats.reading import Located

NESTED = ("STRUCT", "MAP", "UNION")


@dataclass(frozen=True)
class ParquetReading:
    """One Parquet file; `line` is the number of the record, from 1. `stored` are the columns as it spells them."""

    file: WorkingFile
    columns: tuple[str, ...]
    types: tuple[str, ...]
    stored: tuple[str, ...]

    def select(self) -> str:
        """Gives SQL for one text column per column of the file."""
        return f"select {self._texts()} from {self._scan()}"

    def sample(self) -> str:
        """Gives what `select` gives: it leaves nothing behind."""
        return self.select()

    def locate(self, session: Session, loaded: str) -> Located:  # noqa: ARG002  # the protocol's
        """Says where the rows stand: in their order."""
        return Located(f"select *, rowid as _ordinal, rowid + 1 as _line from {loaded}")

    def careful(self, session: Session) -> "ParquetReading":  # noqa: ARG002  # the protocol's
        """Gives itself: records cannot be miscounted."""
        return self

    def raw_data(self, session: Session, wanted: str, target: str) -> None:
        """Creates `target` (`_line`, `raw_data`) for the wanted records."""
        session.execute(
            f"""
            create or replace table {target} as
            select file_row_number + 1 as _line, {json_of(self.columns)} as raw_data
            from (select file_row_number, {self._texts()} from {self._scan()})
            where file_row_number + 1 in (select _line from {wanted})
            """
        )

    def _scan(self) -> str:
        return f"read_parquet({literal(str(self.file.path))}, file_row_number = true, hive_partitioning = false)"

    def _texts(self) -> str:
        return ", ".join(
            f"cast({f'to_json({quote(stored)})' if _is_nested(kind) else quote(stored)} as varchar) as {quote(name)}"
            for name, kind, stored in zip(self.columns, self.types, self.stored, strict=True)
        )


def read_parquet(session: Session, file: WorkingFile, *, origin: str, expected: tuple[str, ...] = ()) -> ParquetReading:
    """Opens a Parquet file; `expected` are the source names the contract knows. Raises SourceError when it is none."""
    try:
        described = session.rows(f"describe (from read_parquet({literal(str(file.path))}, hive_partitioning = false))")
    except session.failure as error:
        raise SourceError(
            "parquet-malformed",
            f"{origin} is no readable Parquet file: {str(error).splitlines()[0]}",
            cure="Deliver it whole again.",
        ) from error
    names, types = tuple(row[0] for row in described), tuple(row[1] for row in described)
    return ParquetReading(file, spell_as(names, expected), types, names)


def _is_nested(sql_type: str) -> bool:
    return sql_type.startswith(NESTED) or sql_type.endswith("]")
