"""Autoscaling without IO: signals out of counters, windows over them, and the rule of the HorizontalPodAutoscaler."""
