"""Telling somebody's Ctrl-C from a failure: DuckDB raises its own error for one that comes in the middle of a query."""


def is_interrupt(error: BaseException) -> bool:
    """Says whether an error is an interruption, or was raised because of one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
