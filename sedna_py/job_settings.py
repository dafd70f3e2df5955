"""What `JointInference` and `BigModelService` read from their environment: upstream's variables, and ours beside them.

The last three change what a script sees, so upstream's behaviour stays until they are set.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sedna_py.settings import Settings


class ModelSettings(Settings):
    """Where the model is, beside MODEL_URL."""

    load_mode: str = Field(
        "file",
        alias="MODEL_LOAD_MODE",
        description="file (the path must exist) or anything else (MODEL_URL is not checked)",
    )
    model_path: str | None = Field(None, alias="model_path", description="the model's path, if MODEL_URL is a folder")


class BigModelSettings(Settings):
    """Where the cloud worker listens."""

    host: str = Field(
        "0.0.0.0",  # noqa: S104 - a server in a pod; upstream's "own address" falls back to loopback without a route
        alias="BIG_MODEL_BIND_IP",
        description="the address to listen on",
    )
    port: int = Field(5000, alias="BIG_MODEL_BIND_PORT", ge=1, le=65535, description="a port from 1 to 65535")


class JointInferenceSettings(Settings):
    """How the edge asks the cloud and reports."""

    cloud_host: str | None = Field(
        None, alias="BIG_MODEL_IP", description="the cloud worker's address; unset: this host"
    )
    cloud_port: int = Field(5000, alias="BIG_MODEL_PORT", ge=1, le=65535, description="a port from 1 to 65535")
    cloud_pods: str = Field(
        "",
        alias="BIG_MODEL_PODS",
        description="host:port of a headless Service whose pods are asked directly; unset: BIG_MODEL_IP is asked",
    )
    # A script's frames are JSON unless it says otherwise, and a language model takes seconds: five times the edge worker's.
    offload_deadline_ms: int = Field(
        10_000, alias="OFFLOAD_DEADLINE_MS", ge=1, le=600_000, description="milliseconds to wait for the cloud at most"
    )
    offload_format: Literal["json", "npy"] = Field(
        "json", alias="OFFLOAD_FORMAT", description="json (any server) or npy (images as raw bytes; our server)"
    )
    lc_server: str | None = Field(
        None, alias="LC_SERVER", description="http://host:port that takes the inference counts; unset: none are sent"
    )
    lc_period_s: float = Field(30.0, alias="LC_PERIOD", gt=0, le=86400, description="seconds between those reports")
    unwrap_reply: bool = Field(
        False,
        alias="UNWRAP_CLOUD_REPLY",
        description="true: mining-then-inference gives the cloud's list instead of the whole reply {'result': [...]}",
    )
    cloud_post_process: bool = Field(
        False,
        alias="CLOUD_POST_PROCESS",
        description="true: a post_process given by name is also run by the cloud worker, which must have it registered",
    )
    count_hard_once: bool = Field(
        False, alias="COUNT_HARD_ONCE", description="true: a hard example counts as one inference, not two"
    )
