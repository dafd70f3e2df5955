"""The buildah commands, on a storage of our own: the user's is neither read nor written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.images.limited_run import LimitedRun
from tests.images.oci_layout import Layout
from tests.images.pip_settings import PipSettings
from tests.images.recipes import Step

# buildah notes what it pushed where below this folder, whatever --root says; ours is laid over it while it runs.
SYSTEM_FOLDER = "/var/lib/containers"
BIG_LAYERS = 2  # the base and the packages; above them is what changes with every line of source
WITH_OUR_FOLDER = ("sh", "-c", f'mkdir -p {SYSTEM_FOLDER} && mount --bind "$0" {SYSTEM_FOLDER} && exec "$@"')


@dataclass(frozen=True)
class Buildah:
    """buildah with this folder as its storage."""

    folder: Path
    tool: LimitedRun

    def run(self, *arguments: str, title: str = "") -> str:
        """Run one command and return what it prints. Raises BuildError."""
        own = self.folder / "own"
        own.mkdir(parents=True, exist_ok=True)
        roots = ("--root", str(self.folder / "storage"), "--runroot", str(self.tool.scratch / "run"))
        return self.tool.run([*WITH_OUR_FOLDER, str(own), "buildah", *roots, *arguments], title)

    def tags(self) -> set[str]:
        """Return the names of all images in the storage."""
        return set(self.run("images", "--format", "{{.Name}}:{{.Tag}}").split())

    def forget_containers(self) -> None:
        """Remove what a run that was killed has left behind."""
        self.run("rm", "--all")

    def build(self, step: Step, root: Path, pip: PipSettings) -> None:
        """Build one stage, from the cache where nothing changed; RUN lines see the host's settings of pip in /mnt."""
        name = step.tag.partition("/")[2].removesuffix(":latest")
        # Without cgroups and devices of its own: what is run is pip.
        how = ("--isolation", "chroot", "--network", "host", "--pull-never", "--layers", *volumes(pip))
        what = ("--file", str(root / step.dockerfile), "--target", step.target, "--tag", step.tag)
        self.run("bud", *how, *what, str(root / step.context), title=f"building {name}")

    def pack(self, image: str, layout: Layout) -> None:
        """Add an image to a layout under its whole name, which containerd looks for when a pod asks for it."""
        title = f"packing {image.partition('/')[2]}"
        how = ("push", "--quiet", "--format", "oci")
        if not layout.has(self.layers(image)[:BIG_LAYERS]):
            folder = self.tool.scratch / "image"
            self.run(*how, "--disable-compression", image, f"dir:{folder}", title=title)
            layout.take_blobs(folder)
        # Here layers that are new are compressed: by now that is none, or the project's own, which is small.
        self.run(*how, image, f"oci:{layout.folder}:{image}")

    def layers(self, image: str) -> list[str]:
        """Return the digests of an image's unpacked layers, the lowest first."""
        about = json.loads(self.run("inspect", "--type", "image", image))
        digests: list[str] = about["OCIv1"]["rootfs"]["diff_ids"]
        return digests

    def prune(self) -> None:
        """Remove images that lost their tag to a newer one."""
        self.run("rmi", "--prune")


def volumes(pip: PipSettings) -> Sequence[str]:
    """Return the options that mount pip's settings."""
    return [word for source, target in pip.mounts for word in ("--volume", f"{source}:{target}")]
