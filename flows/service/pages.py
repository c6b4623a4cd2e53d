"""What people and Prometheus look at: live errors, signing in, the API, `/metrics`."""

import asyncio
import urllib.parse
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from flows.service.admission import COOKIE, SIGNED_IN_SECONDS, Guard, see
from flows.service.doors import Door
from flows.service.live import LiveBoard, seen_by
from flows.service.openapi import api_sources, describe_api
from flows.service.reading import arriving
from flows.service.state import Service
from lake.receiving.keys import Key
from reports.live import ASSETS, POLICY, read_asset, render_live

MOST_FORM_BYTES = 4096
Viewer = Annotated[Key, Depends(see)]

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def tell_metrics(request: Request, _viewer: Viewer) -> Response:
    """Tell Prometheus what happened since the service was started, and what waits."""
    guard: Guard = request.app.state.guard
    return Response(await asyncio.to_thread(guard.metrics.text), media_type=CONTENT_TYPE_LATEST)


@router.get("/")
async def show_live(request: Request, viewer: Viewer) -> Response:
    """Show the live errors."""
    return await _live_page(request, viewer, "live")


@router.get("/live")
async def show_state(request: Request, viewer: Viewer) -> Response:
    """Give the part of the live page that changes."""
    return await _live_page(request, viewer, "state")


@router.get("/openapi.json")
async def give_openapi(request: Request, viewer: Viewer) -> Response:
    """Give the OpenAPI document of the sources a key is for."""
    return JSONResponse(await asyncio.to_thread(_api, request, viewer))


@router.get("/docs")
async def show_api(request: Request, viewer: Viewer) -> Response:
    """Show the API."""
    address = str(request.base_url).rstrip("/")
    doors = _doors(request, viewer)
    document = await asyncio.to_thread(_api, request, viewer)
    return _page(request, "api", {"sources": api_sources(document, doors), "address": address})


@router.get("/sign-in")
async def ask_key(request: Request) -> Response:
    """Ask for a key."""
    return _page(request, "sign_in", {"is_refused": False})


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Take a key, and give a cookie that stands for it."""
    guard: Guard = request.app.state.guard
    token = _field(await _small_body(request), "key")
    key = guard.holder(token)
    if key is None:
        guard.metrics.refused.labels("key").inc()
        return _page(request, "sign_in", {"is_refused": True}, 401)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, guard.sign_in(key), SIGNED_IN_SECONDS, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return answer


@router.get("/assets/{name}")
async def give_asset(name: str) -> Response:
    """Give a style sheet or script of these pages."""
    if name not in ASSETS:
        raise HTTPException(404)
    return Response(read_asset(name), media_type=ASSETS[name], headers={"Cache-Control": "max-age=300"})


def _doors(request: Request, viewer: Key) -> dict[str, Door]:
    service: Service = request.app.state.service
    return {source: door for source, door in service.doors.items() if viewer.opens(source)}


def _api(request: Request, viewer: Key) -> dict[str, Any]:
    return describe_api(request.app.title, _doors(request, viewer))


async def _live_page(request: Request, viewer: Key, name: str) -> Response:
    board: LiveBoard = request.app.state.live
    service: Service = request.app.state.service
    async with service.looking:
        state = await asyncio.to_thread(board.state)
    named = {*(each.name for each in state.sources), *(each.source for each in state.errors)}
    return _page(request, name, {"state": seen_by(state, {source: viewer.opens(source) for source in named})})


def _page(request: Request, name: str, values: dict[str, Any], status: int = 200) -> Response:
    service: Service = request.app.state.service
    zone = service.settings.timezone
    text = render_live(
        name, values | {"project": service.project.root.name, "zone": zone}, zone, service.settings.currency
    )
    return HTMLResponse(text, status, headers={"Content-Security-Policy": POLICY, "X-Frame-Options": "DENY"})


async def _small_body(request: Request) -> bytes:
    service: Service = request.app.state.service
    body = b""
    async for chunk in arriving(request, service.settings.body_seconds):
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            raise HTTPException(413)
    return body


def _field(body: bytes, name: str) -> str:
    return urllib.parse.parse_qs(body.decode("utf-8", errors="replace")).get(name, [""])[0]
