"""Somebody at the edge who asks a worker all the time: `python -m tests.e2e.caller --url http://... --picture a.jpg`.

Prints one line an answer: its status, or the name of the exception.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import httpx

TIMEOUT_S = 30.0


def main() -> None:
    """Ask until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--picture", type=Path, required=True)
    chosen = parser.parse_args()
    picture = chosen.picture.read_bytes()
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        while True:
            try:
                answer = client.post(chosen.url, content=picture, headers={"Content-Type": "image/jpeg"})
                print(answer.status_code, flush=True)
            except httpx.HTTPError as error:
                print(type(error).__name__, flush=True)


if __name__ == "__main__":
    main()
