"""Which images there are and what they are made of: pure but for reading the checkout."""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = "deploy/Dockerfile"
SAMPLE_DOCKERFILE = "tests/e2e/sample_images/Dockerfile"
SAMPLE_CONTEXT = "examples/face_detection"
TARGETS = ("controller", "storage-initializer", "worker")
SAMPLE_TARGETS = ("little", "big")
FOLDERS = ("sedna_py", "workers", "controller")
FILES = (
    DOCKERFILE,
    "deploy/requirements.py",
    ".dockerignore",
    "pyproject.toml",
    "LICENSE",
    SAMPLE_DOCKERFILE,
    f"{SAMPLE_CONTEXT}/estimator.py",
    "tests/images/base_image.py",
)
# What containerd and buildah put before a name without a registry.
REGISTRY = "docker.io/"
STAGE = re.compile(r"^FROM\s+(\S+)\s+AS\s+(\S+)\s*$", re.MULTILINE)
BASE = re.compile(r"^ARG\s+BASE=(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One stage of a Dockerfile to build, and the tag that it gets."""

    dockerfile: str
    context: str
    target: str
    tag: str


def content_files(root: Path = ROOT) -> Iterator[str]:
    """Yield the path of every file that the images depend on, relative to the checkout, in order."""
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(root))
    yield from FILES


def content_key(root: Path = ROOT) -> str:
    """Return a name for the images' content: another file, another key."""
    digest = hashlib.sha256()
    for name in sorted(content_files(root)):
        content = (root / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def copy_content(target: Path, root: Path = ROOT) -> None:
    """Copy those files, so that what is built is what was hashed, whoever edits the checkout meanwhile."""
    for name in content_files(root):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target / name)


def references(root: Path = ROOT) -> tuple[str, ...]:
    """Return the names of all images, as Deployments and services write them."""
    version = project_version(root)
    own = [f"sedna-py/{target}:{version}" for target in TARGETS]
    return (*own, *(f"sedna-py/e2e-{target}:{version}" for target in SAMPLE_TARGETS))


def project_version(root: Path) -> str:
    """Return the version in pyproject.toml, which is the images' tag."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    version: str = tomllib.loads(text)["project"]["version"]
    return version


def base_reference(dockerfile: str) -> str:
    """Return the image that a Dockerfile's text begins from by default."""
    found = BASE.search(dockerfile)
    if found is None:
        raise ValueError("the Dockerfile has no line ARG BASE=...")
    return found[1]


def build_steps(root: Path) -> Sequence[Step]:
    """Return the builds in their order: first the stages that images copy from, since untagged ones would be pruned."""
    version = project_version(root)
    stages = STAGE.findall((root / DOCKERFILE).read_text(encoding="utf-8"))
    parents = {parent for parent, _ in stages}
    copied_from = [name for _, name in stages if name not in parents and name not in TARGETS]
    return [
        *(Step(DOCKERFILE, ".", name, f"localhost/sedna-py-stage/{name}:latest") for name in copied_from),
        *(Step(DOCKERFILE, ".", name, f"{REGISTRY}sedna-py/{name}:{version}") for name in TARGETS),
        *(
            Step(SAMPLE_DOCKERFILE, SAMPLE_CONTEXT, name, f"{REGISTRY}sedna-py/e2e-{name}:{version}")
            for name in SAMPLE_TARGETS
        ),
    ]
