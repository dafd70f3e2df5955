"""What the machine can do without HTTP: full decode, pre-process, AsyncInferQueue, boxes; run as a process of its own.

    python -m tests.bench.serving.no_http PICTURES SECONDS THREADS [boxes]

with MODEL_URL and ESTIMATOR in the environment; prints pictures/s, and pictures per second of its processor time.
THREADS decode and start inferences; with `boxes` the queue's callback makes boxes of the outputs.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

from sedna_py.estimator import import_object
from sedna_py.load_test.pictures import load_pictures
from workers.inference.detector import GenericDetector
from workers.inference.engine import EngineOptions, compile_model

WARM_S = 0.5


def measure(pictures: str, seconds: float, threads: int, *, boxes: bool) -> tuple[float, float]:
    """Return pictures/s, decoded in so many threads and gone through the model; and pictures per processor second."""
    cv2.setNumThreads(1)
    jpegs = [np.frombuffer(jpeg, np.uint8) for jpeg in load_pictures([Path(pictures)])]
    reference = os.environ.get("ESTIMATOR")
    estimator = import_object(reference)() if reference else GenericDetector()
    compiled = compile_model(estimator.load(os.environ["MODEL_URL"]), EngineOptions())
    queue = ov.AsyncInferQueue(compiled, int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) + 2)
    if boxes:
        names = [output.any_name for output in compiled.outputs]

        def finish(request: ov.InferRequest, meta: object) -> None:
            estimator.postprocess({name: request.get_output_tensor(i).data for i, name in enumerate(names)}, meta)

        queue.set_callback(finish)
    feed(jpegs, estimator, queue, WARM_S, threads)
    begun, used = time.perf_counter(), time.process_time()
    done = feed(jpegs, estimator, queue, seconds, threads)
    return done / (time.perf_counter() - begun), done / (time.process_time() - used)


def feed(jpegs: list[np.ndarray], estimator, queue: ov.AsyncInferQueue, seconds: float, threads: int) -> int:
    """Send pictures through the queue until the time is over; return how many went through."""
    until = time.perf_counter() + seconds
    turn, started = count(), [0] * threads
    starting = threading.Lock()  # choosing an idle request and starting it are two steps

    def go_on(number: int) -> None:
        while time.perf_counter() < until:
            picture = cv2.imdecode(jpegs[next(turn) % len(jpegs)], cv2.IMREAD_COLOR)
            inputs, meta = estimator.preprocess(picture)
            with starting:
                queue.start_async(dict(inputs), meta)
            started[number] += 1

    feeders = [threading.Thread(target=go_on, args=(number,)) for number in range(threads)]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    queue.wait_all()
    return sum(started)


if __name__ == "__main__":
    print(*measure(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), boxes=sys.argv[4:] == ["boxes"]), flush=True)
    # The queue's last callback may still be on its way out, and Python's end would end it by SIGABRT (2026.4).
    os._exit(0)
