"""From settings to a replica's end of what it shares its sources by; None for a worker that shares nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from sedna_py.errors import SettingsError
from sedna_py.settings import redact
from sedna_py.source_list import PUSH, read_sources
from workers.edge.sharing.directory import VERSION, SharedDirectory, folder_name
from workers.edge.sharing.exchange import Exchange
from workers.edge.sources.opening import path_exists
from workers.edge.wire_format import wire_format
from workers.inference.image_codec import decode_image
from workers.settings import EdgeSettings

LOG = logging.getLogger(__name__)
SCHEMES = ("redis", "rediss")


def join(settings: EdgeSettings) -> Exchange | None:
    """Return this replica's end. FRAME_QUEUE counts where SHARED_DIR is set as well.

    Pictures that are sent to a worker are not shared: whoever sends them chooses the replica. A directory that cannot be used is
    said once, and the worker works by itself. Raises SettingsError for a FRAME_QUEUE that cannot be, SourceError for a video_url.
    """
    if not settings.frame_queue and not settings.shared_dir:
        return None
    if any(source.address.startswith(PUSH) for source in read_sources(settings.video_url, path_exists)):
        LOG.warning("sources are not shared with other replicas: one of them is push://; give it a worker of its own")
        return None
    name = folder_name(settings.namespace, settings.service_name, sources_digest(settings))
    return _redis(settings, name) if settings.frame_queue else _directory(settings, name)


def sources_digest(settings: EdgeSettings) -> str:
    """Return what two workers have in common that read the same frames and understand each other."""
    what = [
        VERSION,
        redact(settings.video_url),
        settings.frame_stride,
        settings.source_pace,
        settings.source_repeat,
        settings.source_frames,
        settings.buffer_policy,
        settings.buffer_frames,
        settings.max_frame_age_ms,
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def _directory(settings: EdgeSettings, name: str) -> Exchange | None:
    # Here and not above: most workers share nothing, and need not load it.
    from workers.edge.sharing.node_local import NodeLocal

    try:
        directory = SharedDirectory(Path(str(settings.shared_dir)), name)
    except OSError as error:
        LOG.warning(
            "sources are not shared with other replicas on this node: SHARED_DIR %r cannot be used: %s; "
            "give user %s a directory that it may write to, or unset it",
            settings.shared_dir,
            error.strerror or error,
            os.geteuid(),
        )
        return None
    LOG.info("sharing sources with the replicas on this node in %s", directory.path)
    return NodeLocal(directory)


def _redis(settings: EdgeSettings, name: str) -> Exchange:
    from workers.edge.sharing.redis_exchange import RedisExchange, RedisQueue

    url = str(settings.frame_queue)
    if urlsplit(url).scheme not in SCHEMES:
        raise SettingsError(f"FRAME_QUEUE is {redact(url)!r}; write redis://host:port/0 or rediss://host:port/0")
    wire = wire_format(settings.frame_queue_format, settings.jpeg_quality)
    exchange = RedisExchange(RedisQueue(url, name, wire.encode, decode_image))
    LOG.info("sharing sources with all replicas by %s", redact(url))
    return exchange
