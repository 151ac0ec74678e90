"""Issue Portworx tokens into Kubernetes Secrets with one kubectl command."""

__version__ = "0.2.0"
