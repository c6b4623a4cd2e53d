"""A server of type `local`: a file, a folder or a pattern below the project."""

from lake.contract import Server
from lake.odcs.document import Part, check_keys
from lake.odcs.servers.intake import INTAKE_OPTIONS, check_intake
from lake.odcs.servers.payload import PAYLOAD_OPTIONS, read_encoding, read_format, read_options

LOCAL_KEYS = (
    *("server", "type", "path", "format", "encoding"),
    *("id", "description", "environment", "roles", "customProperties"),
)


def read_local(server: Part) -> Server:
    """Reads a server of type `local`; raises ContractError for what is unknown, missing or cannot be read."""
    options, found = read_options(server, (*PAYLOAD_OPTIONS, *INTAKE_OPTIONS))
    check_intake(options, found)
    check_keys(server, LOCAL_KEYS, "a server of type 'local'")
    if not server.text("path"):
        raise server.fault("server-unfit", "Key 'path' is empty.", "Write a path below the project folder.", "path")
    return Server("local", server.text("path"), read_format(server), {**options, **read_encoding(server)})
