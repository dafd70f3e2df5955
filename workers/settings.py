"""What the two workers read from their environment: the contract's variables, and ours beside them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sedna_py.settings import Settings
from workers.sink_settings import SinkSettings

MIB = 1024 * 1024


class WorkerSettings(Settings):
    """What both workers need to know."""

    namespace: str = Field("", alias="NAMESPACE", description="the namespace of the service")
    service_name: str = Field("", alias="SERVICE_NAME", description="the name of the JointInferenceService")
    worker_name: str = Field("", alias="WORKER_NAME", description="a name for this worker, unique in its service")
    job_name: str = Field("sedna", alias="JOB_NAME", description="the URL prefix of the cloud worker, 'sedna' upstream")
    model_url: str = Field(alias="MODEL_URL", description="the path of the model file, or of the folder that has it")
    model_name: str | None = Field(None, alias="MODEL_NAME", description="the file name of the model in that folder")
    estimator: str | None = Field(
        None,
        alias="ESTIMATOR",
        description="package.module:Class or path/to/file.py:Class of your own model code;"
        " a relative path is looked for in the working directory, then in the model's folder",
    )
    detection_threshold: float | None = Field(
        None,
        alias="DETECTION_THRESHOLD",
        ge=0,
        le=1,
        description="a number from 0 to 1: boxes with a lower score are not detections (default: the model's own)",
    )
    model_type: str | None = Field(
        None,
        alias="MODEL_TYPE",
        description="the openvino-model-api family of a model that does not say it: YOLO11, SSD, ...",
    )
    streams: int = Field(
        0,
        alias="INFERENCE_STREAMS",
        ge=0,
        le=256,
        description="how many frames the model works on at once; 0 = automatic",
    )
    threads: int = Field(
        0,
        alias="INFERENCE_THREADS",
        ge=0,
        le=1024,
        description="how many threads the model computes with; 0 = automatic, after the container's cpu limit",
    )
    batch_size: int = Field(
        1,
        alias="BATCH_SIZE",
        ge=1,
        le=256,
        description="how many frames may go through the model together; 1 = each alone, which on a CPU is nearly always faster",
    )
    batch_delay_ms: float = Field(
        2.0,
        alias="BATCH_DELAY_MS",
        ge=0,
        le=10_000,
        description="milliseconds that the first frame of a batch waits for more",
    )
    device: str = Field("CPU", alias="INFERENCE_DEVICE", description="an OpenVINO device: CPU, GPU, NPU or AUTO")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["text", "json"] = Field("text", alias="LOG_FORMAT", description="text or json")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()


class RelaySettings(Settings):
    """Where a cloud worker passes edge workers' reports on to."""

    lc_server: str | None = Field(
        None,
        alias="LC_SERVER",
        description="http://host:port of the controller, which edge workers' reports are passed on to; unset: they are dropped",
    )


class DrainSettings(Settings):
    """How a cloud worker ends."""

    lame_duck_s: float = Field(
        5.0,
        alias="LAME_DUCK_S",
        ge=0,
        le=300,
        description="seconds in which requests are still taken after SIGTERM, fewer if none comes for 2 s; 0 = none",
    )
    drain_s: float = Field(
        10.0, alias="DRAIN_S", ge=0, le=600, description="seconds that requests under way get to end after that"
    )


class ServingSettings(RelaySettings, DrainSettings):
    """What a script's own server (`BigModelService`) takes from its environment."""


class CloudSettings(ServingSettings, WorkerSettings):
    """What the cloud worker needs to know."""

    bind_ip: str = Field(
        "0.0.0.0",  # noqa: S104 - a server in a pod; upstream's "own address" falls back to loopback without a route
        alias="BIG_MODEL_BIND_IP",
        description="the address to listen on",
    )
    bind_port: int = Field(5000, alias="BIG_MODEL_BIND_PORT", ge=1, le=65535, description="a port from 1 to 65535")
    max_concurrency: int = Field(
        0,
        alias="MAX_CONCURRENCY",
        ge=0,
        le=1024,
        description="requests in the model at once; 0 = what the model can use",
    )
    max_waiting: int = Field(
        64, alias="MAX_WAITING", ge=0, le=100_000, description="requests that may wait; more are answered 429"
    )
    max_wait_ms: int = Field(
        0,
        alias="MAX_WAIT_MS",
        ge=0,
        le=3_600_000,
        description="milliseconds that a request may have to wait, by the rate of the moment; one that would wait longer is "
        "answered 429 at once; 0 = as long as its own deadline",
    )
    max_body_bytes: int = Field(
        64 * MIB, alias="MAX_BODY_BYTES", ge=1024, description="bytes of the largest request body; more is answered 413"
    )
    max_image_pixels: int = Field(
        50_000_000, alias="MAX_IMAGE_PIXELS", ge=1, description="pixels of the largest picture; more is answered 413"
    )
    model_version: str = Field(
        "latest",
        alias="MODEL_VERSION",
        description="latest, or the number of a version folder (1/, 2/, ...) at MODEL_URL that is served whatever else is there",
    )
    hot_update: bool = Field(
        False,
        alias="MODEL_HOT_UPDATE",
        description="true: a new or changed model at MODEL_URL replaces the one that serves, without an end of the service",
    )
    poll_period_s: float = Field(
        2.0,
        alias="MODEL_POLL_PERIOD_SECONDS",
        ge=0.1,
        le=86400,
        description="seconds between two looks at MODEL_URL for MODEL_HOT_UPDATE",
    )
    access_log: float = Field(
        0.0,
        alias="ACCESS_LOG",
        ge=0,
        le=1,
        description="the part of the requests that get a line in the log, 0.01 for every hundredth; 0 = none",
    )
    request_timeout_s: float = Field(
        30.0, alias="REQUEST_TIMEOUT_S", gt=0, le=3600, description="seconds for a request that brings no deadline"
    )


class EdgeSettings(SinkSettings, WorkerSettings):
    """What the edge worker needs to know."""

    video_url: str = Field(
        alias="video_url",
        description="a video file, a folder of pictures, watch: and a folder that they arrive in, a camera's number, an "
        "rtsp:// or http(s):// address, or push:// for pictures that are sent here; several with commas between, or as JSON",
    )
    frame_stride: int = Field(1, alias="FRAME_STRIDE", ge=1, description="1 for every frame, n for every n-th")
    source_pace: float = Field(
        0.0,
        alias="SOURCE_PACE",
        ge=0,
        le=1000,
        description="frames/s at which a file is played as a camera would; 0 = as fast as it can be processed",
    )
    source_repeat: int = Field(
        1, alias="SOURCE_REPEAT", ge=0, description="how often a file or folder is played; 0 = for ever"
    )
    source_frames: int = Field(
        0, alias="SOURCE_FRAMES", ge=0, description="how many frames are taken of each source before it ends; 0 = all"
    )
    buffer_frames: int = Field(
        16,
        alias="BUFFER_FRAMES",
        ge=1,
        le=1024,
        description="frames between the sources and the model, 1 to 1024, and no fewer than there are sources",
    )
    buffer_policy: Literal["auto", "wait", "drop-oldest"] = Field(
        "auto",
        alias="BUFFER_POLICY",
        description="auto (files wait, live sources drop the oldest), wait, or drop-oldest",
    )
    max_frame_age_ms: int = Field(
        1000,
        alias="MAX_FRAME_AGE_MS",
        ge=0,
        le=3_600_000,
        description="milliseconds after which a frame of a live source that still waits is dropped; 0 = never. Frames of files, "
        "and of any source under BUFFER_POLICY=wait, never are",
    )
    max_body_bytes: int = Field(
        16 * MIB,
        alias="MAX_BODY_BYTES",
        ge=1024,
        description="bytes of the largest picture that is taken for push://; more is answered 413",
    )
    max_image_pixels: int = Field(
        50_000_000,
        alias="MAX_IMAGE_PIXELS",
        ge=1,
        description="pixels of the largest picture that is taken for push://; more is answered 413",
    )
    shared_dir: str | None = Field(
        None,
        alias="SHARED_DIR",
        description="a directory of this node in which replicas of this worker share their sources: one captures, and every "
        "frame goes to one of them; unset: each worker captures for itself",
    )
    frame_queue: str | None = Field(
        None,
        alias="FRAME_QUEUE",
        description="redis://host:port/0 or rediss://... that replicas on different nodes share their sources by, instead of "
        "SHARED_DIR",
    )
    frame_queue_format: Literal["jpeg", "png"] = Field(
        "jpeg",
        alias="FRAME_QUEUE_FORMAT",
        description="what a frame travels as in FRAME_QUEUE: jpeg (of JPEG_QUALITY), or png, which loses nothing",
    )
    mining_mode: Literal["inference-then-mining", "mining-then-inference"] = Field(
        "inference-then-mining", alias="MINING_MODE", description="inference-then-mining or mining-then-inference"
    )
    hem_name: str | None = Field(None, alias="HEM_NAME", description="the name of a filter; unset: no frame is hard")
    hem_parameters: str | None = Field(
        None, alias="HEM_PARAMETERS", description='JSON: [{"key": "...", "value": "..."}]'
    )
    hem_module: str | None = Field(
        None,
        alias="HEM_MODULE",
        description="the module or .py file that registers your own filter, looked for as ESTIMATOR is",
    )
    display_threshold: float = Field(
        0.0,
        alias="DISPLAY_THRESHOLD",
        ge=0,
        le=1,
        description="a number from 0 to 1: boxes with a lower score are left out of the answer, after the filter saw them",
    )
    cloud_host: str = Field(
        "", alias="BIG_MODEL_IP", description="the cloud worker's address; unset: no cloud is asked"
    )
    cloud_port: int = Field(5000, alias="BIG_MODEL_PORT", ge=1, le=65535, description="a port from 1 to 65535")
    cloud_pods: str = Field(
        "",
        alias="BIG_MODEL_PODS",
        description="host:port of a headless Service whose pods are asked directly, or file: and the path of a file with an "
        "address a line; unset, or where they cannot be reached: BIG_MODEL_IP is asked",
    )
    cloud_model: str = Field(
        "",
        alias="BIG_MODEL_NAME",
        description="the name of a model on a server of the Open Inference Protocol (v2), which is asked then instead of a "
        "cloud worker; unset: Sedna's own protocol",
    )
    offload_deadline_ms: int = Field(
        2000,
        alias="OFFLOAD_DEADLINE_MS",
        ge=1,
        le=600_000,
        description="milliseconds until a hard frame must be answered",
    )
    offload_in_flight: int = Field(
        8,
        alias="OFFLOAD_IN_FLIGHT",
        ge=1,
        le=256,
        description="requests to the cloud at once at most, 1 to 256; fewer while it answers slowly",
    )
    offload_waiting: int = Field(
        8,
        alias="OFFLOAD_WAITING",
        ge=0,
        le=1024,
        description="hard frames that may wait for a request at most, 0 to 1024",
    )
    offload_when_full: Literal["edge-answer", "wait"] = Field(
        "edge-answer",
        alias="OFFLOAD_WHEN_FULL",
        description="edge-answer (the edge never waits) or wait (for measurements on files)",
    )
    offload_format: Literal["jpeg", "png", "npy", "json"] = Field(
        "jpeg",
        alias="OFFLOAD_FORMAT",
        description="what a hard frame travels as: jpeg, png, npy, or json (for a cloud worker of upstream)",
    )
    emit: Literal["final", "edge-first"] = Field(
        "final",
        alias="EMIT",
        description="final (one answer a frame) or edge-first (a hard frame's edge answer at once, and a correction when the "
        "cloud has answered or failed)",
    )
    offline_queue_dir: str | None = Field(
        None,
        alias="OFFLINE_QUEUE_DIR",
        description="a folder for hard frames that wait until the cloud is back, which a node's workers may share; unset: "
        "none wait; {worker} in it is WORKER_NAME",
    )
    offline_queue_bytes: int = Field(
        256 * MIB,
        alias="OFFLINE_QUEUE_BYTES",
        ge=MIB,
        description="bytes of those frames on disk at most, for each worker",
    )
    offline_queue_age_s: float = Field(
        86400.0,
        alias="OFFLINE_QUEUE_AGE_S",
        gt=0,
        le=31_536_000,
        description="seconds after its capture until such a frame is not worth an answer any more",
    )
    offload_size: Literal["auto", "full"] = Field(
        "auto",
        alias="OFFLOAD_SIZE",
        description="auto (a JPEG is no larger than the cloud worker says that its model needs) or full",
    )
    jpeg_quality: int = Field(65, alias="JPEG_QUALITY", ge=1, le=100, description="a JPEG quality from 1 to 100")
    jpeg_quality_min: int = Field(
        50,
        alias="JPEG_QUALITY_MIN",
        ge=1,
        le=100,
        description="the quality down to which a link that is too slow may bring it; JPEG_QUALITY or more = not at all",
    )
    motion_gate: bool = Field(
        False,
        alias="MOTION_GATE",
        description="true: pictures in which nothing moved are not given to the little model",
    )
    motion_threshold: float = Field(
        0.0006,
        alias="MOTION_THRESHOLD",
        gt=0,
        le=1,
        description="the share of a picture that has to change to be motion; 0.0006 is 3 of the 4800 cells of 640 x 480",
    )
    motion_forced_look_s: float = Field(
        10.0,
        alias="MOTION_FORCED_LOOK_S",
        gt=0,
        le=86400,
        description="seconds after which the motion gate lets a picture through all the same",
    )
    motion_tail_s: float = Field(
        3.0,
        alias="MOTION_TAIL_S",
        ge=0,
        le=3600,
        description="seconds after the last motion in which the motion gate lets pictures through: what stops is still there",
    )
    silent_miss_share: float = Field(
        0.0,
        alias="SILENT_MISS_SHARE",
        ge=0,
        le=1,
        description="the share of the frames without a box, in moving pictures, that are asked of the cloud; 0 = none",
    )
    duplicate_interval_s: float = Field(
        0.0,
        alias="DUPLICATE_INTERVAL_S",
        ge=0,
        le=86400,
        description="seconds in which a hard frame that shows the same as one that the cloud answered is not sent; 0 = none",
    )
    decisions_file: str | None = Field(
        None,
        alias="DECISIONS_FILE",
        description="a path for the decision log (JSON lines); {worker} in it is WORKER_NAME",
    )
    annotated_video: str | None = Field(
        None,
        alias="ANNOTATED_VIDEO",
        description="a path ending in .mp4 or .avi for the video with boxes; {worker} in it is WORKER_NAME, and of several "
        "sources each gets a file with its name",
    )
    all_examples_dir: str | None = Field(
        None,
        alias="all_examples_inference_output",
        description="a folder for every frame with its final boxes; {worker} in it is WORKER_NAME, and of several sources "
        "each gets a folder below it",
    )
    hard_cloud_dir: str | None = Field(
        None,
        alias="hard_example_cloud_inference_output",
        description="a folder for hard frames with the cloud's boxes; {worker} in it is WORKER_NAME, and of several sources "
        "each gets a folder below it",
    )
    hard_edge_dir: str | None = Field(
        None,
        alias="hard_example_edge_inference_output",
        description="a folder for hard frames with the edge's boxes; {worker} in it is WORKER_NAME, and of several sources "
        "each gets a folder below it",
    )
    lc_server: str | None = Field(
        None, alias="LC_SERVER", description="http://host:port that takes the inference counts; unset: none are sent"
    )
    lc_period_s: float = Field(30.0, alias="LC_PERIOD", gt=0, le=86400, description="seconds between those reports")
    signal_period_s: float = Field(
        0.0,
        alias="SIGNAL_PERIOD",
        ge=0,
        le=86400,
        description="seconds between reports where something scales by this worker's signals, in quiet times too: a value must "
        "be fresh; 0 = signals go with the reports of LC_PERIOD",
    )
    http_port: int = Field(
        0,
        alias="EDGE_HTTP_PORT",
        ge=0,
        le=65535,
        description="a port for /healthz, /readyz, /metrics and push://; 0 = none; if it is taken, a free one is used and logged",
    )
