"""What is done around every request: counting it, and the headers every answer has."""

import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.service.admission import Guard
from flows.service.metrics import ServiceMetrics

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Observed:
    """An app whose requests are counted, and whose answers say what their key may still send.

    A route that has taken rows says how many, by verdict, in `request.state.rows`.
    """

    def __init__(self, app: ASGIApp, guard: Guard, metrics: ServiceMetrics) -> None:
        self.app, self.guard, self.metrics = app, guard, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, byte_count = time.perf_counter(), 500, 0
        state = scope.setdefault("state", {})

        async def count() -> Message:
            nonlocal byte_count
            message = await receive()
            byte_count += len(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers(state.get("sender")).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, count, tell)
        finally:
            source = scope.get("path_params", {}).get("source", "")
            self.metrics.tell_request(source, status, time.perf_counter() - began, byte_count)
            if "rows" in state:
                self.metrics.tell_rows(source, state["rows"])
                self.guard.limits.take_rows(state["sender"], sum(state["rows"].values()))

    def _headers(self, sender: str | None) -> dict[str, str]:
        return HEADERS if sender is None else HEADERS | self.guard.limits.headers(sender)
