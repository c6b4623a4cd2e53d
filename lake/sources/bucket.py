"""The source `s3`: objects of a bucket, one brought at a time into a local file.

An object is known by its tag: one that landed and still has its tag is not read again. Its bytes are those of one
version, whatever is written meanwhile.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from lake.compression import compression_of
from lake.contract import Server
from lake.disk import room_to_write
from lake.errors import SourceError, TableError
from lake.objects import Objects, ObjectState
from lake.secrets import Secrets
from lake.sources.archives import is_archive, member_deliveries
from lake.sources.delivery import Delivery
from lake.sources.naming import format_of
from lake.sources.visit import Visit

MAGIC = re.compile(r"[*?\[]")
ANY_REGION = "us-east-1"  # what stores that know no regions expect to be called
PAUSES_SECONDS = (1.0, 5.0, 15.0)  # before each further try to bring an object; the library has tried for a while, too
OBJECT = "object"  # the kind of a batch that is one object


@dataclass(frozen=True)
class Bucket:
    """The part of a bucket that a server's location means: all below `root` that `pattern` (None: everything) fits."""

    root: str
    pattern: str | None
    objects: Objects

    def find(self) -> list[ObjectState]:
        """Gives the objects meant, in the order of their keys; hidden ones are none, nor are marks of folders."""
        found = [each for each in self.objects.list() if not _is_hidden(each.key)]
        return sorted((each for each in found if self._fits(each.key)), key=lambda each: each.key)

    def origin(self, key: str) -> str:
        """Gives the full name of an object."""
        return f"{self.root.rstrip('/')}/{key}"

    def _fits(self, key: str) -> bool:
        return self._expression is None or self._expression.fullmatch(key) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str] | None:
        return None if self.pattern is None else glob_expression(self.pattern)


def object_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the objects of a contract in the order of their keys, but for those decided on and untouched since.

    Raises SourceError when the bucket cannot be read, or lacks the object that the contract names outright.
    """
    bucket = open_bucket(visit.contract.server, visit.secrets)
    with bucket_faults(visit):
        found = bucket.find()
    if not found and bucket.pattern is not None and not MAGIC.search(bucket.pattern):
        raise SourceError(
            "source-missing",
            f"The source {visit.contract.source!r} names {visit.contract.server.path!r}, and there is no such object.",
            cure="Deliver it, or mend `servers[].location` in the contract.",
            path=visit.contract.path,
        )
    for each in found:
        if not visit.has_decided(bucket.origin(each.key), each.tag):
            with brought(visit, bucket, each.key) as whole:
                if whole is not None:
                    watched = replace(whole, look=partial(_tag, visit, bucket, each.key))
                    yield from member_deliveries(visit, watched) if is_archive(Path(each.key)) else [watched]


def _tag(visit: Visit, bucket: Bucket, key: str) -> str | None:
    with bucket_faults(visit):
        return bucket.objects.tag(key)


def open_bucket(server: Server, secrets: Secrets) -> Bucket:
    """Gives the bucket of a server; its credentials are secrets, by the names that the server gives them."""
    scheme, _, rest = server.path.partition("://")
    bucket, _, key = rest.partition("/")
    wild = MAGIC.search(key)
    if wild is not None:
        cut = key.rfind("/", 0, wild.start()) + 1
    else:
        cut = key.rfind("/") + 1 if PurePosixPath(key).suffix else len(key)
    root = f"{scheme}://{bucket}/{key[:cut]}".rstrip("/")
    return Bucket(root, key[cut:] or None, Objects(root, _options(scheme, server.options, secrets)))


@contextmanager
def brought(visit: Visit, bucket: Bucket, key: str) -> Iterator[Delivery | None]:
    """Brings an object into a file that is there for the block, and gives it as a delivery; None when it is gone."""
    target = visit.scratch / PurePosixPath(key).name
    try:
        with bucket_faults(visit), room_to_write(visit.scratch):
            tag = _download(visit, bucket.objects, key, target)
        if tag is None:
            visit.run.note("object-gone", visit.contract.source, origin=bucket.origin(key))
            yield None
            return
        form = format_of(Path(key)) or visit.contract.server.format
        yield Delivery(bucket.origin(key), target, form, compression_of(Path(key)), kind=OBJECT, state=tag)
    finally:
        target.unlink(missing_ok=True)


def _download(visit: Visit, objects: Objects, key: str, target: Path) -> str | None:
    """Gives the tag of what was brought, after several tries if need be; None when there is no such object."""
    for pause in (*PAUSES_SECONDS, None):
        try:
            tag = objects.download(key, target)
        except FileNotFoundError:
            return None
        except TableError as error:
            if pause is None or error.code != "store-unreachable":
                raise
            tag = None
        if tag is not None:
            return tag
        visit.run.note("object-tried-again", visit.contract.source, origin=key)
        visit.pause(pause or 0)
    raise SourceError(
        "object-changing",
        f"The object {key!r} was replaced each time while it was being read.",
        cure="Write each delivery under a key of its own; the next run tries again.",
    )


@contextmanager
def bucket_faults(visit: Visit) -> Iterator[None]:
    """Turns what an object store says into an error of the source, without any secret."""
    try:
        yield
    except TableError as error:
        raise SourceError(
            "bucket-unreadable",
            f"The source {visit.contract.source!r} cannot be read: {visit.secrets.redact(error.message)}",
            cure=error.cure,
            path=visit.contract.path,
        ) from error


def glob_expression(pattern: str) -> re.Pattern[str]:
    """Gives a pattern as local ones are meant: `*` stops at a slash, `**/` is any number of folders."""
    parts = []
    for part in pattern.split("/"):
        if part == "**":
            parts.append("(?:[^/]+/)*")
            continue
        inner = fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z")
        parts.append(inner.replace(".*", "[^/]*") + "/")
    whole = "".join(parts)
    return re.compile(whole.removesuffix("/") if not pattern.endswith("**") else whole + "[^/]+", re.DOTALL)


def _options(scheme: str, options: Mapping[str, str], secrets: Secrets) -> dict[str, str]:
    """Gives a store's options in the spelling of delta-rs. Nothing is looked for anywhere but by its name."""
    is_open = options.get("credentials") == "none"
    if scheme == "gs":
        given = {"google_skip_signature": "true"} if is_open else {}
        name = options.get("accountKeySecret", "GOOGLE_APPLICATION_CREDENTIALS")
        return given or {"google_application_credentials": secrets.reveal(name)}
    if scheme == "az":
        account = {"azure_storage_account_name": options.get("account", "")}
        name = options.get("accountKeySecret", "AZURE_STORAGE_ACCOUNT_KEY")
        signed = {"azure_skip_signature": "true"} if is_open else {"azure_storage_account_key": secrets.reveal(name)}
        return account | signed
    told = {"aws_region": options.get("region") or ANY_REGION}
    endpoint = options.get("endpointUrl")
    if endpoint:
        told |= {"aws_endpoint": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
    if is_open:
        return told | {"aws_skip_signature": "true"}
    told["aws_access_key_id"] = secrets.reveal(options.get("accessKeyIdSecret", "AWS_ACCESS_KEY_ID"))
    told["aws_secret_access_key"] = secrets.reveal(options.get("secretAccessKeySecret", "AWS_SECRET_ACCESS_KEY"))
    token = options.get("sessionTokenSecret")
    if token or secrets.lookup("AWS_SESSION_TOKEN"):
        told["aws_session_token"] = secrets.reveal(token or "AWS_SESSION_TOKEN")
    return told


def _is_hidden(key: str) -> bool:
    return key.endswith("/") or any(part.startswith(".") for part in PurePosixPath(key).parts)
