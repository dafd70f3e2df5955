"""docs/sinks.md speaks of what there is, and its YAML is accepted."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from sedna_py.local.manifests import load_manifests
from sedna_py.metrics import names
from tests.workers.edge.sink_fakes import LABELS, answer, settings
from workers.edge.sinks.event import Publisher, event
from workers.edge.sinks.mqtt import MqttOptions
from workers.edge.sinks.outbox import SinkCause
from workers.edge.sinks.remote import prepare_remote_sinks
from workers.settings import EdgeSettings
from workers.sink_settings import SinkSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sinks.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "helmet_detection" / "service.yaml"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(beginning: str) -> str:
    """Return the indented block that begins so."""
    found = re.search(rf"(?:^    {re.escape(beginning)}.*\n)(?:^    .*\n)*", PAGE, re.MULTILINE)
    assert found, beginning
    return textwrap.dedent(found[0])


def test_the_yaml_is_accepted_in_a_service(tmp_path):
    documents = list(yaml.safe_load_all(EXAMPLE.read_text()))
    pod = documents[-1]["spec"]["edgeWorker"]["template"]["spec"]
    for name, added in yaml.safe_load(block("env:")).items():
        pod["containers"][0].setdefault(name, []).extend(added)
    pod["volumes"].extend(yaml.safe_load(block("volumes:"))["volumes"])
    path = tmp_path / "service.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    loaded = load_manifests([path])
    assert [service.name for service in loaded.services] == ["helmet-detection-inference-example"]


def test_a_worker_takes_what_the_yaml_sets(tmp_path, monkeypatch):
    env = {one["name"]: one.get("value", SECRET) for one in yaml.safe_load(block("env:"))["env"]}
    assert set(env) <= {field.alias for field in EdgeSettings.model_fields.values()}
    assert env.pop("MQTT_CA_FILE").startswith("/etc/sinks/")
    assert len(prepare_remote_sinks(settings(**env))) == 2
    address = MqttOptions.read(settings(**env)).address
    assert (str(address), address.prefix, address.user) == ("mqtts://broker.example:8883", "plant", "edge")


def test_the_example_of_a_result_has_the_fields_of_one():
    shown = json.loads(block('{"id"'))
    made = event(answer(1).record, Publisher("n", "s", "w", LABELS), hard_share=0.0, cloud_online=None)
    assert list(shown) == list(made)


def test_every_setting_and_metric_that_it_names_exists():
    known = {field.alias for field in EdgeSettings.model_fields.values()}
    named = set(re.findall(r"`((?:MQTT|WEBHOOK|DECISIONS|ANNOTATED)_[A-Z_]+)", PAGE))
    assert named <= known
    metrics = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    assert set(re.findall(r"sedna_edge_sink_[a-z_]+", PAGE)) <= metrics


@pytest.mark.parametrize("cause", list(SinkCause))
def test_every_cause_is_explained(cause):
    assert f"`{cause}`" in PAGE


def test_every_setting_of_the_sinks_has_a_group_of_its_own():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    section = page.split("\n## Edge worker: MQTT and webhook\n", 1)[1].split("\n## ", 1)[0]
    assert all(f"`{field.alias}`" in section for field in SinkSettings.model_fields.values())
