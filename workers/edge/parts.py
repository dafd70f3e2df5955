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
from workers.edge.frames import BufferPolicy
from workers.edge.link_quality import LinkQuality
from workers.edge.motion import GateOptions, MotionGate
from workers.edge.offload import Offloader, OffloadOptions
from workers.edge.packing import FittedJpeg, Packer
from workers.edge.send_policy import SendOptions, SendPolicy
from workers.edge.sinks.base import Sink
from workers.edge.sinks.json_lines import JsonLinesSink
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink, check_folder
from workers.edge.sinks.video import VideoSink, check_video_path
from workers.edge.sources import FrameSource
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
    cap = send_cap(settings)
    client = CloudClient(
        f"http://{url_host(settings.cloud_host)}:{settings.cloud_port}",
        prefix=settings.job_name,
        settings=ClientSettings(
            deadline_s=settings.offload_deadline_ms / 1000, max_connections=settings.offload_in_flight
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


def url_host(address: str) -> str:
    """Return a host name or an IP address as it stands in a URL. Raises SettingsError for anything else."""
    with contextlib.suppress(ValueError):
        return f"[{IPv6Address(address)}]"
    if not HOST_NAME.fullmatch(address):
        raise SettingsError(
            f"BIG_MODEL_IP is {redact(address)!r}; write a host name or an IP address, the port goes into BIG_MODEL_PORT"
        )
    return address


def prepare_sinks(settings: EdgeSettings, source: FrameSource) -> list[MakeSink]:
    """Return what makes the sinks. Raises SettingsError at once where a path cannot be written at all."""
    made: list[MakeSink] = []
    if log := own_path(settings.decisions_file, "DECISIONS_FILE", settings.worker_name):
        sink = _open(JsonLinesSink, log, "DECISIONS_FILE")
        made.append(lambda _: sink)
    folders = {
        "all_examples": settings.all_examples_dir,
        "hard_example_cloud": settings.hard_cloud_dir,
        "hard_example_edge": settings.hard_edge_dir,
    }
    all_, cloud, edge = (_own_folder(path, f"{name}_inference_output", settings) for name, path in folders.items())
    if all_ or cloud or edge:
        made.append(lambda labels: UpstreamFoldersSink(all_, cloud, edge, labels, settings.display_threshold))
    if video := own_path(settings.annotated_video, "ANNOTATED_VIDEO", settings.worker_name):
        _open(check_video_path, video, "ANNOTATED_VIDEO")
        made.append(lambda labels: VideoSink(Path(video), video_fps(settings, source), labels))
    return made


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
