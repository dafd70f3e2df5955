"""python -m tests.bench.recorded_runs [NAME ...]."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from tests.bench.recorded_runs.comparison import table
from tests.bench.recorded_runs.document import as_document
from tests.bench.recorded_runs.recorder import record
from tests.bench.recorded_runs.runs import FOLDER, RUNS


def main() -> None:
    """Record what is named, and write a file for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the files")
    parser.add_argument("--compare", action="store_true", help="record nothing; print recordings beside simulations")
    chosen = parser.parse_args()
    if chosen.compare:
        print("\n".join(table()))
        return
    for number in (signal.SIGTERM, signal.SIGINT):  # which is ignored by what a script starts in the background
        signal.signal(number, leave)
    for name in chosen.names or RUNS:
        with tempfile.TemporaryDirectory(prefix="recorded-run-") as folder:
            recording = asyncio.run(record(RUNS[name], Path(folder), say))
            document = as_document(name, RUNS[name], recording)
        file = next(file for n in itertools.count(1) if not (file := chosen.into / f"{name}_{n}.json").exists())
        text = json.dumps(document)
        file.write_text(text + "\n", encoding="utf-8")
        # Too large to keep, and worth a look.
        details = recording.log or "".join(json.dumps(request._asdict()) + "\n" for request in recording.requests)
        (Path(tempfile.gettempdir()) / f"{file.stem}.jsonl").write_text(details, encoding="utf-8")
        print(f"{name}: {text}", flush=True)


def leave(number: int, _: object) -> NoReturn:
    """End, and all workers with it: a second signal would end the loop that ends them."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def say(who: str, line: str) -> None:
    """Tell what a worker says."""
    print(f"{who}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
