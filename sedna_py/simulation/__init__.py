"""A service without processes: what its workers, queues and autoscalers make of a load. Pure; the time is simulated."""
