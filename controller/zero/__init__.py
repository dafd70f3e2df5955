"""A cloud worker without pods: who takes the last one, and who answers for it until it is back."""
