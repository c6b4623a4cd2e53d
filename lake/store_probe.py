"""Whether an object store can carry a lake: it must refuse to write an object where there is one."""

from lake.errors import SettingsError
from lake.objects import Objects, is_object_uri
from lake.table_versions import Store

MARKER = "_conditional_writes"
WORDS = b"With every run Sluice tries to create this object anew. A store that lets it would let two runs lose data.\n"
ANSWER_SECONDS = 5.0  # the object is of a hundred bytes; with its retries a dead store is known within twice that


def expect_conditional(store: Store) -> None:
    """Raises SettingsError when the store lets a key be created twice, TableError when it does not answer.

    Delta commits by creating the next log entry: where two writers may both create it, the second undoes the first.
    The object stays, so that this costs one request of every run but the first.
    """
    if not is_object_uri(store.uri):
        return
    objects = Objects(store.uri, store.options, answer_seconds=ANSWER_SECONDS)
    if objects.create(MARKER, WORDS) and objects.create(MARKER, WORDS):
        raise SettingsError(
            "store-unconditional",
            f"The object store of {store.uri} writes over objects that it was told to leave alone.",
            cure="Use a store that knows conditional writes (If-None-Match): here two runs at once would lose data.",
        )
