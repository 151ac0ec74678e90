"""The archive that needs no Python, and the krew manifest that names it."""
