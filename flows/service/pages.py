"""What operators look at: `/metrics`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from flows.service.admission import Guard, see
from lake.receiving.keys import Key

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def tell_metrics(request: Request, _viewer: Annotated[Key, Depends(see)]) -> Response:
    """Tell Prometheus what happened since the service was started, and what waits."""
    guard: Guard = request.app.state.guard
    return Response(guard.metrics.text(), media_type=CONTENT_TYPE_LATEST)
