"""The metrics that are served: names and labels here are a public contract, documented in docs/metrics.md."""

from __future__ import annotations

# Edge worker
EDGE_FRAMES = "sedna_edge_frames_total"  # labels: path (edge, cloud, fallback)
EDGE_FRAMES_READ = "sedna_edge_frames_read_total"
# labels: cause (buffer_full, too_old, shutdown, model_failed, with_replica, no_motion)
EDGE_FRAMES_LOST = "sedna_edge_frames_lost_total"
EDGE_SOURCE_OUTAGES = "sedna_edge_source_outages_total"
EDGE_SOURCE_UP = "sedna_edge_source_up"  # labels: source
EDGE_SOURCE_FRAMES = "sedna_edge_source_frames_total"  # labels: source, fate (processed, handed_out, buffer_full, ...)
EDGE_SOURCE_BROKEN = "sedna_edge_source_broken_pictures_total"  # labels: source
EDGE_SHARING_ROLE = "sedna_edge_sharing_role"  # labels: role (alone, capturer, taker, cut_off)
EDGE_FRAMES_HANDED_OUT = "sedna_edge_frames_handed_out_total"  # labels: to (itself, others, queue)
EDGE_OFFLOAD_FAILURES = "sedna_edge_offload_failures_total"  # labels: cause (sedna_py.protocol.causes)
EDGE_BYTES_SENT = "sedna_edge_sent_bytes_total"
EDGE_SILENT_MISSES = "sedna_edge_silent_miss_samples_total"
EDGE_JPEG_QUALITY = "sedna_edge_jpeg_quality"
EDGE_SENT_PIXELS = "sedna_edge_sent_pixels"  # labels: side (width, height)
EDGE_FRAMES_WAITING = "sedna_edge_frames_waiting"
EDGE_OFFLOADS_WAITING = "sedna_edge_offloads_waiting"
EDGE_CLOUD_ATTEMPTS = "sedna_edge_cloud_attempts_total"  # labels: route (pods, service), outcome (ok, or the cause)
EDGE_CLOUD_RETRIES = "sedna_edge_cloud_retries_total"  # labels: cause (sedna_py.client.route.RetryCause)
EDGE_CLOUD_ROUTE = "sedna_edge_cloud_route"  # labels: route (pods, service, none); 1 for the one in use
EDGE_CLOUD_PODS = "sedna_edge_cloud_pods"  # labels: state (new, ready, draining, quarantined)
EDGE_BUDGET = "sedna_edge_budget"  # labels: unit (share, fps, kbit/s)
EDGE_BUDGET_SPENT = "sedna_edge_budget_spent"  # labels: unit; of the last minute
EDGE_BUDGET_THRESHOLD = "sedna_edge_budget_threshold"
EDGE_BUDGET_CHANGES = "sedna_edge_budget_changes_total"  # labels: change (held_back, added)
EDGE_STAGE_SECONDS = "sedna_edge_stage_seconds"  # labels: stage (wait, edge, encode, cloud, first, total)
EDGE_CORRECTIONS = "sedna_edge_corrections_total"  # labels: change (changed, same, no_answer)
EDGE_OFFLINE_FRAMES = "sedna_edge_offline_frames"
EDGE_OFFLINE_BYTES = "sedna_edge_offline_bytes"
EDGE_OFFLINE_AGE = "sedna_edge_offline_oldest_seconds"
EDGE_OFFLINE_STORED = "sedna_edge_offline_stored_total"
EDGE_OFFLINE_SENT = "sedna_edge_offline_sent_total"
EDGE_OFFLINE_LOST = "sedna_edge_offline_lost_total"  # labels: cause (workers.edge.offline_queue.backlog.Loss)
EDGE_SINK_ERRORS = "sedna_edge_sink_errors_total"  # labels: sink
EDGE_SINK_SENT = "sedna_edge_sink_sent_total"  # labels: sink (mqtt, webhook)
EDGE_SINK_SKIPPED = "sedna_edge_sink_skipped_total"  # labels: sink
EDGE_SINK_LOST = "sedna_edge_sink_lost_total"  # labels: sink, cause (workers.edge.sinks.outbox.SinkCause)
EDGE_SINK_FAILURES = "sedna_edge_sink_failures_total"  # labels: sink, cause
EDGE_SINK_WAITING = "sedna_edge_sink_waiting"  # labels: sink
EDGE_SINK_CONNECTED = "sedna_edge_sink_connected"  # labels: sink (mqtt)

# Cloud worker
CLOUD_REQUESTS = "sedna_cloud_requests_total"  # labels: outcome (ok, or the cause of the error)
CLOUD_IN_FLIGHT = "sedna_cloud_requests_in_flight"
CLOUD_WAITING = "sedna_cloud_requests_waiting"
CLOUD_STAGE_SECONDS = "sedna_cloud_stage_seconds"  # labels: stage (read, queue, decode, infer, encode)
CLOUD_STREAMS = "sedna_cloud_streams"
CLOUD_REQUESTS_PER_STREAM = "sedna_cloud_requests_per_stream"
CLOUD_BATCH_SIZE = "sedna_cloud_batch_size"
CLOUD_MODEL = "sedna_cloud_model"  # labels: version
CLOUD_MODEL_LOADS = "sedna_cloud_model_loads_total"  # labels: outcome (loaded, refused)
CLOUD_REPORTS = "sedna_cloud_reports_total"  # labels: outcome (received, refused, forwarded, dropped)
CLOUD_REPORTS_WAITING = "sedna_cloud_reports_waiting"

# Both workers. The counters below are what signals are made of (sedna_py.autoscaling.snapshot); of an edge worker a request is
# a frame.
WORKER_BEGAN = "sedna_worker_start_time_seconds"  # since the epoch; after another one totals count from 0 again
WORKER_OFFERED = "sedna_worker_offered_total"
WORKER_DONE = "sedna_worker_done_total"
WORKER_DROPPED = "sedna_worker_dropped_total"
WORKER_PRESENT_SECONDS = "sedna_worker_present_seconds_total"
WORKER_WAITING_SECONDS = "sedna_worker_waiting_seconds_total"
WORKER_BUSY_SECONDS = "sedna_worker_busy_seconds_total"
WORKER_STREAMS = "sedna_worker_streams"
WORKER_LATENCY_SECONDS = "sedna_worker_latency_seconds"  # histogram
WORKER_HARD = "sedna_worker_hard_total"  # edge only
WORKER_BACKLOG_AGE_SECONDS = "sedna_worker_backlog_age_seconds"  # edge only
WORKER_CPU_LIMIT = "sedna_worker_cpu_limit"
WORKER_THREADS = "sedna_worker_inference_threads"

# Controller
CONTROLLER_RECONCILES = "sedna_controller_reconciles_total"  # labels: outcome (settled, blocked, retried, failed)
CONTROLLER_RECONCILE_SECONDS = "sedna_controller_reconcile_seconds"
CONTROLLER_API_REQUESTS = "sedna_controller_api_requests_total"  # labels: verb, resource, code (2xx, ..., none)
CONTROLLER_CHILDREN = "sedna_controller_children_total"  # labels: kind, change (created, updated, repaired, ...)
CONTROLLER_QUEUE_DEPTH = "sedna_controller_queue_depth"
CONTROLLER_REQUEUES = "sedna_controller_requeues_total"
CONTROLLER_WATCHED = "sedna_controller_watched_objects"  # labels: resource
CONTROLLER_LEADER = "sedna_controller_leader"
CONTROLLER_REPORTS = "sedna_controller_reports_total"  # labels: outcome (accepted, unrouted, refused, ...)
CONTROLLER_STATUS_WRITES = "sedna_controller_status_writes_total"
CONTROLLER_CLOUD_ASLEEP = "sedna_controller_cloud_workers_asleep"
CONTROLLER_CLOUD_SLEEP_CHANGES = "sedna_controller_cloud_sleep_changes_total"  # labels: change (slept, woken)
CONTROLLER_ASKED_ASLEEP = "sedna_controller_requests_while_asleep_total"
CONTROLLER_EVENTS = "sedna_controller_events_total"  # labels: type (Normal, Warning)
CONTROLLER_SERVICES = "sedna_controller_services"  # labels: phase (Starting, Running, Degraded, Failed)
CONTROLLER_METRICS_API = "sedna_controller_metrics_api"  # labels: state (controller.metrics_api.registration.Standing)
CONTROLLER_METRICS_API_ANSWERS = "sedna_controller_metrics_api_answers_total"  # labels: code (2xx, 4xx, 5xx)
CONTROLLER_SCRAPES = "sedna_controller_scrapes_total"  # labels: outcome (ok, unreachable, timed_out, refused, ...)
CONTROLLER_SCRAPED_PODS = "sedna_controller_scraped_pods"

# Signals: what autoscalers read, of each pod, under these names in custom.metrics.k8s.io and in Prometheus by recording rules.
SIGNAL_CONCURRENCY = "sedna_concurrency"
SIGNAL_RPS = "sedna_requests_per_second"
SIGNAL_QUEUE_DEPTH = "sedna_queue_depth"
SIGNAL_REQUESTS_PER_STREAM = "sedna_requests_per_stream"
SIGNAL_INFER_FPS = "sedna_infer_fps"
SIGNAL_DROP_FPS = "sedna_drop_fps"
SIGNAL_DEMAND = "sedna_demand"
SIGNAL_SCALE_RATIO = "ei_scale_ratio"
SIGNAL_LATENCY_P95 = "sedna_latency_p95_seconds"
SIGNAL_HARD_SHARE = "sedna_hard_share"  # edge only
SIGNAL_FRAMES = "sedna_frames_per_second"  # edge only
SIGNAL_BACKLOG_AGE = "sedna_backlog_age_seconds"  # edge only
# Of the JointInferenceService itself: how many cloud pods' worth of work its edges' hard frames are.
SIGNAL_EXPECTED_CLOUD_LOAD = "sedna_expected_cloud_load"

# Upper bounds of all histograms.
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
