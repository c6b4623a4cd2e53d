"""Archives (zip, tar and compressed tar): each member that is a known format is a delivery of its own.

What is kept are the bytes received, the archive, once. An archive is read through before its first member is landed:
one that is damaged, locked or unpacks to more than is allowed is refused whole. Members are unpacked one at a time,
into the scratch folder of the visit, under names of ours: no name in an archive can reach anything.
"""

import hashlib
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from lake.archive import file_state, receive
from lake.compression import COMPRESSIONS, UNREADABLE, Compression, compression_of, open_plain
from lake.disk import is_no_room, room_to_write
from lake.errors import SourceError
from lake.sources.delivery import BATCH_ID_DIGITS, Delivery
from lake.sources.naming import format_of
from lake.sources.visit import Visit

MEMBER = "member"  # the kind of a batch that is one file of an archive
MARK = "!"
SHORT_TARS: Mapping[str, Compression] = {".tgz": "gzip", ".tbz2": "bzip2", ".txz": "xz", ".tzst": "zstd"}
MOST_UNPACKED_BYTES = 8 << 30  # of one archive, unless the contract's server says otherwise by `mostUnpackedBytes`
MOST_MEMBERS = 10_000  # each is a batch, and each batch is a commit
CHUNK_BYTES = 1 << 20
TAR_BLOCK_BYTES = 512
LOCKED = 0x1  # the flag of a zip's member that has a password
BROKEN = (*UNREADABLE, zipfile.BadZipFile, tarfile.TarError, NotImplementedError, UnicodeDecodeError)


@dataclass(frozen=True)
class Member:
    """One file of an archive: its name there and its size in bytes, unpacked."""

    name: str
    byte_count: int

    @property
    def is_hidden(self) -> bool:
        """Whether a file system or a Mac put it there, not a person."""
        parts = PurePosixPath(self.name).parts
        return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)


def is_archive(path: Path) -> bool:
    """Says whether a file is an archive, by its name."""
    return path.suffix.lower() == ".zip" or _tar_compression(path) is not None


def member_deliveries(visit: Visit, whole: Delivery, *, again: bool = False) -> Iterator[Delivery]:
    """Gives the members of an archive, or the archive itself with the fault it has.

    Nothing is given when all of them were decided on and are untouched since, unless that is asked for `again`.
    """
    state = whole.state or file_state(whole.path)
    if not again and visit.has_decided(whole.origin, state):
        return
    try:
        known = [member for member in _list(visit, whole) if not member.is_hidden]
        wanted = [member for member in known if _format(member)]
        if not again and wanted and all(visit.has_decided(_origin(whole, member), state) for member in wanted):
            return
        whole = replace(whole, receipt=receive(whole))
        _check(visit, whole, known)
    except SourceError as fault:
        yield replace(whole, receipt=receive(whole), format="archive", fault=fault)
        return
    for member in known:
        if not _format(member):
            details = {"archive": whole.origin, "member": member.name, "reason": "of no known format"}
            visit.run.note("member-skipped", visit.contract.source, **details)
    for member, inside in _unpacked(whole, wanted, visit.scratch):
        yield _delivery(whole, member, inside)
        inside.unlink(missing_ok=True)


def recall_member(origin: str, archive: Path, scratch: Path) -> Delivery:
    """Gives one member of an archive again, by the origin it was landed under."""
    container, name = split_origin(origin)
    whole = Delivery(container, archive, "archive", kind=MEMBER)
    whole = replace(whole, receipt=receive(whole))
    for member, inside in _unpacked(whole, [Member(name, 0)], scratch):
        return replace(_delivery(whole, member, inside), kind=MEMBER)
    raise _fault(whole, f"it holds no {name!r}")


def split_origin(origin: str) -> tuple[str, str]:
    """Gives the archive and the member of an origin such as `drop/x.zip!a.csv`; a name may hold the mark, too."""
    place = origin.find(MARK)
    while place != -1 and not is_archive(Path(origin[:place])):
        place = origin.find(MARK, place + 1)
    return (origin, "") if place == -1 else (origin[:place], origin[place + 1 :])


def _delivery(whole: Delivery, member: Member, inside: Path) -> Delivery:
    receipt = receive(whole)
    return replace(
        whole,
        origin=_origin(whole, member),
        kind=MEMBER,
        format=_format(member),
        compression=compression_of(Path(member.name)),
        batch_id=member_id(receipt.digest, member.name),
        receipt=replace(receipt, byte_count=inside.stat().st_size),
        inside=inside,
    )


def member_id(digest: str, name: str) -> str:
    """Gives the batch id of a member: made of the archive's digest and its name."""
    return hashlib.sha256(f"{digest}\0{name}".encode()).hexdigest()[:BATCH_ID_DIGITS]


def _origin(whole: Delivery, member: Member) -> str:
    return f"{whole.origin}{MARK}{member.name}"


def _format(member: Member) -> str:
    return format_of(Path(member.name)) or ""


def _list(visit: Visit, whole: Delivery) -> list[Member]:
    """Gives the files of an archive; of a tar that means reading it through."""
    with _translated(whole):
        if _tar_compression(whole.path) is not None:
            return [member for member, _ in _tar_members(whole.path, _limit(visit))]
        with zipfile.ZipFile(whole.path) as opened:
            files = [info for info in opened.infolist() if not info.is_dir()]
    if any(info.flag_bits & LOCKED for info in files):
        raise SourceError(
            "archive-encrypted",
            f"{whole.origin} is protected by a password.",
            cure="Deliver it without one; to protect it on its way, encrypt the way.",
        )
    return [Member(info.filename, info.file_size) for info in files]


def _check(visit: Visit, whole: Delivery, members: list[Member]) -> None:
    """Raises SourceError when an archive is damaged, too large, ambiguous, or holds nothing that can be read."""
    names = [member.name for member in members]
    if len(names) > MOST_MEMBERS:
        raise _too_large(whole.origin, f"{len(names):,} files", f"{MOST_MEMBERS:,} files")
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise _fault(whole, f"it holds {name!r} {count} times")
    if not any(_format(member) for member in members):
        raise SourceError(
            "archive-without-data",
            f"{whole.origin} holds no file of a known format: {', '.join(names[:5]) or 'it is empty'}.",
            cure="Deliver csv, tsv, json, jsonl, parquet or xlsx in it.",
        )
    if _tar_compression(whole.path) is None:
        with _translated(whole):
            _read_zip(whole, _limit(visit))


def _read_zip(whole: Delivery, limit: int) -> None:
    """Reads every member of a zip through: its sums must be right, and it must not unpack to more than the limit."""
    total = 0
    with zipfile.ZipFile(whole.path) as opened:
        for info in opened.infolist():
            with opened.open(info) as file:
                while chunk := file.read(CHUNK_BYTES):
                    total += len(chunk)
                    if total > limit:
                        raise _too_large(whole.origin, f"more than {limit:,} bytes", f"{limit:,} bytes")


def _unpacked(whole: Delivery, wanted: list[Member], scratch: Path) -> Iterator[tuple[Member, Path]]:
    """Gives the wanted members one after the other, each as a file that is there until the next is asked for."""
    names = {member.name for member in wanted}
    with _translated(whole):
        if _tar_compression(whole.path) is not None:
            for member, file in _tar_members(whole.path, None):
                if member.name in names:
                    yield member, _written(whole, member, file, scratch)
            return
        with zipfile.ZipFile(whole.path) as opened:
            for member in wanted:
                try:
                    file = opened.open(member.name)
                except KeyError:
                    continue
                with file:
                    yield member, _written(whole, member, file, scratch)


def _written(whole: Delivery, member: Member, file: IO[bytes], scratch: Path) -> Path:
    """Writes a member into a file of ours that keeps nothing of its name but the ending."""
    ending = "".join(Path(member.name).suffixes[-2:]).replace("/", "")[-20:]
    target = scratch / f"{member_id(receive(whole).digest, member.name)}{ending}"
    with room_to_write(scratch), target.open("wb") as out:
        shutil.copyfileobj(file, out, CHUNK_BYTES)
    return target


def _tar_members(path: Path, limit: int | None) -> Iterator[tuple[Member, IO[bytes]]]:
    """Gives the files of a tar in one pass; raises one of BROKEN when it does not end as a tar does."""
    with closing(_Counted(open_plain(path, _tar_compression(path) or "none"), path.name, limit)) as stream:
        with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|") as opened:
            for info in opened:
                file = opened.extractfile(info) if info.isfile() else None
                if file is not None:
                    yield Member(info.name.removeprefix("./"), info.size), file
        stream.drain()


class _Counted:
    """A stream that counts what it gives, stops at a limit, and knows whether it ended as a tar ends, with zeros."""

    def __init__(self, stream: BinaryIO, name: str, limit: int | None) -> None:
        self._stream, self._name, self._limit = stream, name, limit
        self._count, self._tail = 0, b""

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self._count += len(chunk)
        self._tail = (self._tail + chunk)[-TAR_BLOCK_BYTES:]
        if self._limit is not None and self._count > self._limit:
            raise _too_large(self._name, f"more than {self._limit:,} bytes", f"{self._limit:,} bytes")
        return chunk

    def drain(self) -> None:
        while self.read(CHUNK_BYTES):
            continue
        if self._tail.strip(b"\0") or len(self._tail) < TAR_BLOCK_BYTES:
            raise tarfile.ReadError("it was cut short")

    def close(self) -> None:
        self._stream.close()


def _tar_compression(path: Path) -> Compression | None:
    """Gives how a tar is compressed, by its name; None when it is no tar."""
    suffix = path.suffix.lower()
    if suffix == ".tar" or suffix in SHORT_TARS:
        return SHORT_TARS.get(suffix, "none")
    return compression_of(path) if suffix in COMPRESSIONS and path.with_suffix("").suffix.lower() == ".tar" else None


def _limit(visit: Visit) -> int:
    return int(visit.contract.server.options.get("mostUnpackedBytes", MOST_UNPACKED_BYTES))


@contextmanager
def _translated(whole: Delivery) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        if is_no_room(error):
            raise
        raise _fault(whole, str(error) or type(error).__name__) from error


def _fault(whole: Delivery, why: str) -> SourceError:
    return SourceError(
        "archive-damaged",
        f"{whole.origin} cannot be unpacked: {why}.",
        cure="Nothing of it was landed. Pack it anew and deliver it whole again.",
    )


def _too_large(origin: str, found: str, limit: str) -> SourceError:
    return SourceError(
        "archive-too-large",
        f"{origin} unpacks to {found}; the limit is {limit}.",
        cure="Deliver it in parts, or raise `mostUnpackedBytes` of the contract's server.",
    )
