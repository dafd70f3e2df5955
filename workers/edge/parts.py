"""Makes the edge worker's parts from its settings, each with its one-line error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import SettingsError
from sedna_py.estimator import Frame, import_module
from sedna_py.hard_example_mining import BaseFilter, make_filter, parse_parameters
from workers.edge.frames import BufferPolicy
from workers.edge.offload import Offloader, OffloadOptions
from workers.edge.sinks.base import Sink
from workers.edge.sinks.json_lines import JsonLinesSink
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink
from workers.edge.sinks.video import VideoSink
from workers.edge.sources import FrameSource
from workers.inference.image_codec import encode_jpeg
from workers.settings import EdgeSettings

T = TypeVar("T")
MakeSink = Callable[[Sequence[str]], Sink]  # takes the model's labels


def load_filter(settings: EdgeSettings) -> BaseFilter | None:
    """Return the filter that HEM_NAME names; None without one: then no frame is hard. Raises FilterError."""
    if settings.hem_module:
        import_module(settings.hem_module)
    if not settings.hem_name:
        return None
    return make_filter(settings.hem_name, parse_parameters(settings.hem_parameters))


def buffer_policy(settings: EdgeSettings, source: FrameSource) -> BufferPolicy:
    """Return what a full buffer does: `auto` lets files wait and live sources drop the oldest frame."""
    if settings.buffer_policy != "auto":
        return BufferPolicy(settings.buffer_policy)
    return BufferPolicy.DROP_OLDEST if source.live else BufferPolicy.WAIT


def build_offloader(settings: EdgeSettings) -> Offloader | None:
    """Return the way to the cloud; None where no address is given."""
    if not settings.cloud_host:
        return None
    client = CloudClient(
        f"http://{settings.cloud_host}:{settings.cloud_port}",
        prefix=settings.job_name,
        settings=ClientSettings(
            deadline_s=settings.offload_deadline_ms / 1000, max_connections=settings.offload_in_flight
        ),
    )

    def encode(frame: Frame) -> bytes:
        return encode_jpeg(frame, settings.jpeg_quality)

    options = OffloadOptions(
        in_flight=settings.offload_in_flight,
        waiting=settings.offload_waiting,
        deadline_s=settings.offload_deadline_ms / 1000,
        when_full_wait=settings.offload_when_full == "wait",
    )
    return Offloader(client, encode, options)


def prepare_sinks(settings: EdgeSettings, source: FrameSource) -> list[MakeSink]:
    """Return what makes the sinks. Raises SettingsError at once where a path cannot be written at all."""
    made: list[MakeSink] = []
    if settings.decisions_file:
        sink = _open(JsonLinesSink, Path(settings.decisions_file), "DECISIONS_FILE")
        made.append(lambda _: sink)
    folders = (settings.all_examples_dir, settings.hard_cloud_dir, settings.hard_edge_dir)
    if any(folders):
        for folder in filter(None, folders):
            _open(_make_folder, Path(folder), "the output folders")
        made.append(lambda labels: UpstreamFoldersSink(*folders, labels, settings.display_threshold))
    if settings.annotated_video:
        video = Path(settings.annotated_video)
        fps = (settings.source_pace or source.fps) / settings.frame_stride
        made.append(lambda labels: VideoSink(video, fps, labels))
    return made


def _open(opener: Callable[[Path], T], path: Path, name: str) -> T:
    try:
        return opener(path)
    except OSError as error:
        raise SettingsError(
            f"cannot write {str(path)!r}: {error.strerror}; write a path in {name} that this user may write to"
        ) from None


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
