"""A stand-in for the official Python image under its very name, made of Debian's own packages."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.errors import BuildError, StartError
from tests.cluster.system import run_tool
from tests.images.buildah import Buildah
from tests.images.limited_run import LimitedRun

PACKAGES = "python3,python3-pip,ca-certificates"
# What the official image does not have either.
NOT_NEEDED = (
    "dev",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def provide_base(buildah: Buildah, reference: str) -> None:
    """Make the base image unless the storage has it. Raises BuildError."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    mark = f"localhost/sedna-py-base:{suite_of(reference)}-{recipe}"
    if {mark, reference} <= buildah.tags():
        return
    folder = buildah.tool.scratch / "base"
    bootstrap(buildah.tool, suite_of(reference), folder)
    slim(folder)
    container = buildah.run("from", "scratch").strip()
    buildah.run("add", "--quiet", container, str(folder), "/")
    buildah.run("config", "--env", f"PATH={PATH}", "--cmd", "python3", container)
    buildah.run("commit", "--quiet", "--rm", container, reference, title=f"storing {reference}")
    buildah.run("tag", reference, mark)
    shutil.rmtree(folder)


def suite_of(reference: str) -> str:
    """Return the Debian release in the tag of an image such as python:3.11-slim-bookworm."""
    suite = reference.rpartition("-")[2]
    if not suite.isalpha():
        raise BuildError(f"the tag of {reference} does not end in the name of a Debian release")
    return suite


def bootstrap(tool: LimitedRun, suite: str, folder: Path) -> None:
    """Install Debian into a folder, from where this machine gets its own packages."""
    options = ("--variant=minbase", f"--include={PACKAGES}")
    tool.run(
        ["debootstrap", *options, suite, str(folder), *mirror(suite)],
        title=f"installing Debian {suite} for the base image",
    )


def mirror(suite: str) -> Sequence[str]:
    """Return the mirror of this machine where it has the same release, else nothing: debootstrap knows one."""
    try:
        said = run_tool("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)")
    except StartError:
        return ()
    found = [words[2] for words in map(str.split, said.splitlines()) if words[:2] == [suite, "main"]]
    return found[:1]


def slim(folder: Path) -> None:
    """Remove caches and documentation, and give Python the name that the official image has for it."""
    for name in NOT_NEEDED:
        for path in (folder / name).iterdir() if (folder / name).is_dir() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in (folder / "usr/share/doc").rglob("*"):
        if path.name != "copyright" and (path.is_file() or path.is_symlink()):
            path.unlink()
    for path in list(folder.rglob("__pycache__")):
        shutil.rmtree(path)
    (folder / "usr/bin/python").symlink_to("python3")
