"""One archive with all images: found by its content's key, made when it is missing."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.binaries import cache_home
from tests.cluster.errors import TierUnavailableError
from tests.cluster.go_build import only_builder
from tests.cluster.progress import Progress
from tests.cluster.system import find_tool
from tests.images.base_image import provide_base
from tests.images.buildah import Buildah
from tests.images.limited_run import LimitedRun
from tests.images.oci_layout import Layout
from tests.images.pip_settings import host_settings, write_settings
from tests.images.recipes import (
    DOCKERFILE,
    REGISTRY,
    ROOT,
    base_reference,
    build_steps,
    content_key,
    copy_content,
    references,
)

COMMAND = "python -m tests.images"
TOOLS = ("buildah", "debootstrap", "unshare")
LONGEST_S = 1800
KEPT = 2
PREFIX = "sedna-py-"
SCRATCH = "build-"


def archives(environ: Mapping[str, str], root: Path = ROOT) -> dict[str, Path]:
    """Return the archive of each image of this checkout, all in the same file; TierUnavailableError when it is not there."""
    path = archive_path(images_folder(environ), content_key(root))
    if not path.is_file():
        raise TierUnavailableError(f"the images of this very source are not built: run `{COMMAND}`")
    return dict.fromkeys(references(root), path)


def provide(environ: Mapping[str, str], progress: Progress) -> dict[str, Path]:
    """Return the same, built now if need be. Raises TierUnavailableError or BuildError."""
    folder = images_folder(environ)
    path = archive_path(folder, content_key())
    if not path.is_file():
        require_machine()
        folder.mkdir(parents=True, exist_ok=True)
        with only_builder(folder, progress), scratch_folder(folder) as scratch:
            path = make_archive(folder, LimitedRun(scratch, environ, time.monotonic() + LONGEST_S, progress))
    return dict.fromkeys(references(), path)


def images_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of archives and of what speeds their making up."""
    return cache_home(environ) / "images"


def archive_path(folder: Path, key: str) -> Path:
    """Return where the archive of this content is."""
    return folder / f"{PREFIX}{key}.tar"


def require_machine(platform: str = sys.platform) -> None:
    """Raise TierUnavailableError where images cannot be built."""
    if platform != "linux" or os.geteuid() != 0:
        raise TierUnavailableError(f"`{COMMAND}` builds images on Linux as root only; `make images` uses your engine")
    missing = [name for name in TOOLS if find_tool(name) is None]
    if missing:
        raise TierUnavailableError(f"{', '.join(missing)} not installed: run `python -m tests.cluster packages`")


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for one build; those of builds that were killed go. To be used under the lock only."""
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left)
    # A process that was just killed may hold on to a file for another moment.
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def make_archive(folder: Path, tool: LimitedRun) -> Path:
    """Build every image of a copy of the checkout and put them into one archive."""
    source = tool.scratch / "source"
    copy_content(source)
    path = archive_path(folder, content_key(source))
    if path.exists():  # another run made it while this one waited
        return path
    buildah = Buildah(folder / "buildah", tool)
    buildah.forget_containers()
    provide_base(buildah, base_reference((source / DOCKERFILE).read_text(encoding="utf-8")))
    pip = write_settings(host_settings(tool.environ), tool.scratch / "pip", folder / "pip-downloads")
    for step in build_steps(source):
        buildah.build(step, source, pip)
    layout = Layout(folder / "layout")
    layout.begin()
    for image in references(source):
        buildah.pack(f"{REGISTRY}{image}", layout)
    layout.end()
    part = tool.scratch / "archive.tar"
    layout.write_archive(part)
    part.replace(path)
    buildah.prune()
    discard_old(folder, keep=KEPT)
    return path


def discard_old(folder: Path, keep: int) -> None:
    """Remove all archives but the newest."""
    newest_first = sorted(folder.glob(f"{PREFIX}*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        path.unlink(missing_ok=True)
