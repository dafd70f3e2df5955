"""What is wrong with a service that is well formed: filters, models and metrics that do not fit together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sedna_py.api.child_names import Role
from sedna_py.api.edge_checks import edge_findings
from sedna_py.api.finding import Finding, error, warning
from sedna_py.api.joint_inference_service import HardExampleMining, JointInferenceService, Worker
from sedna_py.api.model import Model
from sedna_py.api.pod_template import Container
from sedna_py.api.scaling_checks import scaling_findings
from sedna_py.api.wording import did_you_mean, show
from sedna_py.autoscaling.scale_metric import utilization_metrics
from sedna_py.hard_example_mining import check_parameters, known_filters

FILTER_MODULE_ENV = "HEM_MODULE"
EDGE_WORKER = "workers.edge"
_MINING = ("spec", "edgeWorker", "hardExampleMining")


def check_service(service: JointInferenceService, models: Mapping[str, Model] | None = None) -> list[Finding]:
    """Check what the schema cannot; `models` are those of the service's namespace by name (None: not known here)."""
    workers: dict[str, Worker] = {"edgeWorker": service.spec.edge_worker, "cloudWorker": service.spec.cloud_worker}
    findings = list(_mining_findings(service))
    for side, worker in workers.items():
        findings += _model_findings(side, worker, models, service.namespace)
        findings += _image_findings(side, worker)
    for role, side in ((Role.EDGE, "edgeWorker"), (Role.CLOUD, "cloudWorker")):
        findings += _metric_findings(side, workers[side], utilization_metrics(service, role))
    return [*findings, *scaling_findings(service), *edge_findings(service)]


def _mining_findings(service: JointInferenceService) -> Iterator[Finding]:
    mining = service.spec.edge_worker.hard_example_mining
    if mining.name in known_filters():
        yield from _parameter_findings(mining)
        return
    worker = service.spec.edge_worker.template.spec.containers[0]
    module = worker.variable(FILTER_MODULE_ENV)
    if module is not None or _runs_own_code(worker):
        registrar = f"the module in {FILTER_MODULE_ENV}" if module is not None else "the worker's own command"
        yield warning((*_MINING, "name"), f"is {show(mining.name)}, no built-in filter; {registrar} must register it")
        return
    hint = did_you_mean(mining.name, known_filters())
    yield error(
        (*_MINING, "name"),
        f"is {show(mining.name)}, no built-in filter{hint or ';'} write one of {', '.join(known_filters())},"
        f" or name the module that registers it in env {FILTER_MODULE_ENV}",
    )


def _runs_own_code(worker: Container) -> bool:
    """Tell whether the container names a program that is not our worker, and so may register filters itself."""
    named = [*(worker.command or ()), *(worker.args or ())]
    return bool(worker.command) and not any(EDGE_WORKER in part for part in named)


def _parameter_findings(mining: HardExampleMining) -> Iterator[Finding]:
    parameters = mining.parameters or []
    index_of = {parameter.key: index for index, parameter in enumerate(parameters)}
    for found in check_parameters(mining.name, {parameter.key: parameter.value for parameter in parameters}):
        place = (*_MINING, "parameters", index_of[found.parameter])
        yield error((*place, "value"), found.message) if found.fatal else warning((*place, "key"), found.message)


def _model_findings(side: str, worker: Worker, models: Mapping[str, Model] | None, namespace: str) -> Iterator[Finding]:
    name = worker.model.name
    if models is None or name in models:
        return
    hint = did_you_mean(name, models)
    yield error(
        ("spec", side, "model", "name"),
        f"is {show(name)}, but namespace {namespace} has no such Model{hint or ';'} add it or write the name of one",
    )


def _image_findings(side: str, worker: Worker) -> Iterator[Finding]:
    for index, container in enumerate(worker.template.spec.containers):
        if not container.image:
            yield error(
                ("spec", side, "template", "spec", "containers", index, "image"),
                f"is missing; write the image of container {show(container.name)}",
            )


def _metric_findings(side: str, worker: Worker, relative: Iterable[tuple[str, str | None]]) -> Iterator[Finding]:
    if worker.hpa is None:
        return
    containers = worker.template.spec.containers
    for resource, only in relative:
        for index, container in enumerate(containers):
            if only in {None, container.name} and _request(container, resource) is None:
                yield warning(
                    ("spec", side, "template", "spec", "containers", index, "resources", "requests", resource),
                    f"is missing, so the autoscaler cannot compute the utilization of container"
                    f" {show(container.name)}; write what it needs, such as {'500m' if resource == 'cpu' else '512Mi'}",
                )
    names = [container.name for container in containers]
    for position, metric in enumerate(worker.hpa.metrics or ()):
        source = metric.container_resource
        if source is not None and source.container not in names:
            hint = did_you_mean(source.container, names)
            yield warning(
                ("spec", side, "hpa", "metrics", position, "containerResource", "container"),
                f"is {show(source.container)}, which is not in the template{hint or ';'} write {' or '.join(map(show, names))}",
            )


def _request(container: Container, resource: str) -> object:
    return container.resources.requested(resource) if container.resources is not None else None
