"""From the environment to what the server runs with, and the small parts of `serve`."""

from __future__ import annotations

import pytest

from sedna_py.errors import ManifestError, ModelError
from workers.cloud.__main__ import server_options
from workers.cloud.big_model import Limits
from workers.cloud.exchange import ExchangeLimits
from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions
from workers.program import explain
from workers.settings import CloudSettings


def test_every_bound_arrives_where_it_holds() -> None:
    settings = CloudSettings.from_environment(
        {
            "MODEL_URL": "m",
            "BIG_MODEL_BIND_IP": "127.0.0.1",
            "BIG_MODEL_BIND_PORT": "5001",
            "LAME_DUCK_S": "4",
            "DRAIN_S": "3",
            "MAX_CONCURRENCY": "2",
            "MAX_WAITING": "5",
            "MAX_IMAGE_PIXELS": "1000",
            "MAX_BODY_BYTES": "2048",
            "JOB_NAME": "helmet",
            "REQUEST_TIMEOUT_S": "7",
            "LC_SERVER": "http://10.0.0.1:9100",
        }
    )
    assert server_options(settings) == ServerOptions(
        host="127.0.0.1",
        port=5001,
        lame_duck_s=4,
        drain_s=3,
        limits=Limits(concurrency=2, waiting=5, image_pixels=1000, body_bytes=2048),
        routes=RouteOptions("helmet", "model", ExchangeLimits(max_body_bytes=2048, timeout_s=7)),
        lc_server="http://10.0.0.1:9100",
    )


def test_the_defaults_agree() -> None:
    settings = CloudSettings.from_environment({"MODEL_URL": "m"})
    assert server_options(settings) == ServerOptions()


@pytest.mark.parametrize(
    ("error", "line"), [(ModelError("no model"), "no model"), (ManifestError(["one", "two"]), "one; two")]
)
def test_an_error_is_one_line(error: ModelError | ManifestError, line: str) -> None:
    assert explain(error) == line
