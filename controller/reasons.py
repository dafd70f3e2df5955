"""Why a service is as it is: the closed list of reasons in its conditions and events."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One CamelCase word for one cause; the message beside it has the names and the remedy."""

    # the service as it was written
    ACCEPTED = "Accepted"
    ACCEPTED_WITH_WARNINGS = "AcceptedWithWarnings"
    INVALID_SPEC = "InvalidSpec"

    # what a worker needs before its Deployment can be made
    MODEL_MISSING = "ModelMissing"
    MODEL_INVALID = "ModelInvalid"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a password
    SECRET_INVALID = "SecretInvalid"  # noqa: S105

    CLOUD_ADDRESS_PENDING = "CloudAddressPending"  # where edges reach the cloud worker is not known yet

    # what the API server says to a child
    REFUSED = "Refused"  # 422 or 400: the template is not a valid one
    FORBIDDEN = "Forbidden"  # 403, of RBAC, admission or a quota
    NAME_TAKEN = "NameTaken"  # an object of that name belongs to somebody else
    API_UNAVAILABLE = "ApiUnavailable"

    # a worker's pods
    READY = "Ready"
    PARTLY_READY = "PartlyReady"  # at least one pod serves, another one cannot
    STARTING = "Starting"
    SCALED_TO_ZERO = "ScaledToZero"
    ASLEEP = "Asleep"  # the controller has taken the last pod, and answers in its place
    WAKING = "Waking"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOP = "CrashLoop"
    OOM_KILLED = "OOMKilled"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    INIT_FAILED = "InitFailed"  # an init container, such as the download of the model, ends with an error
    UNSCHEDULABLE = "Unschedulable"
    NODE_MISSING = "NodeMissing"  # spec.nodeName names no node
    NODE_NOT_READY = "NodeNotReady"
    EDGE_OFFLINE = "EdgeOffline"  # nothing is heard of the edge's nodes; its pods go on there
    POD_REJECTED = "PodRejected"  # the node refused the pod, for a port or a resource
    EVICTED = "Evicted"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_CREATION_FAILED = "PodCreationFailed"
    SANDBOX_FAILED = "SandboxFailed"  # the node cannot make the pod's network or namespaces
    VOLUME_MISSING = "VolumeMissing"  # such as a hostPath that does not exist
    NOT_READY = "NotReady"  # runs, and its readiness probe fails
    ROLLOUT_STUCK = "RolloutStuck"
    DELETING = "Deleting"

    # the edge's way to the cloud worker
    CLOUD_REACHED = "CloudReached"
    CLOUD_UNREACHABLE = "CloudUnreachable"
    CLOUD_NOT_READY = "CloudNotReady"

    # a worker's autoscaler
    SCALING = "Scaling"
    AT_LIMIT = "AtLimit"  # wants more pods than the range allows; fewer is how an idle worker is
    NO_RESOURCE_REQUEST = "NoResourceRequest"
    METRIC_UNAVAILABLE = "MetricUnavailable"
    SCALING_DISABLED = "ScalingDisabled"

    # events about what the controller did
    CREATED = "Created"
    UPDATED = "Updated"
    REPAIRED = "Repaired"
    DELETED = "Deleted"
