"""The autoscaling block of a worker: a part of autoscaling/v2, passed on as it was written, and short forms beside it.

Source of the shapes: the Kubernetes API reference, HorizontalPodAutoscaler v2; of scaleMetric and scaleTarget: KServe, v1beta1.
What the short forms become is in sedna_py.autoscaling.scale_metric.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sedna_py.api.base import ApiModel, Count, Positive, Quantity, problem

ScaleMetric = Literal["concurrency", "rps", "cpu", "memory", "streams", "demand", "latency"]
AutoscalerClass = Literal["hpa", "none", "external"]

SCALE_METRICS: Final[tuple[ScaleMetric, ...]] = get_args(ScaleMetric)
AUTOSCALER_CLASSES: Final[tuple[AutoscalerClass, ...]] = get_args(AutoscalerClass)
# In percent of the requests, or in milliseconds: what Kubernetes keeps no fraction of.
WHOLE_METRICS: Final[tuple[ScaleMetric, ...]] = ("cpu", "memory", "latency")
METRICS_WITHOUT_DEFAULT: Final[tuple[ScaleMetric, ...]] = ("memory", "latency")

# What is refused, here and by the CRD in the same words.
TWO_FORMS: Final = "and metrics say the same in two forms; write one of them, and remove the other"
TARGET_OF_NOTHING: Final = "says nothing without scaleMetric; write scaleMetric beside it, such as concurrency"
TARGET_MISSING: Final = "is missing; write it, as memory and latency have no target that suits all models"
NOT_WHOLE: Final = "is no whole number; write percent of the requests (cpu, memory) or milliseconds (latency)"

SOURCE_OF_TYPE = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


class MetricTarget(ApiModel):
    """The value that the autoscaler aims at."""

    type: Literal["Utilization", "Value", "AverageValue"] = Field(description="Which of the values it is.")
    average_utilization: Positive | None = Field(default=None, description="Mean use, in percent of the requests.")
    average_value: Quantity | None = Field(default=None, description="Mean over the pods.")
    value: Quantity | None = Field(default=None, description="The metric itself.")

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        if self.average_utilization is None and self.average_value is None and self.value is None:
            field = {"Utilization": "averageUtilization", "Value": "value", "AverageValue": "averageValue"}[self.type]
            raise problem(f"is missing; write it, as type is {self.type}", (field,))
        return self


class MetricIdentifier(ApiModel):
    """Which metric."""

    name: str = Field(min_length=1, description="Name of the metric.")
    selector: dict[str, Any] | None = Field(default=None, description="Labels of the series.")


class ResourceSource(ApiModel):
    """A resource of the pods, all containers together."""

    name: str = Field(min_length=1, description="Such as cpu or memory.")
    target: MetricTarget = Field(description="The aim.")


class ContainerResourceSource(ApiModel):
    """A resource of one container of each pod."""

    name: str = Field(min_length=1, description="Such as cpu or memory.")
    container: str = Field(min_length=1, description="Name of the container.")
    target: MetricTarget = Field(description="The aim.")


class PodsSource(ApiModel):
    """A custom metric of each pod."""

    metric: MetricIdentifier = Field(description="Which metric.")
    target: MetricTarget = Field(description="The aim.")


class ObjectReference(ApiModel):
    """A Kubernetes object of the same namespace."""

    api_version: str | None = Field(default=None, description="API group and version.")
    kind: str = Field(min_length=1, description="Kind of the object.")
    name: str = Field(min_length=1, description="Name of the object.")


class ObjectSource(ApiModel):
    """A custom metric of one object."""

    described_object: ObjectReference = Field(description="The object that the metric describes.")
    metric: MetricIdentifier = Field(description="Which metric.")
    target: MetricTarget = Field(description="The aim.")


class ExternalSource(ApiModel):
    """A metric that belongs to no object of the cluster."""

    metric: MetricIdentifier = Field(description="Which metric.")
    target: MetricTarget = Field(description="The aim.")


class MetricSpec(ApiModel):
    """One metric of the autoscaler; the block must be the one that `type` names."""

    type: Literal["Resource", "ContainerResource", "Pods", "Object", "External"] = Field(description="Kind of metric.")
    resource: ResourceSource | None = Field(default=None, description="For type Resource.")
    container_resource: ContainerResourceSource | None = Field(default=None, description="For type ContainerResource.")
    pods: PodsSource | None = Field(default=None, description="For type Pods.")
    object: ObjectSource | None = Field(default=None, description="For type Object.")
    external: ExternalSource | None = Field(default=None, description="For type External.")

    @model_validator(mode="after")
    def _block_fits_type(self) -> Self:
        wanted = SOURCE_OF_TYPE[self.type]
        present = self.model_dump(by_alias=True, exclude_none=True, exclude={"type"})
        if wanted not in present:
            raise problem(f"is missing; write it, as type is {self.type}", (wanted,))
        for other in present:
            if other != wanted:
                raise problem(f"does not belong to type {self.type}; remove it", (other,))
        return self


class ScalingPolicy(ApiModel):
    """A limit of the speed of scaling."""

    type: Literal["Pods", "Percent"] = Field(description="Whether value counts pods or percent of the pods.")
    value: Positive = Field(description="How many may be added or removed in one period.")
    period_seconds: Annotated[int, Field(ge=1, le=1800)] = Field(description="Length of the period, in seconds.")


class ScalingRules(ApiModel):
    """How fast and how steadily the autoscaler scales in one direction."""

    policies: list[ScalingPolicy] | None = Field(default=None, description="Limits of the speed.")
    select_policy: Literal["Max", "Min", "Disabled"] | None = Field(default=None, description="Which policy counts.")
    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        default=None, description="How far back recommendations are remembered, in seconds."
    )
    tolerance: Quantity | None = Field(default=None, description="Relative change of the metric that is ignored.")


class Behavior(ApiModel):
    """How the autoscaler behaves up and down."""

    scale_up: ScalingRules | None = Field(default=None, description="Towards more pods.")
    scale_down: ScalingRules | None = Field(default=None, description="Towards fewer pods.")


class Hpa(ApiModel):
    """The HorizontalPodAutoscaler of one worker."""

    autoscaler_class: AutoscalerClass | None = Field(
        default=None,
        alias="class",
        description="hpa, the default, makes an autoscaler; none and external make none: replicas are yours, or KEDA's.",
    )
    min_replicas: Positive | None = Field(default=None, description="Fewest pods; Kubernetes takes 1 when absent.")
    max_replicas: Positive = Field(description="Most pods.")
    scale_metric: ScaleMetric | None = Field(default=None, description="What to scale by, in place of metrics.")
    scale_target: Annotated[float, Field(ge=0.01, le=1e6, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Mean of a pod to aim at: requests, requests/s, a ratio, percent of the requests for cpu and memory,"
        " or ms of latency.",
    )
    metrics: list[MetricSpec] | None = Field(
        default=None, description="What to scale by; Kubernetes takes 80 % CPU utilization when absent."
    )
    behavior: Behavior | None = Field(default=None, description="Speed and steadiness of scaling.")

    @field_validator("max_replicas")
    @classmethod
    def _max_is_not_below_min(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("min_replicas") or 1
        if value < least:
            raise problem(f"is {value}, less than minReplicas {least}; write maxReplicas >= {least}")
        return value

    @model_validator(mode="after")
    def _short_form_is_whole_and_alone(self) -> Self:
        metric, target = self.scale_metric, self.scale_target
        if self.metrics and (metric is not None or target is not None):
            raise problem(TWO_FORMS, ("scaleMetric" if metric is not None else "scaleTarget",))
        if metric is None and target is not None:
            raise problem(TARGET_OF_NOTHING, ("scaleTarget",))
        if metric in METRICS_WITHOUT_DEFAULT and target is None:
            raise problem(TARGET_MISSING, ("scaleTarget",))
        if metric in WHOLE_METRICS and target is not None and not target.is_integer():
            raise problem(NOT_WHOLE, ("scaleTarget",))
        return self

    @property
    def fewest(self) -> int:
        """The fewest pods."""
        return self.min_replicas if self.min_replicas is not None else 1


class CloudHpa(Hpa):
    """The HorizontalPodAutoscaler of the cloud worker."""

    min_replicas: Count | None = Field(
        default=None, description="Fewest pods; Kubernetes takes 1 when absent. 0 lets an idle worker have none."
    )
    early_warning: Annotated[float, Field(ge=0.01, le=10, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Also scale by the work that edges announce: the share of a pod that it may take, such as 0.7.",
    )
