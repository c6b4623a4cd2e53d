"""The custom properties of an ODCS file: the promises Sluice keeps that the standard has no key for."""

import difflib
from collections.abc import Collection, Mapping

from lake.odcs.document import Part, check_keys

OURS = ("", "sluice")  # the vendors whose custom properties are read; the others belong to other tools
MEANINGS: Mapping[str, str] = {  # for editors; docs/contracts.md says more
    "owner": "Who answers for the data; by default the team's owner.",
    "duplicatePolicy": "A known key with other content: a new version of the row, or refused.",
    "driftPolicy": "What happens when columns are new or gone.",
    "loadMode": "Whether a delivery's rows are added, or take the place of all there are.",
    "watermark": "The column that grows: a timestamp, date or whole number.",
    "lateness": "How far back late rows are expected, e.g. '2 days'.",
    "delivery": "Whether the source delivers in batches or as a stream.",
    "privacy": "The classification of columns that have none of their own.",
    "acceptedDrift": "Differences from the operational schema that are meant, e.g. 'missing internal_note'.",
    "defaultValue": "Stands in for a missing value.",
    "formats": "Date formats, tried in order, e.g. ['%d/%m/%Y', '%Y-%m-%d'].",
    "category": "The category of the exceptions that this rule makes.",
    "delimiter": "One character between the fields; by default found in the header.",
    "header": "false when a file has no line of names.",
    "sheet": "The sheet of a workbook that holds the table.",
    "headerRow": "The row of a sheet that holds the names, counted from 1.",
    "mostUnpackedBytes": "How many bytes an archive may unpack to.",
    "intake": "How deliveries come: as files that lie there, as uploads that move on once they are landed, or posted.",
    "maxBodyBytes": "The largest body that is taken in one post, unpacked.",
    "maxRows": "The most rows that are taken in one post.",
    "maxFileBytes": "The largest file that is taken in one upload.",
    "settleSeconds": "How long a file must rest before it counts as whole.",
    "region": "The region of the bucket.",
    "credentials": "Whether the object store is signed in to by secrets, or open to all.",
    "account": "The storage account.",
    "accessKeyIdSecret": "The name of the secret that holds the access key's id.",
    "secretAccessKeySecret": "The name of the secret that holds the access key.",
    "sessionTokenSecret": "The name of the secret that holds the session's token.",
    "accountKeySecret": "The name of the secret that holds the account's key.",
    "recordPath": "The keys that lead to the records, joined by points, e.g. 'data.items'.",
}
SPELLING = 0.8  # likeness from which an unknown property is taken for a misspelt one of ours


def custom_properties(part: Part, known: Collection[str]) -> dict[str, Part]:
    """Gives the values of an element's custom properties by name, those we know and no others.

    Raises ContractError for one that stands twice and for one that looks like a misspelling of ours.
    """
    found: dict[str, Part] = {}
    for entry in part.each("customProperties"):
        check_keys(entry, ("property", "value", "id", "description", "vendor"), "a custom property")
        name, value = entry.text("property"), entry.get("value")
        if entry.text("vendor").lower() not in OURS or value is None:
            continue
        if name in found:
            message = f"Custom property '{name}' stands twice; first on line {found[name].line}."
            raise entry.fault("key-repeated", message, "Keep one of the two.", "property")
        if name in known:
            found[name] = value
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=SPELLING)
        if near:
            cure = f"Did you mean '{near[0]}'? If it belongs to another tool, name that one under 'vendor'."
            raise entry.fault("key-unknown", f"Unknown custom property '{name}'.", cure, "property")
    return found
