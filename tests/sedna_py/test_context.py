"""Context reads the environment at use, BaseConfig once."""

import sys

import pytest

from sedna_py.context import BaseConfig, Context, read_parameters
from sedna_py.errors import SettingsError


@pytest.fixture(autouse=True)
def _unread_config():
    BaseConfig.reload()
    yield
    BaseConfig.reload()


@pytest.mark.parametrize(
    ("variables", "name", "default", "value"),
    [
        ({"input_shape": "416,736"}, "input_shape", None, "416,736"),
        ({"INPUT_SHAPE": "1"}, "input_shape", None, "1"),
        ({"input_shape": "low", "INPUT_SHAPE": "up"}, "input_shape", None, "low"),
        ({"input_shape": "low"}, "INPUT_SHAPE", None, None),
        ({"input_shape": "", "INPUT_SHAPE": "up"}, "input_shape", "d", "up"),
        ({"input_shape": ""}, "input_shape", "d", "d"),
        ({}, "input_shape", None, None),
        ({}, "input_shape", 30, 30),
        ({}, "input_shape", 0, 0),
    ],
)
def test_get_parameters(monkeypatch, variables, name, default, value):
    monkeypatch.delenv("input_shape", raising=False)
    monkeypatch.delenv("INPUT_SHAPE", raising=False)
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    assert Context.get_parameters(name, default) == value


def test_context_reads_at_use(monkeypatch):
    monkeypatch.setenv("sedna_test", "1")
    assert Context.get_parameters("sedna_test") == "1"
    monkeypatch.setenv("sedna_test", "2")
    assert Context.get_parameters("sedna_test") == "2"


@pytest.mark.parametrize(
    ("name", "parameters", "overrides", "expected"),
    [
        (None, None, {}, {}),
        ("", '[{"key":"a","value":"1"}]', {"a": 2}, {}),
        ("IBT", None, {}, {"method": "IBT", "param": {}}),
        ("IBT", "null", {}, {"method": "IBT", "param": {}}),
        ("IBT", "not json", {"a": 0.9}, {"method": "IBT", "param": {"a": 0.9}}),
        (
            "IBT",
            '[{"key":"a","value":"0.5"},{"key":"b","value":"0.6"}]',
            {"a": 0.9},
            {"method": "IBT", "param": {"a": 0.9, "b": "0.6"}},
        ),
    ],
)
@pytest.mark.parametrize("algorithm", ["HEM", "hem"])
def test_get_algorithm_from_api(monkeypatch, algorithm, name, parameters, overrides, expected):
    for variable, text in {"HEM_NAME": name, "HEM_PARAMETERS": parameters}.items():
        monkeypatch.delenv(variable, raising=False)
        if text is not None:
            monkeypatch.setenv(variable, text)
    assert Context.get_algorithm_from_api(algorithm, **overrides) == expected


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("job_name", "sedna"),
        ("lc_server", "http://127.0.0.1:9100"),
        ("data_path_prefix", "/home/data"),
        ("backend_type", "TENSORFLOW"),
        ("device_category", "CPU"),
        ("log_level", "INFO"),
        ("namespace", ""),
        ("worker_name", ""),
        ("service_name", ""),
        ("model_url", None),
        ("model_name", None),
        ("parameters", None),
        ("pretrained_model_url", "./"),
        ("transmitter", "ws"),
        ("agg_data_path", "./"),
        ("train_dataset_url", None),
    ],
)
def test_base_config_values(monkeypatch, name, default):
    monkeypatch.delenv(name.upper(), raising=False)
    assert getattr(BaseConfig, name) == default
    assert getattr(BaseConfig(), name) == default
    monkeypatch.setenv(name.upper(), "set")
    assert getattr(BaseConfig, name) == default  # read once
    BaseConfig.reload()
    assert getattr(BaseConfig, name) == "set"


def test_first_access_counts_not_the_import(monkeypatch):
    monkeypatch.setenv("MODEL_URL", "/late")
    assert BaseConfig.model_url == "/late"


def test_empty_variable_stays_empty(monkeypatch):
    monkeypatch.setenv("JOB_NAME", "")
    assert BaseConfig.job_name == ""
    assert BaseConfig().get("job_name", "other") == "other"


def test_one_instance_with_upstreams_access(monkeypatch):
    monkeypatch.setenv("MODEL_NAME", "m")
    config = BaseConfig()
    assert config is BaseConfig()
    assert config["model_name"] == "m"
    assert config["no_such"] is None
    assert config.get("no_such") == ""
    assert config.to_json()["model_name"] == "m"
    assert set(config.to_json()) >= {"job_name", "lc_server", "parameters"}
    assert "reload" not in config.to_json()


def test_assigned_value_wins(monkeypatch):
    monkeypatch.setattr(BaseConfig, "lc_server", "http://other:1")
    assert BaseConfig().lc_server == "http://other:1"


def test_update_sets_known_names_only(monkeypatch):
    config = BaseConfig()
    monkeypatch.setattr(config, "model_url", "before", raising=False)
    config.update(model_url="after", no_such="x", reload="x")
    assert config.model_url == "after"
    assert not hasattr(config, "no_such")
    assert callable(config.reload)


@pytest.mark.parametrize("data", [{"job_name": "mine"}, '{"job_name": "mine"}'])
def test_from_json_sets_values(monkeypatch, data):
    monkeypatch.setattr(BaseConfig, "job_name", "before")
    assert BaseConfig.from_json(data).job_name == "mine"
    assert BaseConfig.from_json(None).job_name == "mine"


def test_parameter_is_what_parameters_holds(monkeypatch):
    monkeypatch.setenv("PARAMETERS", '{"epochs": 3}')
    assert BaseConfig().parameter == {"epochs": 3}
    monkeypatch.delenv("PARAMETERS")
    BaseConfig.reload()
    assert BaseConfig().parameter == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", '{"epochs": 3}'),
        ("p.yaml", "epochs: 3\n"),
        ("p.yml", "epochs: 3\n"),
        ("p.py", "epochs = 1 + 2\n"),
    ],
)
def test_parameters_from_a_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert read_parameters(str(path)) == {"epochs": 3}


@pytest.mark.parametrize("text", ["{", "[1]", "no-such.json", "epochs", "no-such.yaml", "a\0.json"])
def test_unreadable_parameters_say_what_to_write(text):
    with pytest.raises(SettingsError, match=r"^PARAMETERS .*; write "):
        read_parameters(text)


def test_yaml_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "p.yaml").write_text("a: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(SettingsError, match="pip install pyyaml"):
        read_parameters(str(tmp_path / "p.yaml"))
