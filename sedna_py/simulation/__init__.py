"""A service without processes: what its workers, queues and autoscalers would do with a recorded load. Pure; time is simulated."""
