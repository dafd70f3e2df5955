"""Images of one static program each, written without any image tool and kept in the cache."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.binaries import cache_home
from tests.cluster.errors import BuildError
from tests.cluster.go_build import find_go
from tests.cluster.node_config import PAUSE_IMAGE
from tests.cluster.system import find_tool

SOURCES = Path(__file__).parent / "pod_programs"
PROBE_IMAGE = "sedna-py.test/probe:1"
COMPILE_TIMEOUT_S = 300
USER = "65532:65532"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class SmallImage:
    """One source file that becomes `/program` of an image."""

    tag: str
    source: Path


PAUSE = SmallImage(PAUSE_IMAGE, SOURCES / "pause.c")
PROBE = SmallImage(PROBE_IMAGE, SOURCES / "probe.go")


def provide_image(image: SmallImage, environ: Mapping[str, str]) -> Path:
    """Return the image's archive, made now unless the cache has it; BuildError when it cannot be compiled."""
    version = hashlib.sha256(image.source.read_bytes()).hexdigest()[:12]
    archive = cache_home(environ) / "images" / f"{image.source.stem}-{version}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            program = Path(folder) / "program"
            compile_program(image.source, program, environ)
            part = Path(folder) / "part"
            write_archive(part, image.tag, program.read_bytes())
            part.replace(archive)
    return archive


def compile_program(source: Path, target: Path, environ: Mapping[str, str]) -> None:
    """Compile one C or Go file into a program that needs no other file."""
    if source.suffix == ".go":
        go = find_go(environ)
        command = [go.command, "build", "-trimpath", "-ldflags=-s -w", "-o", str(target), str(source)]
        run_compiler(command, {**go.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
        return
    compiler = find_tool("gcc") or find_tool("cc")
    if compiler is None:
        raise BuildError("there is no C compiler: run `python -m tests.cluster packages`")
    run_compiler([compiler, "-Os", "-static", "-o", str(target), str(source)], environ)


def run_compiler(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run it; BuildError with what it said."""
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{command[0]} took more than {COMPILE_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}: {done.stderr.strip()}")


def write_archive(path: Path, tag: str, program: bytes) -> None:
    """Write a docker archive with one layer that holds the program only."""
    layer = tar_of({"program": program}, mode=0o755)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": {"Entrypoint": ["/program"], "User": USER},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    path.write_bytes(tar_of({config_name: config, "layer.tar": layer, "manifest.json": manifest}, mode=0o644))


def tar_of(files: Mapping[str, bytes], mode: int) -> bytes:
    """Return a tar of these files, the same for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
