"""`make demo`: fetch the models and clips, then `sedna compare` on the walk clip or on your own source."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from assets import default_cache, prepare

from sedna_py.errors import SednaError

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Return the exit status of the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", help="a video file, a camera's number, or an rtsp:// address; default: the walk clip"
    )
    parser.add_argument("--frames", type=int, default=600, help="at most this many frames; 0 means all (default: 600)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the report and the decision logs")
    chosen = parser.parse_args()
    try:
        assets = prepare(default_cache(os.environ), lambda line: print(line, flush=True))
    except SednaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "sedna_py.cli", "compare", str(HERE / "service.yaml")]
    command += ["--host-root", str(assets.host_root), "--out", str(chosen.out), "--frames", str(chosen.frames)]
    command += ["--source", chosen.source] if chosen.source else []
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
