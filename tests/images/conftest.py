"""What needs root on Linux, or the images themselves, says so where it is not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cluster.errors import TierUnavailableError
from tests.images import archives
from tests.images.archive import require_machine


@pytest.fixture(scope="session")
def build_machine(tier_unavailable: Callable[[str, str], NoReturn]) -> None:
    """A machine that can build images."""
    try:
        require_machine()
    except TierUnavailableError as error:
        tier_unavailable("image", str(error))


@pytest.fixture(scope="session")
def image_archives(build_machine: None, tier_unavailable: Callable[[str, str], NoReturn]) -> dict[str, Path]:
    """The images of this checkout; never built here, where no progress could be seen and a test's time limit runs."""
    try:
        return archives(os.environ)
    except TierUnavailableError as error:
        tier_unavailable("image", str(error))
