"""The aggregated API custom.metrics.k8s.io: what autoscalers read of workers, served by the replica that leads."""
