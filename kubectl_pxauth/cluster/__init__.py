"""The one door to Kubernetes: nothing outside this package imports kubernetes or urllib3."""
