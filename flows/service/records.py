"""`POST /v1/{source}`: rows are kept on disk, then answered."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from flows.service.problems import problem
from flows.service.reading import make_post, read_body
from flows.service.state import Service
from lake.receiving.spool import Kept, Post
from lake.receiving.verdicts import Verdicts

LARGE_BYTES = 256 << 10  # from here on a body is taken apart beside the loop, so that others are not kept waiting
MOST_TOLD = 100  # rejected rows that an answer names
REPEAT_HEADER = "Idempotent-Replayed"

router = APIRouter()


@router.post("/{source}", status_code=202)
async def post_records(source: str, request: Request) -> JSONResponse:
    """Take one record, an array of records, or a record a line.

    202 when the rows are on disk: a crash loses none of them. Rows that break the contract are kept as well, and named.
    """
    service: Service = request.app.state.service
    door = service.door(source)
    with service.room.holding() as take_room:
        body = await read_body(request, door, service.settings.body_seconds, take_room)
        is_packed = "content-encoding" in request.headers
        take_room(door.most_bytes if is_packed else 0)
        taken_apart = partial(make_post, door, request, body)
        if is_packed or len(body) >= LARGE_BYTES:
            async with service.parting:  # the values of a body take twenty times its size while their ends are found
                post = await asyncio.to_thread(taken_apart)
        else:
            post = taken_apart()
        keeping = asyncio.wrap_future(service.spool.keep(post))  # whatever the verdicts will be
        verdicts, kept = await asyncio.gather(door.judge.verdicts_on(post.lines), keeping)
    if not kept.is_repeat:
        request.app.state.live.note(source, kept.receipt, verdicts)
    request.state.rows = _counts(post, verdicts)
    return _answer(post, kept, verdicts)


def _counts(post: Post, verdicts: Verdicts) -> dict[str, int]:
    good, unjudged = verdicts.good_count, verdicts.unjudged_count
    return {"good": good, "bad": len(post.lines) - good - unjudged, "unjudged": unjudged}


def _answer(post: Post, kept: Kept, verdicts: Verdicts) -> JSONResponse:
    """Gives 202 with what is wrong with single rows; 422 when all are wrong, which are kept all the same."""
    place = f"/v1/receipts/{kept.receipt}"
    told = {
        "receipt": kept.receipt,
        "href": place,
        "source": post.source,
        "row_count": len(post.lines),
        "accepted_count": verdicts.good_count,
        "rejected_count": _counts(post, verdicts)["bad"],
        "rejected": [
            {
                "row": bad.row,
                "faults": [{"field": each.field, "code": each.code, "message": each.message} for each in bad.faults],
            }
            for bad in verdicts.bad[:MOST_TOLD]
        ],
    }
    if verdicts.unjudged_count:
        told["unjudged_count"] = verdicts.unjudged_count
    if verdicts.good_count or verdicts.unjudged_count:
        answer = JSONResponse(told, 202)
    else:
        answer = problem(
            422,
            "rows-rejected",
            "No row is as the contract promises. All are kept, and will be in quarantine.",
            "Mend the rows and send them again; or mend the contract and replay the quarantine.",
            **told,
        )
    answer.headers["Location"] = place
    if kept.is_repeat:
        answer.headers[REPEAT_HEADER] = "true"
    return answer
