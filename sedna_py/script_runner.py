"""Run a worker script that was written for upstream's library, unmodified: `python -m sedna_py.script_runner infer.py`."""

from __future__ import annotations

import runpy
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from sedna_py.compat import install
from sedna_py.context import Context
from sedna_py.errors import SednaError
from sedna_py.log import configure_logging

_USAGE = "write: python -m sedna_py.script_runner <script.py> [arguments]"


def run_script(path: str | Path, args: Sequence[str] = ()) -> None:
    """Run the script as `python <path> <args>` would, with `sedna` being ours.

    Its SystemExit and every other exception pass. Raises SednaError where there is no such file.
    """
    script = Path(path)
    if not script.is_file():
        what = "is a folder" if script.is_dir() else "does not exist"
        raise SednaError(f"{str(path)!r} {what}; write the path of a Python script, such as infer.py")
    install()
    with _as_program(script, args):
        runpy.run_path(str(script), run_name="__main__")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script that the command line names; what it does wrong towards us ends it with one line and status 1."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        sys.exit(f"no script; {_USAGE}")
    # The first process of a container ignores SIGTERM unless it handles it: its pod would take 30 s to go.
    signal.signal(signal.SIGTERM, _leave)
    try:
        configure_logging(
            level=Context.get_parameters("LOG_LEVEL", "INFO"),
            worker=Context.get_parameters("WORKER_NAME", Path(arguments[0]).stem),
            as_json=Context.get_parameters("LOG_FORMAT") == "json",
        )
        run_script(arguments[0], arguments[1:])
    except SednaError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


@contextmanager
def _as_program(script: Path, args: Sequence[str]) -> Iterator[None]:
    argv, path = sys.argv, sys.path
    sys.argv = [str(script), *args]
    # As for `python script.py`: the script's folder takes the place of ours.
    sys.path = [str(script.resolve().parent), *path[1:]]
    try:
        yield
    finally:
        sys.argv, sys.path = argv, path


if __name__ == "__main__":
    main()
