"""`python -m controlplane`: a control plane to try things on, until Ctrl-C."""

import contextlib
import signal
import sys

from controlplane.run import ControlPlane

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with contextlib.suppress(KeyboardInterrupt), ControlPlane() as plane:
    sys.stdout.write(f"export KUBECONFIG={plane.kubeconfig()}\n")
    sys.stdout.flush()
    signal.pause()
