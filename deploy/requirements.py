"""Print what pip has to install for an image: `python requirements.py EXTRA [EXTRA ...] [--without NAME ...]`.

It reads the pyproject.toml of the working directory. The Dockerfile asks it, so that the layer of packages is made again only
when a requirement changes, not with every line of the project.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9._-]+")


def requirements(project: Mapping[str, Any], extras: Collection[str], without: Collection[str]) -> Iterator[str]:
    """Yield each requirement of the project and of the extras once, but for those with these names."""
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    for requirement in dict.fromkeys(line for lines in lists for line in lines):
        found = NAME.match(requirement)
        if found is None or found[0] not in without:
            yield requirement


def main() -> None:
    """Print them, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="+")
    parser.add_argument("--without", nargs="+", default=[])
    chosen = parser.parse_args()
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(*requirements(project, chosen.extras, chosen.without), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
