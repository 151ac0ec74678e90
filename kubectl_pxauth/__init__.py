"""Issue Portworx tokens into Kubernetes Secrets with one kubectl command."""

__version__ = "0.1.0"
