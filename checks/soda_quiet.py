"""Stand-ins for the modules of Soda that reach outside, registered by name before Soda is imported.

Soda's own `soda.telemetry.soda_telemetry` sends usage statistics, installs a tracer for the whole process and writes a
settings file into the home folder; its `soda.common.env_helper` loads the nearest `.env` over the process's environment
and needs distutils, which Python 3.12 no longer has; `soda.cloud` and `soda.sampler.http_sampler` talk to servers that
no gate of ours has. Without them, importing Soda takes half the time.
"""

import logging
import math
import sys
from typing import Self

OUTSIDE = (
    *("soda.telemetry.soda_telemetry", "soda.common.env_helper"),
    *("soda.cloud.cloud", "soda.cloud.soda_cloud", "soda.sampler.http_sampler"),
)


class SodaTelemetry:
    """Telemetry that tells nobody anything."""

    @classmethod
    def get_instance(cls) -> Self:
        return cls()

    def set_attribute(self, key: str, value: object) -> None:
        """Does nothing."""

    def set_attributes(self, values: dict[str, object]) -> None:
        """Does nothing."""

    def obtain_datasource_hash(self, data_source: object) -> str:  # noqa: ARG002  # Soda's signature
        return ""


class EnvHelper:
    """Soda's feature switches at their defaults, whatever the environment says."""

    ff_profiling_profiling_observability = False
    ff_chunked_scan_ingestion = False
    ff_jinja_resolve_custom_identity = False
    query_cursor_hard_limit: int | None = None

    def __init__(self, logs: object) -> None:
        """Takes Soda's log, and has nothing to write into it."""


class Cloud:
    """Soda Cloud, which is never reached; its checks ask how long a sample may be there."""

    CSV_TEXT_MAX_LENGTH = math.inf


SodaCloud = HTTPSampler = Cloud


def keep_quiet() -> None:
    """Makes Soda import these stand-ins; its own log lines are dropped, since they may quote values."""
    if "soda.scan" not in sys.modules:
        sys.modules |= dict.fromkeys(OUTSIDE, sys.modules[__name__])
    logging.getLogger("soda").setLevel(logging.CRITICAL + 1)
