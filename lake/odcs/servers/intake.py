"""What servers that take uploads say: whether they do, and how long a file must rest before it is complete."""

from collections.abc import Mapping

from lake.odcs.document import Part, did_you_mean

INTAKE_OPTIONS = ("intake", "settleSeconds")
INTAKES = ("files", "uploads")


def check_intake(options: Mapping[str, str], found: Mapping[str, Part]) -> None:
    """Raises ContractError when an intake is unknown, or its pause no number of seconds."""
    intake = options.get("intake", "files")
    if intake not in INTAKES:
        message = f"Custom property 'intake' is '{intake}'."
        raise found["intake"].fault("server-unfit", message, did_you_mean(intake, INTAKES))
    seconds = options.get("settleSeconds", "0")
    if not seconds.replace(".", "", 1).isdecimal():
        message = f"Custom property 'settleSeconds' is '{seconds}', which is no number of seconds."
        raise found["settleSeconds"].fault("server-unfit", message, "Write e.g. 2 or 0.5.")
