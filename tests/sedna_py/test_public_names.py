from __future__ import annotations

import subprocess
import sys

import pytest

import sedna_py

HEAVY = ["openvino", "cv2", "fastapi", "kopf", "kubernetes", "typer", "rich", "httpx", "numpy", "pydantic"]
MEASURE = """
import sys, time
begun = time.perf_counter()
import sedna_py
spent = time.perf_counter() - begun
print(spent, *(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_importing_the_package_is_light():
    runs = []
    for _ in range(5):
        finished = subprocess.run([sys.executable, "-c", MEASURE, *HEAVY], capture_output=True, text=True, check=True)
        runs.append(finished.stdout.split())
    assert [loaded for _, *loaded in runs] == [[]] * 5
    assert min(float(spent) for spent, *_ in runs) < 0.3


@pytest.mark.parametrize("name", sorted(set(sedna_py.__all__) - {"__version__"}))
def test_public_names(name):
    assert getattr(sedna_py, name).__name__ == name
    assert name in dir(sedna_py)


def test_the_table_of_homes_is_the_public_interface():
    assert {*sedna_py._HOMES, "__version__"} == set(sedna_py.__all__)
    assert sedna_py.__version__ == "0.1.0"


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        sedna_py.Nope  # noqa: B018
