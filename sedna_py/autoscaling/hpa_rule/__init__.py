"""The parts of the HorizontalPodAutoscaler's rule; sedna_py.autoscaling.hpa puts them together."""
