"""`POST /v1/{source}/files`: one file as multipart/form-data, written to disk as it comes, never whole in memory."""

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from flows.service.doors import Door
from flows.service.reading import arriving, key_of
from flows.service.records import REPEAT_HEADER
from flows.service.state import Service
from lake.errors import SourceError
from lake.receiving.incoming import IncomingFile
from lake.receiving.register import opened_register
from lake.receiving.spool import Kept
from lake.run import system_clock

MULTIPART = b"multipart/form-data"

router = APIRouter()


@router.post("/{source}/files", status_code=202)
async def post_file(source: str, request: Request) -> JSONResponse:
    """Take one file of any known format, as `multipart/form-data`; its name tells the format.

    202 when it is on disk. It lands as files do: whole, or refused with a reason that its receipt tells.
    """
    service: Service = request.app.state.service
    form = _Form(service, service.door(source), boundary_of(request))
    key = key_of(request)
    try:
        async for chunk in arriving(request, service.settings.body_seconds):
            await asyncio.to_thread(form.feed, chunk)
        file = form.whole()
        kept = await asyncio.to_thread(_finish, service, file, key)
    except BaseException:
        form.drop()
        raise
    return _answer(source, file, kept)


class _Form:
    """A form as it comes in, piece by piece: its one file goes to disk, its other fields nowhere."""

    def __init__(self, service: Service, door: Door, boundary: bytes) -> None:
        self._service, self._door = service, door
        self._file: IncomingFile | None = None
        self._name, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        self._is_in_file = self._is_over = False
        callbacks = {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # its own names of callbacks

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the body; raises SourceError for what is no form, or more than one file."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise _broken(str(error)) from error

    def whole(self) -> IncomingFile:
        """Gives the file; raises SourceError when the form ended too early, or had none."""
        if not self._is_over:
            raise _broken("it ends too early")
        if self._file is None:
            raise _broken("it holds no file")
        return self._file

    def drop(self) -> None:
        """Forgets what was received."""
        if self._file is not None:
            self._file.drop()

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _begin_part(self) -> None:
        name = _file_name(self._headers)
        self._is_in_file = name is not None
        if name is None:
            return
        if self._file is not None:
            raise _broken("it holds more than one file")
        folder, limit = self._service.spool.folder, self._door.most_file_bytes
        self._file = IncomingFile(folder, self._door.contract.source, name, limit, system_clock)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_in_file and self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        self._is_over = True


def boundary_of(request: Request) -> bytes:
    """Gives what parts a form's fields; raises SourceError when the body is no form."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != MULTIPART or not options.get(b"boundary"):
        raise SourceError(
            "media-type-unfit",
            f"The body is of type '{kind.decode(errors='replace')}', and files come as 'multipart/form-data'.",
            cure="Send it as `curl -F file=@rows.csv` does.",
        )
    return options[b"boundary"]


def _file_name(headers: Mapping[bytes, bytes]) -> str | None:
    _, options = parse_options_header(headers.get(b"content-disposition", b""))
    name = options.get(b"filename")
    return None if name is None else name.decode("utf-8", errors="replace")


def _finish(service: Service, file: IncomingFile, key: str) -> Kept:
    with opened_register(service.spool.folder, is_durable=True) as register:
        return file.finish(register, key)


def _answer(source: str, file: IncomingFile, kept: Kept) -> JSONResponse:
    place = f"/v1/receipts/{kept.receipt}"
    told = {"receipt": kept.receipt, "href": place, "source": source, "name": file.name, "byte_count": file.size}
    headers = {"Location": place} | ({REPEAT_HEADER: "true"} if kept.is_repeat else {})
    return JSONResponse(told, 202, headers=headers)


def _broken(why: str) -> SourceError:
    return SourceError(
        "form-unfit",
        f"The form cannot be taken: {why}. Nothing of it was kept.",
        cure="Send one file, whole, as `curl -F file=@rows.csv` does.",
    )
