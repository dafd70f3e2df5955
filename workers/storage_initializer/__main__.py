"""`python -m workers.storage_initializer URL DIR [URL DIR ...]`: exit status 0, or 1 and one line why not."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sedna_py.errors import SednaError
from sedna_py.settings import redact
from workers.storage_initializer.fetch import Fetcher
from workers.storage_initializer.job import read_jobs
from workers.storage_initializer.settings import InitializerSettings

_MOST_CHARACTERS: Final = 1000


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Fetch what the arguments name; return the exit status."""
    settings = None
    try:
        settings = InitializerSettings.from_environment(environment)
        jobs = read_jobs(arguments, environment, settings.indirect_mark)
        fetcher = Fetcher.begin(settings, _say)
        for job in jobs:
            fetcher.fetch(job)
        return 0
    except SednaError as error:
        line = str(error)
    except KeyboardInterrupt:
        line = "ended by a signal before everything was fetched"
    except Exception as error:  # noqa: BLE001 - one line here as well: it is all that `kubectl describe` shows
        line = f"a defect of the storage initializer: {type(error).__name__}: {error}"
    _complain(line, settings.termination_log if settings else None)
    return 1


def _say(line: str) -> None:
    sys.stdout.write(_clean(line) + "\n")
    sys.stdout.flush()


def _complain(line: str, termination_log: str | None) -> None:
    sys.stderr.write(_clean(line) + "\n")
    # Kubernetes makes this file; what is in it comes before the last lines of the log, which progress would fill.
    if termination_log and Path(termination_log).exists():
        try:
            Path(termination_log).write_text(_clean(line), encoding="utf-8")
        except OSError as error:
            _say(f"{termination_log} cannot be written: {error.strerror}")


def _clean(line: str) -> str:
    return redact(" ".join(line.split()))[:_MOST_CHARACTERS]


if __name__ == "__main__":
    logging.basicConfig(handlers=[logging.NullHandler()])  # libraries shall not add to the one line
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the first process of a container would else not hear it
    sys.exit(run(sys.argv[1:], os.environ))
