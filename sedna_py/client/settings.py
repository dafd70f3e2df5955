"""Settings of the cloud client: each with its unit, default and reason."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sedna_py.client.circuit_breaker import BreakerPolicy


class ClientSettings(BaseModel):
    """How long, how many and how much; the defaults suit frames of a live video."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    connect_timeout_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds to make a connection. A cut-off edge may get no refusal at all, so it is short.",
    )
    pod_connect_timeout_s: float = Field(
        default=0.5,
        gt=0,
        description="Seconds to make a connection to a pod, or to probe it. Shorter, as there are others to go to.",
    )
    deadline_s: float = Field(
        default=2.0,
        gt=0,
        description="Seconds from call to decoded reply, all included. A later answer is of no use to a live video.",
    )
    max_connections: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Requests on their way at most, to all pods together. Bounds what a slow cloud can hold up here.",
    )
    keepalive_s: float = Field(
        default=5.0,
        ge=0,
        description="Seconds an idle connection is kept. Saves a round trip; one that outlives an outage may be dead.",
    )
    connection_age_s: float = Field(
        default=2.0,
        gt=0,
        description="Seconds, give or take a fifth, until connections to a Service are replaced. It chooses a pod once a "
        "connection, so only new ones reach new pods.",
    )
    retry_ratio: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Retries for each request, over time. A cloud in trouble must not get twice the load.",
    )
    max_reply_bytes: int = Field(
        default=8_000_000,
        ge=1,
        description="Bytes of a reply at most. Thousands of boxes fit; no server can fill the memory.",
    )
    failure_threshold: int = Field(
        default=5,
        ge=1,
        description="Failures in a row that open the circuit. Forgives a hiccup, yet acts within a second of video.",
    )
    cooldown_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds until the first probe of an open circuit. Short, as most breaks of a link are.",
    )
    backoff_factor: float = Field(
        default=2.0,
        ge=1,
        description="Growth of the cool-down with every failed probe. Spares the network during long outages.",
    )
    max_cooldown_s: float = Field(
        default=2.0,
        gt=0,
        description="Seconds between probes at most. Bounds how late the return of the cloud is noticed.",
    )
    probe_timeout_s: float = Field(
        default=5.0,
        gt=0,
        description="Seconds after which a probe that never came back is replaced. Longer than a request's deadline.",
    )

    @model_validator(mode="after")
    def _cooldown_fits(self) -> Self:
        if self.max_cooldown_s < self.cooldown_s:
            raise ValueError(f"max_cooldown_s is {self.max_cooldown_s}; write at least cooldown_s ({self.cooldown_s})")
        return self

    def breaker_policy(self) -> BreakerPolicy:
        """Return the part that the circuit breaker needs."""
        return BreakerPolicy(
            failure_threshold=self.failure_threshold,
            cooldown_s=self.cooldown_s,
            backoff_factor=self.backoff_factor,
            max_cooldown_s=self.max_cooldown_s,
            probe_timeout_s=self.probe_timeout_s,
        )
