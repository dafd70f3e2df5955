"""The command lines of docs/operations.md, as a reader would copy them, and what runs them.

A command line is a line of a code block (indented or fenced) that begins with `kubectl`, `make` or `python`, and a piece of
inline code of three words or more that does. Shorter inline code names a command and is no line to copy, but for `make`.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
PROGRAMS = ("kubectl", "make", "python")
COMMAND_S = 150.0
WATCH_S = 20.0  # until a command that goes on for ever has printed something

# What the test does not run, and why not.
NOT_RUN = {
    "make images": "the images are built, and loaded into the nodes, before the cluster's first test",
    "make cluster-e2e": "starts the cluster that the test runs on; tests/e2e/test_e2e_cluster.py does the same",
    "kubectl apply -f crds/": "part of the next line; tests/integration/test_deploy.py applies it for one team",
    "kubectl apply -k deploy/namespaced": "a second controller would work against the first; tests/integration/test_deploy.py",
    "kubectl -n sedna scale deployment gm --replicas=0": "upstream's manager; tests/integration/test_upstream_migration.py",
    "python -m controller": "tests/integration/controller_process.py runs it, for most tests of the controller",
}


@dataclass(frozen=True)
class DocumentedCommand:
    """One command line and where it stands."""

    text: str
    line: int

    @property
    def goes_on(self) -> bool:
        """Whether it prints until it is ended."""
        return bool({"-w", "--watch", "-f"} & set(self.text.split())) and not self.text.startswith("kubectl apply")


def documented_commands(page: str) -> list[DocumentedCommand]:
    """Return every command line of the page in its order, each once."""
    found: dict[str, DocumentedCommand] = {}
    fenced, blank_before = False, True
    in_block = False
    for number, line in enumerate(page.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced, in_block, blank_before = not fenced, False, True
            continue
        in_block = fenced or (line.startswith("    ") and (blank_before or in_block))
        candidates = [line.strip()] if in_block else long_inline_code(line)
        for text in candidates:
            command = re.sub(r"\s{2,}#.*$", "", text).strip()
            if command.split(" ")[0] in PROGRAMS:
                found.setdefault(command, DocumentedCommand(command, number))
        blank_before = not line.strip()
    return list(found.values())


def long_inline_code(line: str) -> list[str]:
    return [text for text in re.findall(r"`([^`]+)`", line) if len(text.split()) >= 3 or text.startswith("make ")]


def run_documented(command: DocumentedCommand, environment: Mapping[str, str]) -> str:
    """Run it in the repository's folder by bash and return what it prints; AssertionError when it fails or says nothing."""
    if command.goes_on:
        return first_words(command, environment)
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
    )
    assert done.returncode == 0, f"{PAGE.name}:{command.line}: {command.text}: {done.stderr}{done.stdout}"
    printed = done.stdout + done.stderr
    # What is waited for may be so already; kubectl has nothing to say then.
    assert printed.strip() or command.text.startswith("kubectl wait "), (
        f"{PAGE.name}:{command.line}: {command.text} prints nothing"
    )
    return printed


def first_words(command: DocumentedCommand, environment: Mapping[str, str]) -> str:
    """Start a command that does not end by itself, wait until it has printed something, and end it."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command.text}"],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        deadline, printed = time.monotonic() + WATCH_S, b""
        while b"\n" not in printed:
            left = deadline - time.monotonic()
            assert left > 0, f"{PAGE.name}:{command.line}: {command.text} printed {printed!r} within {WATCH_S:g} s"
            if select.select([process.stdout], [], [], left)[0]:
                read = os.read(process.stdout.fileno(), 65536)
                assert read, f"{PAGE.name}:{command.line}: {command.text} ended after {printed!r}"
                printed += read
        return printed.decode()
    finally:
        process.kill()
        process.communicate(timeout=10)


@dataclass(frozen=True)
class TableRow:
    """What the table of faults says that a service says."""

    title: str
    condition: str
    reason: str
    message: str

    def fits(self, message: str) -> bool:
        """Whether a message is the one of the table; three dots there stand for anything."""
        parts = (re.escape(part) for part in self.message.split("..."))
        return re.search(".*".join(parts), message) is not None


def fault_table(page: str) -> dict[str, TableRow]:
    """Return the rows of the table of faults by the fault's name."""
    section = page.split("\n## Faults\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    found = (TableRow(cells[0].strip(), *(code(cell) for cell in cells[1:4])) for cells in rows)
    return {row.title: row for row in found}


def code(cell: str) -> str:
    """Return a table cell's code without its backticks."""
    return cell.strip().strip("`").strip()
