"""`python -m controlplane`: a control plane to try things on, until Ctrl-C."""

import contextlib
import signal

from controlplane.run import ControlPlane

with ControlPlane() as plane, contextlib.suppress(KeyboardInterrupt):
    print(f"export KUBECONFIG={plane.kubeconfig()}", flush=True)
    signal.pause()
