"""The metrics that workers serve: names and labels here are a public contract, documented in docs/metrics.md."""

from __future__ import annotations

# Edge worker
EDGE_FRAMES = "sedna_edge_frames_total"  # labels: path (edge, cloud, fallback)
EDGE_FRAMES_LOST = "sedna_edge_frames_lost_total"  # labels: cause (buffer_full, model_failed)
EDGE_OFFLOAD_FAILURES = "sedna_edge_offload_failures_total"  # labels: cause (sedna_py.protocol.causes)
EDGE_BYTES_SENT = "sedna_edge_sent_bytes_total"
EDGE_FRAMES_WAITING = "sedna_edge_frames_waiting"
EDGE_OFFLOADS_WAITING = "sedna_edge_offloads_waiting"
EDGE_STAGE_SECONDS = "sedna_edge_stage_seconds"  # labels: stage (wait, edge, encode, cloud, total)
EDGE_SINK_ERRORS = "sedna_edge_sink_errors_total"  # labels: sink

# Cloud worker
CLOUD_REQUESTS = "sedna_cloud_requests_total"  # labels: outcome (ok, or the cause of the error)
CLOUD_IN_FLIGHT = "sedna_cloud_requests_in_flight"
CLOUD_WAITING = "sedna_cloud_requests_waiting"
CLOUD_STAGE_SECONDS = "sedna_cloud_stage_seconds"  # labels: stage (read, queue, decode, infer)
CLOUD_STREAMS = "sedna_cloud_streams"

# Upper bounds of both workers' histograms.
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
