"""The three output folders of upstream's examples."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sedna_py.decision_log import DecisionRecord, Emit
from sedna_py.errors import MalformedBody
from sedna_py.estimator import Frame
from workers.edge.decision import FrameResult, above
from workers.edge.sinks.drawing import draw_boxes
from workers.inference.image_codec import encode_jpeg

QUALITY = 90


def check_folder(path: Path) -> None:
    """Make the folder. Raises OSError where no file can be written into it."""
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
        pass


class UpstreamFoldersSink:
    """Writes `<folder>/<frame>.jpeg`: every frame with its final boxes; hard ones also with the cloud's and with the edge's.

    As upstream: the cloud folder gets a frame only if the cloud answered. A folder that is None is not written.
    An answer that comes later, a correction or a late one, replaces the picture of the one before it. A late one of another run
    is `<frame>.<run>.jpeg`: this run has a frame of that number itself.
    """

    name = "folders"

    def __init__(
        self,
        all_examples: str | None,
        hard_cloud: str | None,
        hard_edge: str | None,
        labels: Sequence[str] = (),
        threshold: float = 0.0,
    ) -> None:
        self._all, self._cloud, self._edge = (Path(p) if p else None for p in (all_examples, hard_cloud, hard_edge))
        self._labels = labels
        self._threshold = threshold
        self._run: str | None = None
        self._mark = secrets.token_hex(4)  # replicas may share the folder, and number their frames alike
        for folder in (self._all, self._cloud, self._edge):
            if folder:
                folder.mkdir(parents=True, exist_ok=True)

    def write(self, result: FrameResult) -> None:
        """Write the frame's pictures. Raises OSError."""
        record, picture, name = result.record, result.frame.picture, self._name(result.record)
        if record.emit in (Emit.CORRECTION, Emit.LATE) and record.cloud is None:
            return  # the edge's answer stands, and is there
        self._save(self._all, name, picture, record.result)
        if not record.hard:
            return
        if record.cloud is not None:
            self._save(self._cloud, name, picture, above(record.cloud, self._threshold))
        if record.emit in (Emit.FINAL, Emit.FIRST):
            self._save(self._edge, name, picture, above(record.edge, self._threshold))

    def close(self) -> None:
        """Nothing is held."""

    def _name(self, record: DecisionRecord) -> str:
        if record.emit is not Emit.LATE:
            self._run = record.run
        return str(record.frame) if record.run == self._run else f"{record.frame}.{record.run}"

    def _save(self, folder: Path | None, name: str, picture: Frame, boxes: Sequence[Any]) -> None:
        if folder is None:
            return
        try:
            encoded = encode_jpeg(draw_boxes(picture, boxes, self._labels), QUALITY)
        except MalformedBody as error:
            raise OSError(str(error)) from error
        path = folder / f"{name}.jpeg"
        # A reader of the folder never sees half a picture, and a full disk leaves none behind.
        unfinished = folder / f"{name}.{self._mark}.part"
        try:
            unfinished.write_bytes(encoded)
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
