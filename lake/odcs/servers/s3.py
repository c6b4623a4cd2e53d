"""A server of type `s3`: objects below a prefix of a bucket, by pattern. So are `gs://` and, as type `azure`, `az://`."""

import re
from collections.abc import Mapping

from lake.contract import Server
from lake.odcs.document import Part, check_keys, did_you_mean
from lake.odcs.servers.intake import check_intake
from lake.odcs.servers.payload import PAYLOAD_OPTIONS, read_encoding, read_format, read_options

S3_KEYS = (
    *("server", "type", "location", "endpointUrl", "format", "encoding", "delimiter"),
    *("id", "description", "environment", "roles", "customProperties"),
)
S3_OPTIONS = (
    *("intake", "region", "credentials", "account"),
    *("accessKeyIdSecret", "secretAccessKeySecret", "sessionTokenSecret", "accountKeySecret"),
)
PLACE = re.compile(r"(s3|gs|az)://[^/*?\[\s]+(/.*)?")
JSON_BY_DELIMITER: Mapping[str, str] = {"new_line": "jsonl", "array": "json"}
CREDENTIALS = ("secrets", "none")


def read_s3(server: Part) -> Server:
    """Reads a server in an object store; raises ContractError for what is unknown, missing or cannot be read."""
    options, found = read_options(server, (*PAYLOAD_OPTIONS, *S3_OPTIONS), odcs_keys=("delimiter",))
    check_intake(options, found)
    check_keys(server, S3_KEYS, "a server of type 's3'")
    location, endpoint = server.text("location"), server.text("endpointUrl")
    if PLACE.fullmatch(location) is None:
        message = f"Key 'location' is '{location}', which is no place in an object store."
        raise server.fault("server-unfit", message, "Write it as s3://bucket/prefix/*.csv.", "location")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        message = f"Key 'endpointUrl' is '{endpoint}'."
        raise server.fault("server-unfit", message, "Write it as https://minio.example.com.", "endpointUrl")
    if options.get("credentials", "secrets") not in CREDENTIALS:
        message = f"Custom property 'credentials' is '{options['credentials']}'."
        raise found["credentials"].fault("server-unfit", message, did_you_mean(options["credentials"], CREDENTIALS))
    form, more = _delimited(server, read_format(server))
    options |= {"endpointUrl": endpoint} if endpoint else {}
    return Server("s3", location, form, {**options, **more, **read_encoding(server)})


def _delimited(server: Part, form: str) -> tuple[str, Mapping[str, str]]:
    """Applies the standard's key `delimiter`: how JSON documents stand in a file; here also what parts CSV fields."""
    written = server.text("delimiter")
    if not written:
        return form, {}
    if form in ("json", "jsonl") and written in JSON_BY_DELIMITER:
        return JSON_BY_DELIMITER[written], {}
    if form in ("csv", "tsv") and len(written) == 1:
        return form, {"delimiter": written}
    message = f"Key 'delimiter' is '{written}', which means nothing for format '{form}'."
    raise server.fault("server-unfit", message, "Write new_line or array for json, one character for csv.", "delimiter")
