"""A throwaway Kubernetes control plane, the real one, for tests, demo and benchmark."""
