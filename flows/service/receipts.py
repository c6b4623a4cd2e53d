"""`GET /v1/receipts/{receipt}`: where posted rows are now."""

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from flows.service.admission import Guard
from flows.service.state import Service
from lake.engine import Session
from lake.receiving.whereabouts import Whereabouts, find_waiting, look_up

router = APIRouter()


@router.get("/receipts/{receipt}")
async def tell_receipt(receipt: str, request: Request) -> JSONResponse:
    """Tell where the rows of a receipt are: `spooled`, `landed`, `held` or `refused`, and what became of each."""
    service: Service = request.app.state.service
    async with service.asking:
        found = await asyncio.to_thread(_find, service, receipt)
    guard: Guard = request.app.state.guard
    guard.expect_scope(request.state.key, found.source)
    told = {name: value for name, value in asdict(found).items() if value is not None}
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


def _find(service: Service, receipt: str) -> Whereabouts:
    found = find_waiting(service.spool.folder, receipt)
    if isinstance(found, Whereabouts):
        return found
    store = service.settings.store
    with Session(service.settings.limits, store) as session:
        return look_up(session, store, found)
