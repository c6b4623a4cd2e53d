"""Messages of a topic: each value one JSON object, with the partition and offset it had.

The file is Parquet, a row per message: `partition, offset, timestamp, key, headers, value`, the bytes as received. Its
lines count offsets: the ranges of the partitions, as the delivery's origin names them, laid end to end. So of
`orders[0]@1200-1699,[2]@77-90` line 1 is offset 1200 of partition 0 and line 501 is offset 77 of partition 2, and an
offset at which there is no message (compacted, or a mark of a transaction) leaves its line out.
"""

from dataclasses import dataclass

from lake.archive import WorkingFile
from lake.engine import Session, literal, quote
from lake.formats.json_records import JsonReading, is_object_sql, with_columns
from lake.formats.reading import Located

MESSAGES = "messages"
BYTE_ORDER_MARK = 0xFEFF
# What a column may ask of a message beside its value, as text.
ASIDE = {
    "kafka:partition": 'cast("partition" as varchar)',
    "kafka:offset": 'cast("offset" as varchar)',
    "kafka:timestamp": """strftime("timestamp", '%Y-%m-%dT%H:%M:%S.%gZ')""",
    "kafka:key": 'coalesce(try(decode("key")), cast("key" as varchar))',
    "kafka:headers": """cast(to_json(list_transform(
        headers, lambda header: {'key': header.key, 'value': try(decode(header.value))}
    )) as varchar)""",
}


@dataclass(frozen=True)
class MessageReading(JsonReading):
    """JSON values in the table `records`, and what their messages have beside them."""

    def raw_data(self, session: Session, wanted: str, target: str) -> None:
        """Creates `target` (`_line`, `raw_data`): the values, in front what the contract asks of messages."""
        pairs = ", ".join(f"{literal(name)}, {quote(name)}" for name in self.others if name in ASIDE)
        front = f"rtrim(cast(json_object({pairs}) as varchar), '}}')"
        body = "substr(ltrim(text, chr(9) || chr(10) || chr(13) || ' '), 2)"
        comma = "case when json_keys(text) = [] then '' else ',' end"
        told = f"{front} || {comma} || {body}" if pairs else "text"
        session.execute(
            f"create or replace table {target} as select line as _line, {told} as raw_data from {self.records} "
            f"where line in (select _line from {wanted})"
        )

    def locate(self, session: Session, loaded: str) -> Located:
        """Says where the rows stand; what is no JSON object is broken, told with its partition and offset."""
        located = super().locate(session, loaded)
        session.execute(
            f"""
            create or replace table {self.records}_broken as
            select broken._line, broken.rule, broken.category, broken.raw_data,
                '[' || "partition" || ']@' || "offset" || ': ' || case
                    when is_null then 'the message has no value (a tombstone).'
                    when not is_text then 'the value is not UTF-8.'
                    when broken.raw_data = '' then 'the value is empty.'
                    else 'the value is no JSON object.'
                end as message,
            from {self.records}_broken as broken join {self.records} as records on records.line = broken._line
            """
        )
        return located


def read_messages(
    session: Session, file: WorkingFile, *, expected: tuple[str, ...], prefix: str, most_others: int | None
) -> MessageReading:
    """Opens a file of messages; `most_others` is as for JSON lines."""
    aside = tuple(name for name in expected if name in ASIDE)
    asked = "".join(f", {ASIDE[name]} as {quote(name)}" for name in aside)
    scan = f"read_parquet({literal(str(file.path))})"
    session.execute(
        f"""
        create or replace table {prefix}_messages as
        with
        ranges as (
            select "partition", min("offset") as first, max("offset") - min("offset") + 1 as length
            from {scan} group by "partition"
        ),
        places as (
            select "partition", 1 + coalesce(sum(length) over (
                order by "partition" rows between unbounded preceding and 1 preceding
            ), 0) - first as shift
            from ranges
        ),
        messages as (
            select
                cast(found."offset" + places.shift as bigint) as line, found.*, try(decode(found.value)) as decoded
            from {scan} as found join places on places."partition" = found."partition"
        )
        select
            line,
            "partition",
            "offset",
            coalesce(ltrim(decoded, chr({BYTE_ORDER_MARK})), cast(value as varchar), 'null') as text,
            decoded is not null as is_text,
            value is null as is_null,
            is_text and coalesce({is_object_sql("text")}, false) as is_object
            {asked},
        from messages order by line
        """
    )
    keys = tuple(name for name in expected if name not in ASIDE)
    reading = with_columns(session, f"{prefix}_messages", keys, most_others)
    return MessageReading(
        reading.records, reading.pointers, {**{name: quote(name) for name in aside}, **reading.others}
    )
