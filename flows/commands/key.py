"""`sluice key`: who may post to the ingestion service."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from flows.workplace import Workplace, in_project, json_option

if TYPE_CHECKING:
    from lake.receiving.keys import Key


@click.group(short_help="Make, list and revoke the keys of those who may post.")
def key() -> None:
    """Make, list and revoke the keys of those who may post to the ingestion service.

    Keys are kept as digests in SLUICE_KEYS_FILE, outside the lake. A running service sees every change at once.
    """


@key.command("new")
@click.option("--sources", required=True, help="What it is for: names of sources with commas between, or '*' for all.")
@click.option("--name", required=True, help="Who has it, such as 'laptop' or 'billing'.")
@click.option("--expires", help="How long it is valid, such as 90d or 12h.  [default: until it is revoked]")
@click.option("--requests-per-minute", type=click.IntRange(1), help="Its own limit instead of the service's.")
@click.option("--rows-per-minute", type=click.IntRange(1), help="Its own limit instead of the service's.")
@in_project
def new(
    workplace: Workplace,
    sources: str,
    name: str,
    expires: str | None,
    requests_per_minute: int | None,
    rows_per_minute: int | None,
) -> None:
    """Make a key and print it, this once: nothing keeps it.

    \b
    sluice key new --sources expenses --name laptop --expires 90d
    curl -H "Authorization: Bearer $KEY" -d '{…}' http://127.0.0.1:8080/v1/expenses
    """
    from lake.receiving.keys import add_key, make_key
    from lake.run import system_clock

    now = system_clock()
    token, made = make_key(
        _told_name(name),
        _sources(workplace, sources),
        now,
        expires_at=None if expires is None else _end_of(expires, now),
        requests_per_minute=requests_per_minute,
        rows_per_minute=rows_per_minute,
    )
    add_key(workplace.settings.keys, made)
    click.echo(token)
    workplace.tell("Keep it now: it is shown this once. It goes into the header 'Authorization: Bearer …'.")


@key.command("list", short_help="List the keys; never the keys themselves.")
@json_option
@in_project
def list_(workplace: Workplace, as_json: bool) -> None:
    """List the keys: whose they are, what for, and until when; never the keys themselves."""
    from flows.tabular import print_rows
    from lake.receiving.keys import read_keys
    from lake.run import system_clock

    now = system_clock()
    rows = [
        {
            "id": each.id,
            "name": each.name,
            "sources": ", ".join(each.sources),
            "state": _state(each, each.is_valid(now)),
            "created_at": each.created_at,
            "expires_at": each.expires_at,
        }
        for each in read_keys(workplace.settings.keys)
    ]
    print_rows(rows, as_json=as_json)


@key.command("revoke")
@click.argument("name")
@in_project
def revoke(workplace: Workplace, name: str) -> None:
    """Revoke the key of a NAME or id, at once and for good."""
    from lake.receiving.keys import revoke_key
    from lake.run import system_clock

    ended = revoke_key(workplace.settings.keys, name, system_clock())
    click.echo(f"Revoked '{ended.name}' ({ended.id}).")


def _state(key: "Key", is_valid: bool) -> str:
    return "revoked" if key.revoked_at is not None else "valid" if is_valid else "expired"


def _sources(workplace: Workplace, text: str) -> tuple[str, ...]:
    """Gives the sources a key is for; raises SettingsError for one that nothing is posted to."""
    from lake.errors import SettingsError
    from lake.receiving.keys import EVERY_SOURCE

    named = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known = [name for name, contract in workplace.place.contracts().items() if contract.pushed is not None]
    wrong = [name for name in named if name != EVERY_SOURCE and name not in known]
    if wrong or not named:
        raise SettingsError(
            "key-sources-unknown",
            f"Nothing is posted to '{', '.join(wrong)}'.",
            cure=f"Sources that are posted to: {', '.join(known) or 'none'}; '*' is all of them.",
        )
    return named


def _told_name(name: str) -> str:
    from lake.errors import SettingsError

    if not name.strip() or not name.isprintable():
        raise SettingsError(
            "key-name-unfit", f"{name!r} is no name of a key.", cure="Say who has it, such as --name laptop."
        )
    return name.strip()


def _end_of(text: str, now: datetime) -> datetime:
    from lake.durations import duration_seconds
    from lake.errors import SettingsError

    seconds = duration_seconds(text)
    try:
        if seconds:
            return now + timedelta(seconds=seconds)
    except OverflowError:  # beyond the year 9999
        seconds = None
    raise SettingsError("key-expiry-unfit", f"'{text}' is no lifetime.", cure="Write e.g. --expires 90d, or 12h.")
