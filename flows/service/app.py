"""The app of the ingestion service: its routes, its problems, its health."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request

from flows.service import files, pages, receipts, records
from flows.service.admission import Guard, admit
from flows.service.doors import tell_end, watch
from flows.service.live import LiveBoard
from flows.service.observing import Observed
from flows.service.problems import add_problems
from flows.service.state import Service
from lake.receiving.spool import stopping

health = APIRouter()


def build_app(service: Service, guard: Guard) -> FastAPI:
    """Gives the app; what is posted is on disk, and the spool's segments are handed over, when it is shut down."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch(service.doors))
        watching.add_done_callback(tell_end)
        yield
        watching.cancel()
        service.spool.close()

    app = FastAPI(
        title=f"{service.project.root.name}: ingestion",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.service, app.state.guard = service, guard
    app.state.live = LiveBoard(service.doors, service.settings, guard.clock)
    app.add_middleware(Observed, guard=guard, metrics=guard.metrics)
    add_problems(app)
    app.include_router(health)
    app.include_router(pages.router)
    for name, part in {"receipts": receipts, "files": files, "records": records}.items():
        app.include_router(part.router, prefix="/v1", dependencies=[Depends(admit)], tags=[name])
    return app


@health.api_route("/healthz", methods=["GET", "HEAD"], tags=["health"])
async def tell_health(request: Request) -> dict[str, str]:
    """Say that the service answers, and takes rows."""
    service: Service = request.app.state.service
    if not service.spool.is_taking:
        raise stopping()
    return {"status": "ok"}
