"""Drafts the contract of a topic from a sample of its messages."""

from pathlib import Path

from lake.archive import measure_file
from lake.contract import Server
from lake.drafting.document import DraftedContract, custom, render_contract
from lake.drafting.draft import PREFIX, TABLE, describe_rows, in_record_order, rows_description
from lake.drafting.text import Noted
from lake.engine import Session
from lake.formats.messages import read_messages

NOTES = (
    "What is required, and which values there are, is known of the newest messages only.",
    "A message's partition, offset, timestamp, key and headers can be columns, too: docs/sources.md.",
)


def draft_from_topic(
    session: Session, server: Server, sample: Path, *, name: str, editor_schema: str | None = None
) -> str:
    """Gives the YAML of a contract for a topic, drawn from a file of its messages.

    Raises SourceError when none of them is a JSON object.
    """
    reading = in_record_order(
        session, read_messages(session, measure_file(sample), expected=(), prefix=PREFIX, most_others=None)
    )
    session.execute(f"create or replace table {TABLE} as {reading.select()}")
    rows = describe_rows(session, reading.columns, sample)
    draft = DraftedContract(
        name=name,
        origin=f"{rows.row_count} messages of the topic {server.options['topic']}",
        description=rows_description("messages of a topic", rows.key),
        server={
            "server": "broker",
            "type": "kafka",
            "host": server.path,
            "format": server.format,
            "customProperties": custom(server.options),
        },
        properties=rows.properties,
        promises={
            "delivery": "stream",
            "driftPolicy": Noted("evolve", ("a key may be missing from a whole batch",)),
        },
        notes=NOTES,
    )
    return render_contract(draft, editor_schema)
