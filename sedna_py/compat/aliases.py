"""Which of our objects stands behind which of upstream's import paths: data, nothing is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_FILTERS = "sedna_py.hard_example_mining:"
_CLIENT = "sedna_py.compat.service_client:"
_CONSTANT = "sedna_py.compat.constant:"
_JOINT_INFERENCE = {
    "BigModelService": "sedna_py.big_model_service:BigModelService",
    "JointInference": "sedna_py.joint_inference:JointInference",
}

# Module -> name in it -> "module:object" of ours. A module that others lie below is a package.
ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "sedna": {"__version__": _CONSTANT + "UPSTREAM_VERSION"},
    "sedna.algorithms": {},
    "sedna.algorithms.hard_example_mining": {},
    "sedna.algorithms.hard_example_mining.hard_example_mining": {
        name: _FILTERS + name
        for name in (
            "BaseFilter",
            "BertRouterFilter",
            "CloudOnlyFilter",
            "CrossEntropyFilter",
            "EdgeOnlyFilter",
            "IBTFilter",
            "RandomFilter",
            "ThresholdFilter",
        )
    },
    "sedna.common": {},
    "sedna.common.class_factory": {
        "ClassFactory": "sedna_py.class_factory:ClassFactory",
        "ClassType": "sedna_py.class_factory:ClassType",
    },
    "sedna.common.config": {"BaseConfig": "sedna_py.context:BaseConfig", "Context": "sedna_py.context:Context"},
    "sedna.common.constant": {
        "K8sResourceKind": _CONSTANT + "K8sResourceKind",
        "K8sResourceKindStatus": _CONSTANT + "K8sResourceKindStatus",
    },
    "sedna.common.file_ops": {"FileOps": "sedna_py.file_ops:FileOps"},
    "sedna.common.log": {"LOGGER": "sedna_py.job:LOGGER"},
    "sedna.common.utils": {"get_host_ip": "sedna_py.host_address:get_host_ip"},
    "sedna.core": {},
    "sedna.core.base": {"JobBase": "sedna_py.job:JobBase"},
    "sedna.core.joint_inference": _JOINT_INFERENCE,
    "sedna.core.joint_inference.joint_inference": _JOINT_INFERENCE,
    "sedna.service": {},
    "sedna.service.client": {
        name: _CLIENT + name for name in ("LCClient", "LCReporter", "ModelClient", "http_request")
    },
    "sedna.service.server": {"InferenceServer": "sedna_py.compat.inference_server:InferenceServer"},
}
