"""The extraction of command lines misses none, and the page has none that nobody runs without a reason."""

from __future__ import annotations

import pytest

from tests.e2e.documented_commands import (
    NOT_RUN,
    PAGE,
    PROGRAMS,
    DocumentedCommand,
    TableRow,
    documented_commands,
    run_documented,
)

TEXT = PAGE.read_text(encoding="utf-8")

SAMPLE = """# A page
Look with `kubectl top` and `kubectl get ji -A`, or again `kubectl get ji -A`.

    kubectl apply -k deploy   # both replicas
    # a comment
    kubectl get hpa -w

    resources: [../deploy]

```
make images
$ not a command
kubectl get po -l 'a=b#c'
```
A paragraph whose second line begins far right:
    kubectl is not a command here
"""


def test_blocks_and_long_inline_code_are_command_lines_each_once_and_in_order():
    assert [(one.text, one.line) for one in documented_commands(SAMPLE)] == [
        ("kubectl get ji -A", 2),
        ("kubectl apply -k deploy", 4),
        ("kubectl get hpa -w", 6),
        ("make images", 11),
        ("kubectl get po -l 'a=b#c'", 13),
    ]


def test_a_watch_is_told_from_a_command_that_ends():
    assert DocumentedCommand("kubectl get hpa -w", 1).goes_on
    assert not DocumentedCommand("kubectl apply -f crds/", 1).goes_on


def test_every_line_of_the_page_that_names_a_program_first_is_found():
    found = {one.text for one in documented_commands(TEXT)}
    lines = [line.strip() for line in TEXT.splitlines() if line.startswith("    ") and line.split()[0] in PROGRAMS]
    assert lines
    assert [line for line in lines if not any(line.startswith(text) for text in found)] == []


def test_what_is_not_run_is_on_the_page_and_has_a_reason():
    found = {one.text for one in documented_commands(TEXT)}
    assert set(NOT_RUN) - found == set()
    assert all(NOT_RUN.values())


def test_a_command_that_fails_is_told_with_its_line():
    with pytest.raises(AssertionError, match=r"operations\.md:7: python --no-such-flag"):
        run_documented(DocumentedCommand("python --no-such-flag", 7), {"PATH": "/usr/bin:/bin"})


def test_dots_in_the_table_of_faults_stand_for_anything():
    row = TableRow("quota", "EdgeReady", "QuotaExceeded", "no pod for ...: exceeded quota")
    assert row.fits("0 of 1 pod ready: no pod for Deployment x: exceeded quota: none")
    assert not row.fits("no pod for Deployment x: forbidden")
