"""The app of the ingestion service: its routes, its problems, its health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI

from flows.service import files, receipts, records
from flows.service.admission import admit
from flows.service.problems import add_problems
from flows.service.state import Service

health = APIRouter()


def build_app(service: Service) -> FastAPI:
    """Gives the app; what is posted is on disk, and the spool's segments are handed over, when it is shut down."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        service.spool.close()

    app = FastAPI(title=f"{service.project.root.name}: ingestion", lifespan=lifespan)
    app.state.service = service
    add_problems(app)
    app.include_router(health)
    for name, part in {"receipts": receipts, "files": files, "records": records}.items():
        app.include_router(part.router, prefix="/v1", dependencies=[Depends(admit)], tags=[name])
    return app


@health.get("/healthz", tags=["health"])
async def tell_health() -> dict[str, str]:
    """Say that the service answers."""
    return {"status": "ok"}
