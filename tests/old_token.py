"""Lay a token that was made for a year, and ends in some days, into Secret px-k8s-user.

`old-token NAMESPACE DAYS`, in the setup of a page: a program in the world of tests/transcripts.py.
"""

import base64
import json
import subprocess
import sys
import time

from jose import jwt

namespace, days = sys.argv[1], int(sys.argv[2])
shown = ["kubectl", "get", "secret", "pxkeys", "-n", "kube-system", "-o", "json"]
keys = json.loads(subprocess.check_output(shown))["data"]
ends = int(time.time()) + days * 86400
user = f"px-k8s-user.{namespace}"
claims = {
    "iss": "portworx.com",
    "sub": f"{user}@portworx.com",
    "name": user,
    "email": f"{user}@portworx.com",
    "roles": ["system.user"],
    "groups": ["kubernetes"],
    "iat": ends - 365 * 86400,
    "exp": ends,
}
token = jwt.encode(claims, base64.b64decode(keys["shared-secret"]).decode(), algorithm="HS256")
secret = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "px-k8s-user", "namespace": namespace},
    "stringData": {"auth-token": token},
}
subprocess.run(["kubectl", "apply", "-f", "-"], input=json.dumps(secret), text=True, check=True)
