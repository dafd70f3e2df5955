"""Makes the edge worker's parts from its settings, each with its one-line error."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address
from pathlib import Path
from typing import TypeVar

from sedna_py.budgeted_filter import load_filter as load_budgeted
from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.pod_lookup import PodSource
from sedna_py.client.send_cap import SendCap
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import SettingsError
from sedna_py.estimator import import_module
from sedna_py.hard_example_mining import BaseFilter, parse_parameters, read_plan
from sedna_py.settings import redact
from sedna_py.source_list import file_name, unique_names
from workers.edge.frames import BufferPolicy, LaneRule
from workers.edge.link_quality import LinkQuality
from workers.edge.motion import GateOptions, MotionGate
from workers.edge.offline_queue.queue import AT_ONCE, OfflineOptions, OfflineQueue
from workers.edge.offload import Offloader, OffloadOptions
from workers.edge.packing import FittedJpeg, Packer
from workers.edge.send_policy import SendOptions, SendPolicy
from workers.edge.sinks.base import Sink
from workers.edge.sinks.json_lines import JsonLinesSink
from workers.edge.sinks.per_source import PerSource
from workers.edge.sinks.remote import prepare_remote_sinks
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink, check_folder
from workers.edge.sinks.video import VideoSink, check_video_path
from workers.edge.sources import FrameSource, PushSource
from workers.edge.wire_format import OPEN_INFERENCE_FORMATS, wire_format
from workers.inference.model_files import model_folder
from workers.settings import EdgeSettings

T = TypeVar("T")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
HOST_NAME = re.compile(r"[\w.-]{1,253}")
MakeSink = Callable[[Sequence[str]], Sink]  # takes the model's labels


def load_filter(settings: EdgeSettings) -> BaseFilter | None:
    """Return the filter that HEM_NAME names; None without one: then no frame is hard. Raises FilterError."""
    if settings.hem_module:
        import_module(settings.hem_module, [model_folder(settings.model_url)])
    if not settings.hem_name:
        return None
    return load_budgeted(settings.hem_name, parse_parameters(settings.hem_parameters))[0]


def send_cap(settings: EdgeSettings) -> SendCap | None:
    """Return the bound on what a second may have, None without one. Call after `load_filter`. Raises FilterError."""
    if not settings.hem_name:
        return None
    cap = read_plan(settings.hem_name, parse_parameters(settings.hem_parameters)).cap
    return SendCap(cap) if cap else None


def buffer_policy(settings: EdgeSettings, source: FrameSource) -> BufferPolicy:
    """Return what a full buffer does: `auto` lets files wait and live sources drop the oldest frame."""
    if settings.buffer_policy != "auto":
        return BufferPolicy(settings.buffer_policy)
    return BufferPolicy.DROP_OLDEST if source.live else BufferPolicy.WAIT


def lane_rules(settings: EdgeSettings, sources: Sequence[FrameSource]) -> dict[str, LaneRule]:
    """Return how each source's frames wait. Raises SettingsError where the buffer has not a frame's room for each."""
    if len(sources) > settings.buffer_frames:
        raise SettingsError(
            f"BUFFER_FRAMES is {settings.buffer_frames} with {len(sources)} sources; write {2 * len(sources)}, two for each"
        )
    return {source.name: _lane_rule(settings, source) for source in sources}


def _lane_rule(settings: EdgeSettings, source: FrameSource) -> LaneRule:
    policy = buffer_policy(settings, source)
    bounded = source.live and policy is BufferPolicy.DROP_OLDEST
    return LaneRule(policy, settings.max_frame_age_ms / 1000 if bounded else 0.0)


def push_sources(settings: EdgeSettings, sources: Sequence[FrameSource]) -> list[PushSource]:
    """Return the sources that take what is sent here. Raises SettingsError where nothing can be sent."""
    found = [source for source in sources if isinstance(source, PushSource)]
    if found and not settings.http_port:
        raise SettingsError(
            f"video_url has push:// ({found[0].name}) and EDGE_HTTP_PORT is not set; write the port that takes its pictures there"
        )
    return found


def build_offloader(settings: EdgeSettings) -> Offloader | None:
    """Return the way to the cloud; None where no address is given. Raises SettingsError for one that cannot be."""
    if not settings.cloud_host:
        if settings.cloud_pods:
            raise SettingsError("BIG_MODEL_PODS is set without BIG_MODEL_IP; write the Service's address into that one")
        if settings.cloud_model:
            raise SettingsError("BIG_MODEL_NAME is set without BIG_MODEL_IP; write the server's address into that one")
        return None
    if settings.cloud_model and settings.offload_format not in OPEN_INFERENCE_FORMATS:
        raise SettingsError(
            f"OFFLOAD_FORMAT is {settings.offload_format!r} with BIG_MODEL_NAME, a server of the Open Inference Protocol; "
            f"write {' or '.join(OPEN_INFERENCE_FORMATS)}"
        )
    # Live frames never wait for a connection that a stored one has.
    beside = AT_ONCE if settings.offline_queue_dir else 0
    cap = send_cap(settings)
    client = CloudClient(
        f"http://{url_host(settings.cloud_host)}:{settings.cloud_port}",
        prefix=settings.job_name,
        settings=ClientSettings(
            deadline_s=settings.offload_deadline_ms / 1000, max_connections=settings.offload_in_flight + beside
        ),
        pods=PodSource.parse(settings.cloud_pods) if settings.cloud_pods else None,
        model=settings.cloud_model,
        cap=cap,
    )
    options = OffloadOptions(
        in_flight=settings.offload_in_flight,
        waiting=settings.offload_waiting,
        deadline_s=settings.offload_deadline_ms / 1000,
        when_full_wait=settings.offload_when_full == "wait",
    )
    return Offloader(client, make_packer(settings, cap), options)


def make_packer(settings: EdgeSettings, cap: SendCap | None = None) -> Packer:
    """Return what makes bodies of hard frames: JPEGs follow the big model's input and the link, all else is always the same."""
    if settings.offload_format != "jpeg":
        return wire_format(settings.offload_format)
    quality = LinkQuality(
        settings.jpeg_quality,
        settings.jpeg_quality_min,
        settings.offload_deadline_ms / 1000,
        cap_in_bytes=cap is not None and cap.largest is not None,
    )
    return FittedJpeg(quality, fit=settings.offload_size == "auto")


def motion_gate(settings: EdgeSettings) -> MotionGate | None:
    """Return who looks at the pictures of one source before the little model does; None where nobody needs to."""
    if not settings.motion_gate and not settings.silent_miss_share:
        return None
    return MotionGate(
        GateOptions(
            settings.motion_gate, settings.motion_threshold, settings.motion_forced_look_s, settings.motion_tail_s
        )
    )


def send_policy(settings: EdgeSettings) -> SendPolicy | None:
    """Return who says what is worth sending beside the filter; None where the filter alone does."""
    if not settings.silent_miss_share and not settings.duplicate_interval_s:
        return None
    return SendPolicy(
        SendOptions(
            settings.silent_miss_share,
            settings.duplicate_interval_s,
            settings.display_threshold,
            settings.motion_threshold,
        )
    )


def build_offline_queue(settings: EdgeSettings, offloader: Offloader | None) -> OfflineQueue | None:
    """Return the queue of frames that wait for the cloud; None where no folder is named. Raises SettingsError."""
    folder = own_path(settings.offline_queue_dir, "OFFLINE_QUEUE_DIR", settings.worker_name)
    if not folder:
        return None
    if offloader is None:
        raise SettingsError(
            "OFFLINE_QUEUE_DIR is set without BIG_MODEL_IP; write the cloud worker's address into that one"
        )
    if settings.offload_format not in OPEN_INFERENCE_FORMATS:
        raise SettingsError(
            f"OFFLOAD_FORMAT is {settings.offload_format!r} with OFFLINE_QUEUE_DIR, which keeps pictures; "
            f"write {' or '.join(OPEN_INFERENCE_FORMATS)}"
        )
    options = OfflineOptions(settings.offline_queue_bytes, settings.offline_queue_age_s, settings.display_threshold)
    return _open(lambda path: OfflineQueue(path, offloader, options), folder, "OFFLINE_QUEUE_DIR")


def url_host(address: str) -> str:
    """Return a host name or an IP address as it stands in a URL. Raises SettingsError for anything else."""
    with contextlib.suppress(ValueError):
        return f"[{IPv6Address(address)}]"
    if not HOST_NAME.fullmatch(address):
        raise SettingsError(
            f"BIG_MODEL_IP is {redact(address)!r}; write a host name or an IP address, the port goes into BIG_MODEL_PORT"
        )
    return address


def prepare_sinks(settings: EdgeSettings, sources: Sequence[FrameSource]) -> list[MakeSink]:
    """Return what makes the sinks. Raises SettingsError at once for a path that cannot be written or an address that is none."""
    made: list[MakeSink] = []
    if log := own_path(settings.decisions_file, "DECISIONS_FILE", settings.worker_name):
        sink = _open(JsonLinesSink, log, "DECISIONS_FILE")
        made.append(lambda _: sink)
    places = source_places(sources)
    folders = {
        "all_examples": settings.all_examples_dir,
        "hard_example_cloud": settings.hard_cloud_dir,
        "hard_example_edge": settings.hard_edge_dir,
    }
    wanted = [_own_folder(path, f"{name}_inference_output", settings) for name, path in folders.items()]
    if any(wanted):

        def folder_sink(source: str, labels: Sequence[str]) -> Sink:
            # A source of an earlier run may still have frames that waited on disk.
            place = places.get(source, file_name(source))
            all_, cloud, edge = (path and str(Path(path) / place) for path in wanted)
            return UpstreamFoldersSink(all_, cloud, edge, labels, settings.display_threshold)

        made.append(lambda labels: PerSource("folders", lambda source: folder_sink(source, labels)))
    if video := own_path(settings.annotated_video, "ANNOTATED_VIDEO", settings.worker_name):
        _open(check_video_path, video, "ANNOTATED_VIDEO")
        by_name = {source.name: source for source in sources}

        def video_sink(source: str, labels: Sequence[str]) -> Sink:
            path = video_path(video, places.get(source, file_name(source)))
            fps = video_fps(settings, by_name[source]) if source in by_name else 0.0
            return VideoSink(path, fps, labels, settings.display_threshold)

        made.append(lambda labels: PerSource("video", lambda source: video_sink(source, labels)))
    return made + prepare_remote_sinks(settings)


def source_places(sources: Sequence[FrameSource]) -> dict[str, str]:
    """Return what stands for each source in the names of files and folders; an empty text for the only one."""
    if len(sources) == 1:
        return {sources[0].name: ""}
    names = unique_names([(file_name(source.name), False) for source in sources])
    return dict(zip((source.name for source in sources), names, strict=True))


def video_path(path: str, place: str) -> Path:
    """Return where a source's video goes: `out.mp4`, or `out-<source>.mp4` where there are several."""
    whole = Path(path)
    return whole.with_name(f"{whole.stem}-{place}{whole.suffix}") if place else whole


def own_path(path: str | None, name: str, worker: str) -> str | None:
    """Return the path with `{worker}` replaced, so that replicas that share a folder do not share a file.

    Raises SettingsError for another placeholder, or for one without a WORKER_NAME.
    """
    found = set(PLACEHOLDER.findall(path or ""))
    if unknown := found - {"worker"}:
        raise SettingsError(f"{name} is {path!r}: unknown placeholder {{{min(unknown)}}}; write {{worker}} or none")
    if not path or not found:
        return path
    if not worker:
        raise SettingsError(
            f"{name} is {path!r} and WORKER_NAME is not set; write a name for this worker into that one"
        )
    return path.replace("{worker}", re.sub(r"[^\w.-]", "_", worker))


def _own_folder(path: str | None, name: str, settings: EdgeSettings) -> str | None:
    folder = own_path(path, name, settings.worker_name)
    if folder:
        _open(check_folder, folder, name)
    return folder


def video_fps(settings: EdgeSettings, source: FrameSource) -> float:
    """Return how many frames a second are processed where that is known, else 0."""
    fps = source.fps if source.live else settings.source_pace or source.fps
    return fps / settings.frame_stride


def _open(opener: Callable[[Path], T], path: str, name: str) -> T:
    try:
        return opener(Path(path))
    except OSError as error:
        remedy = "make room there" if error.errno in NO_ROOM else "write a path that this user may write to"
        raise SettingsError(f"{name} is {path!r}, which cannot be written: {error.strerror}; {remedy}") from None
