"""What a service is, read from its live objects: pure functions, `now` is an argument, no input makes them raise."""
