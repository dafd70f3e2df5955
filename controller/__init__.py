"""The cloud-side operator; its first part arrives with the Kubernetes control plane work."""
