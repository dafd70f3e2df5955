"""The topics of a worker and what is retained under them: its status, its description, and Home Assistant's discovery. Pure.

<prefix>/<namespace>/<service>/<source>/result        answers as they are given
<prefix>/<namespace>/<service>/<source>/correction    what changes an answer that was given before
<prefix>/<namespace>/<service>/<source>/snapshot      the picture of the result that follows, where that is wanted
<prefix>/<namespace>/<service>/workers/<worker>/status        online or offline, retained
<prefix>/<namespace>/<service>/workers/<worker>/description   JSON, retained while the worker runs
<discovery prefix>/device/<id>/config                 JSON, retained
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sedna_py import __version__
from workers.edge.sinks.event import Publisher

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
LONGEST: Final = 64  # characters of a name in a topic
MOST_CLASS_SENSORS: Final = 16  # a model of more classes gets one sensor for all, with the counts as its attributes
SHORTEST_EXPIRY_S: Final = 60
NOT_SAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")  # Home Assistant's rule


@functools.lru_cache(maxsize=1024)  # the same few names with every result
def level(name: str, unsafe: re.Pattern[str] = NOT_SAFE) -> str:
    """Return a name as one level of a topic: one that has to be changed for it gets a mark, so that two stay two."""
    safe = unsafe.sub("_", name).strip("_")[:LONGEST]
    if safe and safe == name:
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one worker."""

    prefix: str
    publisher: Publisher

    @property
    def base(self) -> str:
        """What all topics of the service begin with."""
        return f"{self.prefix}/{level(self.publisher.namespace)}/{level(self.publisher.service)}"

    def of_source(self, source: str, kind: str) -> str:
        """Return the topic of a source for `kind`: result, correction or snapshot."""
        return f"{self.base}/{level(source)}/{kind}"

    def of_worker(self, kind: str) -> str:
        """Return this worker's topic for `kind`: status or description."""
        return f"{self.base}/workers/{level(self.publisher.worker)}/{kind}"


def description(topics: Topics, sources: Sequence[str], model: str) -> dict[str, Any]:
    """Return what a worker says of itself to whoever is not Home Assistant."""
    publisher = topics.publisher
    return {
        "namespace": publisher.namespace,
        "service": publisher.service,
        "worker": publisher.worker,
        "software": f"sedna-py {__version__}",
        "model": model,
        "labels": list(publisher.labels),
        "sources": {source: topics.of_source(source, "result") for source in sources},
    }


def device_id(publisher: Publisher, source: str) -> str:
    """Return Home Assistant's name of a source: the same from every replica of the service."""
    return level(f"sedna_{publisher.namespace}_{publisher.service}_{source}", NOT_IN_AN_ID)


def discovery(topics: Topics, source: str, *, interval_s: float, snapshot: bool) -> dict[str, Any]:
    """Return a source as a device with its sensors, in the form of Home Assistant's MQTT device discovery.

    Without results the sensors become unavailable by themselves: a status topic would be one replica's, not the service's.
    Source: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
    """
    publisher = topics.publisher
    own = device_id(publisher, source)
    expiry_s = max(SHORTEST_EXPIRY_S, round(3 * interval_s))
    sensors = {
        "objects": {
            "platform": "sensor",
            "name": "Objects",
            "state_class": "measurement",
            "value_template": "{{ value_json.objects }}",
            "json_attributes_topic": topics.of_source(source, "result"),
            "json_attributes_template": "{{ value_json.counts | tojson }}",
        },
        "hard_share": {
            "platform": "sensor",
            "name": "Hard frames",
            "state_class": "measurement",
            "unit_of_measurement": "%",
            "entity_category": "diagnostic",
            "value_template": "{{ (value_json.hard_share * 100) | round(1) }}",
        },
        "cloud": {
            "platform": "binary_sensor",
            "name": "Cloud",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "value_template": "{{ {true: 'ON', false: 'OFF'}.get(value_json.cloud_online, 'None') }}",
        },
        **(_class_sensors(publisher.labels) if len(publisher.labels) <= MOST_CLASS_SENSORS else {}),
    }
    components = {
        name: {**sensor, "unique_id": f"{own}_{name}", "expire_after": expiry_s} for name, sensor in sensors.items()
    }
    if snapshot:
        components["snapshot"] = {
            "platform": "camera",
            "name": "Snapshot",
            "topic": topics.of_source(source, "snapshot"),
            "unique_id": f"{own}_snapshot",
        }
    return {
        "device": {
            "identifiers": [own],
            "name": f"{publisher.service} {source}",
            "manufacturer": "sedna-py",
            "model": "joint inference",
            "sw_version": __version__,
        },
        "origin": {"name": "sedna-py", "sw_version": __version__},
        "state_topic": topics.of_source(source, "result"),
        "components": components,
    }


def discovery_topic(prefix: str, publisher: Publisher, source: str) -> str:
    """Return where Home Assistant looks for a source."""
    return f"{prefix}/device/{device_id(publisher, source)}/config"


def _class_sensors(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    # JSON's form of a text is one that the template language reads as well, quotes and all.
    return {
        f"class_{index}": {
            "platform": "sensor",
            "name": label,
            "state_class": "measurement",
            "value_template": f"{{{{ value_json.counts.get({json.dumps(label)}, 0) }}}}",
        }
        for index, label in enumerate(labels)
    }
