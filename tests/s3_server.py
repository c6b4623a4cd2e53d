"""An S3 server alone, as `python -m tests.s3_server PORT`: moto's, without what it asks before each request is S3's.

`moto_server` looks through the folders of all services at every request, a quarter of what a request costs.
"""

import sys

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


class Handler(MotoRequestHandler):
    """Takes requests and writes no line about them."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), create_backend_app("s3"), threaded=True, request_handler=Handler)
