"""A real Kubernetes control plane for tests and for people: etcd, kube-apiserver, kube-controller-manager; no nodes."""
