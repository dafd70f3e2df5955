"""Build the programs that tests need from the Go modules that go/*/go.mod and go.sum pin."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from tests.cluster.errors import BuildError
from tests.cluster.progress import Progress

MODULES = Path(__file__).parent / "go"
LONGEST_BUILD_S = 1800
LONGEST_WAIT_S = 3600
LONGEST_GO_CHECK_S = 300
TAIL_LINES = 15


@dataclass(frozen=True)
class Program:
    """A main package and the folder of the go.mod that pins what it is built from."""

    module: str
    package: str
    stamp_version: bool = True


PROGRAMS: Mapping[str, Program] = {
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", stamp_version=False),
    "kube-apiserver": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kubectl": Program("kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    "kube-scheduler": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubelet": Program("kubernetes", "k8s.io/kubernetes/cmd/kubelet"),
    "kube-proxy": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-proxy"),
    "coredns": Program("coredns", ".", stamp_version=False),
    "metrics-server": Program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", stamp_version=False),
    # No part of a cluster: the bad links of tests/faults.
    "toxiproxy-server": Program("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", stamp_version=False),
}


@dataclass(frozen=True)
class Go:
    """A go command that is new enough, and the environment to run it in."""

    command: str
    environ: Mapping[str, str]


def find_go(environ: Mapping[str, str]) -> Go:
    """Return the go command of PATH; BuildError when there is none or it is older than the modules ask for."""
    command = shutil.which("go", path=environ.get("PATH", os.defpath))
    wanted = go_version_wanted()
    if command is None:
        raise BuildError(f"there is no go command to build with: install Go {wanted} or newer")
    go = Go(command, {**environ, "CGO_ENABLED": "0", "GOWORK": "off"})
    if not accepts_modules(go):
        raise BuildError(f"{command} is too old to build with: install Go {wanted} or newer")
    return go


def accepts_modules(go: Go) -> bool:
    """Return whether go is new enough for the go.mod files or can fetch the version that is."""
    try:
        subprocess.run(
            [go.command, "env", "GOVERSION"],
            cwd=MODULES / "kubernetes",
            env=go.environ,
            capture_output=True,
            timeout=LONGEST_GO_CHECK_S,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def go_version_wanted() -> str:
    """Return the version in the Kubernetes go.mod."""
    lines = (MODULES / "kubernetes" / "go.mod").read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("go ") for line in lines if line.startswith("go "))


def build_missing(names: Sequence[str], go: Go, folder: Path, progress: Progress) -> None:
    """Build the programs that the folder still lacks once no other run builds there; BuildError when one fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with only_builder(folder, progress):
        for name in names:
            if not (folder / name).exists():
                build(name, go, folder, progress)


@contextmanager
def only_builder(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock; it is free again when this process ends, however it ends."""
    waiting = f"waiting for another run that builds in {folder}"
    with (folder / ".lock").open("w") as lock:
        started = time.monotonic()
        if not try_lock(lock):
            progress.start(waiting)
            while not try_lock(lock):
                waited = time.monotonic() - started
                if waited > LONGEST_WAIT_S:
                    raise BuildError(f"another run has been building in {folder} for an hour: stop it and try again")
                progress.tick(waiting, waited)
                time.sleep(1)
            progress.end(waiting, time.monotonic() - started)
        yield


def try_lock(lock: IO[str]) -> bool:
    """Return whether the lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def build(name: str, go: Go, folder: Path, progress: Progress) -> None:
    """Build one program; its file appears in the folder only when it is complete."""
    program = PROGRAMS[name]
    part = folder / f".{name}.part"
    text = f"building {name} (once, kept in {folder})"
    command = [go.command, "build", "-mod=readonly", "-trimpath", f"-ldflags={linker_flags(program, folder.name)}"]
    started = time.monotonic()
    progress.start(text)
    try:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [*command, "-o", str(part), program.package],
                cwd=MODULES / program.module,
                env=go.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            wait_for_end(process, partial(progress.tick, text))
            if process.returncode != 0:
                raise BuildError(f"building {name} failed: {tail(output)}")
        part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)
    progress.end(text, time.monotonic() - started)


def wait_for_end(process: subprocess.Popen[bytes], tick: Callable[[float], None]) -> None:
    """Call tick once a second with the seconds so far until the process has ended; it is killed when it takes too long."""
    started = time.monotonic()
    with process:
        try:
            while process.poll() is None:
                elapsed = time.monotonic() - started
                if elapsed > LONGEST_BUILD_S:
                    raise BuildError(f"the build took more than {LONGEST_BUILD_S // 60} minutes; try again")
                tick(elapsed)
                wait_at_most(process, 1)
        finally:
            process.kill()


def wait_at_most(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the end of the process, not longer than this."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def linker_flags(program: Program, version: str) -> str:
    """Return flags that drop debug information and, for Kubernetes, say which version this is."""
    if not program.stamp_version:
        return "-s -w"
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]
    return " ".join(["-s -w", *stamps])


def tail(output: IO[bytes]) -> str:
    """Return the end of what go said."""
    output.seek(0)
    return "\n".join(output.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
