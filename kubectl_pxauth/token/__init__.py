"""Tokens as Portworx takes them: no cluster, no clock, no printing."""
