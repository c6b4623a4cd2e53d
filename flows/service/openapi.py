"""The API told: an OpenAPI 3.1 document with the real model, example and answers of every source that is posted to."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from flows.service.doors import Door
from lake.receiving.examples import example_record
from lake.receiving.record_model import record_model

PROBLEM = "application/problem+json"
REFUSALS: Mapping[str, str] = {
    "400": "The body cannot be read as JSON, UTF-8, gzip or a form. Nothing was kept.",
    "401": "No valid key. Nothing was kept.",
    "403": "The key is not for this source. Nothing was kept.",
    "404": "Nothing is posted there.",
    "408": "The body was too long in coming. Nothing was kept.",
    "409": "The Idempotency-Key came with another body, or is at work elsewhere. Nothing more was kept.",
    "413": "The body, or the number of its rows, is beyond the limit. Nothing was kept.",
    "415": "The type of the body is not taken. Nothing was kept.",
    "429": "The key has sent too much; Retry-After says when to come again. Nothing was kept.",
    "503": "The service is stopping, or full of requests, or its spool cannot be written. Nothing was kept.",
    "507": "The disk is full. Nothing was kept.",
}
ABOUT = (
    "Rows and files are posted, and are on disk when the answer is 202. A row that breaks its contract is told field "
    "by field, kept, and goes to quarantine."
)


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    cure: str = ""


class Fault(BaseModel):
    """One thing wrong with a row."""

    field: str | None
    code: str
    message: str


class Rejected(BaseModel):
    """A row that will be in quarantine; `row` counts from 1."""

    row: int
    faults: list[Fault]


class Taken(BaseModel):
    """Rows that are on disk."""

    receipt: str
    href: str
    source: str
    row_count: int
    accepted_count: int
    rejected_count: int
    rejected: list[Rejected]
    unjudged_count: int | None = None


class Receipt(BaseModel):
    """Where posted rows are now; counts are there once they are landed."""

    receipt: str
    source: str
    state: str
    row_count: int | None = None
    received_at: str | None = None
    name: str | None = None
    batches: list[str] = []
    why: str | None = None
    accepted_count: int | None = None
    quarantined_count: int | None = None
    duplicate_count: int | None = None
    release: int | None = None


def describe_api(title: str, doors: Mapping[str, Door]) -> dict[str, Any]:
    """Gives the OpenAPI document of a service with these doors."""
    paths: dict[str, Any] = {}
    schemas = {name: _schema(model) for name, model in _MODELS.items()}
    for source, door in doors.items():
        schemas[source] = record_model(door.contract).model_json_schema(by_alias=True, ref_template=_REFERENCE)
        paths[f"/v1/{source}"] = {"post": _post_rows(source, door)}
        paths[f"/v1/{source}/files"] = {"post": _post_file(source, door)}
    paths["/v1/receipts/{receipt}"] = {"get": _RECEIPT}
    paths["/healthz"] = {
        "get": {
            "summary": "Whether the service answers",
            "security": [],
            "responses": {"200": {"description": "It does."}},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `sluice key new`."},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{"bearer": []}, {"header": []}],
    }


_REFERENCE = "#/components/schemas/{model}"
_MODELS: Mapping[str, type[BaseModel]] = {"Problem": Problem, "Taken": Taken, "Receipt": Receipt}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "1 to 255 characters: the same body under the same key is kept once, however often it is sent.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Gives a model's schema without outside references."""
    found = model.model_json_schema(ref_template="#/components/schemas/" + model.__name__ + "/$defs/{model}")
    return {name: value for name, value in found.items() if name != "title"}


def _answer(description: str, schema: str, kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _refusals(*codes: str) -> dict[str, Any]:
    return {code: _answer(REFUSALS[code], "Problem", PROBLEM) for code in codes}


def _post_rows(source: str, door: Door) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{source}"}
    example = example_record(door.contract)
    kept = "All rows are on disk; what is in 'rejected' will be in quarantine."
    return {
        "summary": f"Post records of {source}",
        "description": f"{door.contract.description} At most {door.most_rows:,} rows and {door.most_bytes:,} bytes.",
        "operationId": f"post_{source}",
        "parameters": [_KEY],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [one, {"type": "array", "items": one}]}, "example": [example]},
                "application/x-ndjson": {"schema": {"type": "string", "description": "One record a line."}},
            },
        },
        "responses": {
            "202": _answer(kept, "Taken"),
            "422": _answer("No row is as promised. All are kept, and will be in quarantine.", "Taken", PROBLEM),
            **_refusals(*REFUSALS),
        },
    }


def _post_file(source: str, door: Door) -> dict[str, Any]:
    form = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
    return {
        "summary": f"Upload a file of {source}",
        "description": f"CSV, JSON, Parquet, workbooks, plain or packed; at most {door.most_file_bytes:,} bytes.",
        "operationId": f"upload_{source}",
        "parameters": [_KEY],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "202": {"description": "The file is on disk; its receipt tells what becomes of it."},
            **_refusals(*REFUSALS),
        },
    }


_RECEIPT: Mapping[str, Any] = {
    "summary": "Ask where rows are now",
    "operationId": "tell_receipt",
    "parameters": [{"name": "receipt", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {"200": _answer("Where they are.", "Receipt"), **_refusals("401", "403", "404", "429")},
}


def api_sources(document: Mapping[str, Any], doors: Mapping[str, Door]) -> list[dict[str, Any]]:
    """Gives each source of a document as its page shows it."""
    return [
        {
            "name": source,
            "post": (post := document["paths"][f"/v1/{source}"]["post"]),
            "fields": _fields(document["components"]["schemas"][source]),
            "rules": [rule.description or rule.expression for rule in door.contract.rules],
            "example": json.dumps(
                post["requestBody"]["content"]["application/json"]["example"], ensure_ascii=False, indent=1
            ),
        }
        for source, door in doors.items()
    ]


def _fields(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": _type_words(shown),
            "required": name in schema.get("required", ()),
            "allowed": "; ".join(f"{words} {_told(shown[key])}" for key, words in _WORDS.items() if key in shown),
            "description": shown.get("description", ""),
        }
        for name, shown in schema["properties"].items()
    ]


_WORDS: Mapping[str, str] = {
    "enum": "one of",
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "pattern": "matches",
    "minLength": "characters at least",
    "maxLength": "characters at most",
}


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _type_words(shown: Mapping[str, Any]) -> str:
    kind = shown.get("type", "any")
    words = " or ".join(kind) if isinstance(kind, list) else kind
    return f"{words} ({shown['format']})" if "format" in shown else words
