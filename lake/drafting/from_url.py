"""Drafts the contract of an API from one of its answers: where the records are, what they hold, how to ask for more."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lake.drafting.document import DraftedContract, custom, render_contract
from lake.drafting.draft import TABLE, describe_rows, open_file, rows_description
from lake.drafting.paging import find_records, propose_paging, records_at
from lake.drafting.text import Noted
from lake.engine import Session
from lake.errors import SourceError
from lake.naming import snake_case
from lake.sources.first_answer import LOCAL, Answer, Request

LINES = ("application/x-ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines")
FORMATS: Mapping[str, str] = {"text/csv": "csv", "application/csv": "csv", **dict.fromkeys(LINES, "jsonl")}
ENDINGS = ("csv", "jsonl", "json")


def draft_from_answer(
    session: Session, request: Request, answer: Answer, *, name: str | None, editor_schema: str | None = None
) -> str:
    """Gives the YAML of a contract for an API, drawn from one answer.

    What the contract says is true of the records of that answer; what others may hold, nobody can know from one.
    Raises SourceError when the answer holds no records.
    """
    form = _form(answer)
    body = _parsed(answer) if form == "json" else None
    path = "" if body is None else _record_path(answer, body)
    file = session.scratch / f"answer.{'jsonl' if form == 'json' else form}"
    file.write_bytes(answer.body if body is None else _as_lines(records_at(body, path)))
    opened = open_file(session, file, TABLE)
    found = describe_rows(session, opened.columns, file)
    others = {name: value for name, value in opened.options.items() if name != "encoding"}
    paging = propose_paging(body, answer.link, {**_asked(request.url), **request.parameters})
    signed, remarks = _signing(request)
    properties = {
        **({"format": form} if form != "json" else {}),
        **({"recordPath": path} if path else {}),
        **_constants(request),
        **signed,
        **others,
        **paging,
    }
    paged = () if paging else ("The answer says nothing of more pages: if there are, add 'paging'.",)
    draft = DraftedContract(
        name=name or url_name(request.url),
        origin=f"{found.row_count} records of one answer of {_plain_url(request.url)}",
        description=rows_description("an API's answers", found.key),
        server={
            "server": "api",
            "type": "api",
            "location": _plain_url(request.url),
            **({"customProperties": custom(properties)} if properties else {}),
        },
        properties=found.properties,
        promises={"driftPolicy": Noted("evolve", ("a key may be missing from a whole answer",))}
        if form != "csv"
        else {},
        notes=("What is required, and which values there are, is known of this one answer only.", *paged, *remarks),
    )
    return render_contract(draft, editor_schema)


def url_name(url: str) -> str:
    """Gives a name of ours for what an address answers: the last part of its path, else its host."""
    parts = urlsplit(url)
    last = [part for part in parts.path.split("/") if part]
    return snake_case(Path(last[-1]).stem if last else (parts.hostname or "")) or "source"


def _form(answer: Answer) -> str:
    ending = urlsplit(answer.url).path.rpartition(".")[2].lower()
    known = FORMATS.get(answer.media_type)
    if known is not None:
        return known
    if "json" in answer.media_type:
        return "json"
    if ending in ENDINGS:
        return ending
    if answer.body.lstrip()[:1] in (b"{", b"["):
        return "json"
    message = f"{answer.url} answers with '{answer.media_type or 'no media type'}', which cannot be read."
    raise SourceError("url-not-data", message, cure="It must give JSON, JSON lines or CSV: ask for one by --header.")


def _parsed(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError as error:
        message = f"{answer.url} answers with no well-formed JSON: {error}."
        raise SourceError(
            "url-not-data", message, cure="Mend the address, or have the provider mend the answer."
        ) from error


def _record_path(answer: Answer, body: object) -> str:
    path = find_records(body)
    if path is None:
        message = f"{answer.url} answers with no list of objects."
        raise SourceError(
            "url-not-data", message, cure="Name the address that gives the records, or draft from a file."
        )
    return path


def _as_lines(records: list[Any]) -> bytes:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()


def _asked(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def _plain_url(url: str) -> str:
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _constants(request: Request) -> dict[str, object]:
    query = {**_asked(request.url), **request.parameters}
    found: dict[str, object] = {"query": query} if query else {}
    if request.headers:
        found["headers"] = dict(request.headers)
    if urlsplit(request.url).scheme == "http" and urlsplit(request.url).hostname not in LOCAL:
        found["allowPlainHttp"] = True
    return found


def _signing(request: Request) -> tuple[dict[str, object], tuple[str, ...]]:
    """Gives how the API is signed in to, by the names of secrets; one way, for a contract knows one."""
    ways: list[dict[str, object]] = []
    if request.bearer:
        ways.append({"auth": "bearer", "tokenSecret": request.bearer})
    for kind, secret in (("header-key", request.secret_headers), ("query-key", request.secret_parameters)):
        ways += [{"auth": kind, "keyName": name, "keySecret": key} for name, key in secret.items()]
    others = tuple(f"Fill in: the API was asked with the secret {way.get('keySecret')}, too." for way in ways[1:])
    return (ways[0] if ways else {}), others
