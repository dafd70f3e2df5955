"""What is played in each run: a load, and the service that gets it. The recorder and the test read it here."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sedna_py.simulation.trace import Trace, trace_of_rates
from tests.model_documents import LITTLE_AND_BIG

FOLDER: Final = Path(__file__).parents[2] / "data" / "recorded_runs"
SYNC_S: Final = 5.0  # Kubernetes' 15 s, and the windows in the same proportion, would take three times as long

# A model sleeps, so that a recording depends little on what else this machine does.
MODELS: Final = """
import random, time

def sleep(mean_s, spread):
    if spread:
        import math
        sigma = math.sqrt(math.log1p(spread**2))
        mean_s *= random.lognormvariate(-(sigma**2) / 2, sigma)
    time.sleep(mean_s)

class Big:
    thread_safe = True  # as many at once as INFERENCE_THREADS says

    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        sleep({cloud_s}, {cloud_spread})
        return [[1, 1, 9, 9, 0.9, 0]]

class Little:
    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        sleep({edge_s}, 0)
        return [[1, 1, 9, 9, 0.2 if data.mean() > 127 else 0.9, 0]]  # of a bright picture it is not sure
"""

_SERVICE: Final = """
apiVersion: sedna.io/v1alpha1
kind: JointInferenceService
metadata:
  name: recorded
  namespace: default
  annotations: {{autoscaling.knative.dev/window: 30s, autoscaling.knative.dev/panic-window-percentage: "20"}}
spec:
  edgeWorker:
    model: {{name: little}}
    hardExampleMining: {{name: IBT, parameters: [{{key: threshold_box, value: "0.5"}}]}}
    template:
      spec:
        containers:
          - name: little
            image: any
            command: [python, -m, workers.edge]
            env:
              - {{name: ESTIMATOR, value: "models.py:Little"}}
              - {{name: video_url, value: "push://"}}
              - {{name: LOG_LEVEL, value: WARNING}}
  cloudWorker:
    model: {{name: big}}
    template:
      spec:
        containers:
          - name: big
            image: any
            command: [python, -m, workers.cloud]
            env:
              - {{name: ESTIMATOR, value: "models.py:Big"}}
              - {{name: INFERENCE_THREADS, value: "{streams}"}}
              - {{name: MAX_WAITING, value: "{waiting}"}}
              - {{name: LOG_LEVEL, value: WARNING}}
{hpa}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `rates` is what `sedna simulate` reads; times in seconds; `hpa` the cloud worker's block, empty for none."""

    rates: str
    hpa: str = ""
    seed: int = 20
    cloud_s: float = 0.5
    cloud_spread: float = 0.0
    edge_s: float = 0.05
    streams: int = 1
    waiting: int = 12

    def load(self) -> Trace:
        """Return what comes, the same each time."""
        return trace_of_rates(self.rates.split(), random.Random(self.seed))

    def service(self) -> str:
        """Return the service's YAML."""
        hpa = f"    hpa: {self.hpa}" if self.hpa else ""
        return LITTLE_AND_BIG + _SERVICE.format(streams=self.streams, waiting=self.waiting, hpa=hpa)

    def models(self) -> str:
        """Return the code of both models."""
        return MODELS.format(cloud_s=self.cloud_s, cloud_spread=self.cloud_spread, edge_s=self.edge_s)


_SOON: Final = "behavior: {scaleDown: {stabilizationWindowSeconds: 20}}"
_REQUESTS: Final = "seconds,requests_per_second"
_FRAMES: Final = "seconds,frames_per_second,hard_share"

RUNS: Final = {
    # More than one pod can do comes at once, stays, and goes.
    "cloud_step": Run(
        f"{_REQUESTS} 0,1 20,6 110,1 180,0", f"{{maxReplicas: 6, scaleMetric: demand, scaleTarget: 0.8, {_SOON}}}"
    ),
    # It rises and falls slowly, to more than the most pods can do; requests take differently long.
    "cloud_ramp": Run(
        f"{_REQUESTS} 0,1 20,3 35,5 50,7 65,9 80,11 110,6 125,3 140,1 180,0",
        f"{{maxReplicas: 4, scaleMetric: concurrency, scaleTarget: 2, {_SOON}}}",
        cloud_spread=0.4,
    ),
    # Two short bursts; two streams a pod, and policies that let two pods come in 10 s.
    "cloud_burst": Run(
        f"{_REQUESTS} 0,2 20,16 45,2 100,16 125,2 180,0",
        "{maxReplicas: 4, scaleMetric: rps, scaleTarget: 3, behavior: {scaleUp: {policies: [{type: Pods, value: 1,"
        " periodSeconds: 10}]}, scaleDown: {stabilizationWindowSeconds: 20}}}",
        streams=2,
    ),
    # Frames through an edge: more than the little model can do for a while, and more hard ones than one cloud pod can.
    "edge_fixed": Run(f"{_FRAMES} 0,8,0.1 20,16,0.3 60,16,0.6 90,30,0.5 120,8,0.1 150,0,0", cloud_s=0.2),
    # The same with a cloud that scales, to less than is needed.
    "edge_scaled": Run(
        f"{_FRAMES} 0,6,0.1 20,16,0.9 60,26,0.9 110,6,0.1 160,0,0",
        f"{{maxReplicas: 3, scaleMetric: demand, scaleTarget: 0.8, {_SOON}}}",
        cloud_s=0.25,
    ),
}
