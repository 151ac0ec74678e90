"""What we know of Portworx in a cluster: where its key is, what it trusts, where tokens are."""
