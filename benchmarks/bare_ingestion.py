"""The least an ingestion endpoint can do: FastAPI parses the body and answers 202. Nothing is checked, nothing is kept.

python benchmarks/bare_ingestion.py PORT
"""

import sys

import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/v1/{source}", status_code=202)
async def take(source: str, request: Request) -> dict[str, object]:
    """Parse the rows and forget them."""
    return {"source": source, "row_count": len(await request.json())}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, log_level="warning")
