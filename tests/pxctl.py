"""Stand in for pxctl: what the Portworx docs say of `pxctl context`, and a `status` for tests.

Contexts are kept in ~/.pxctl/contextconfig, and `context list` prints them as the docs show it.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import sys
from typing import Any

FILE = pathlib.Path.home() / ".pxctl" / "contextconfig"


def main() -> None:
    parser = argparse.ArgumentParser(prog="pxctl", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, dest="command")
    context = commands.add_parser("context")
    status = commands.add_parser("status")
    status.add_argument("--exit", type=int, default=0)
    status.add_argument("--show-token", action="store_true")
    verbs = context.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", allow_abbrev=False)
    create.add_argument("context")
    create.add_argument("--token", "-t", required=True)
    create.add_argument("--endpoint", "-e", default="http://localhost:9001")
    for verb in ("delete", "set"):
        verbs.add_parser(verb, allow_abbrev=False).add_argument("context")
    verbs.add_parser("list", allow_abbrev=False)
    arguments = parser.parse_args()
    if arguments.command == "status":
        sys.exit(say_status(arguments))
    config = read()
    names = [item["context"] for item in config["configurations"]]
    if arguments.verb == "create":
        made = configuration(arguments.context, arguments.token, arguments.endpoint)
        kept = [item for item in config["configurations"] if item["context"] != made["context"]]
        write(config | {"configurations": [*kept, made]})
    elif arguments.verb == "list":
        show(config)
    elif arguments.context not in names:
        sys.exit(f"Context {arguments.context} does not exist")
    elif arguments.verb == "delete":
        kept = [item for item in config["configurations"] if item["context"] != arguments.context]
        current = "" if config["current"] == arguments.context else config["current"]
        write({"current": current, "configurations": kept})
    else:
        write(config | {"current": arguments.context})


def say_status(arguments: argparse.Namespace) -> int:
    """Say who asks, by the token of the environment; and end as the test wants it."""
    token = os.environ["PXCTL_AUTH_TOKEN"]
    payload = token.split(".")[1]
    print(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode())
    print("asked:", repr(sys.stdin.read()), token if arguments.show_token else "", file=sys.stderr)
    return int(arguments.exit)


def configuration(context: str, token: str, endpoint: str) -> dict[str, Any]:
    if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token, re.ASCII):
        sys.exit("Invalid token: token contains an invalid number of segments")
    if not re.match(r"https?://", endpoint):
        sys.exit(f"Invalid endpoint {endpoint} for token {token}")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    identity = {"subject": claims["sub"], "name": claims["name"], "email": claims["email"]}
    return {"context": context, "token": token, "identity": identity, "endpoint": endpoint}


def read() -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(FILE.read_text())
    except FileNotFoundError:
        return {"current": "", "configurations": []}
    except OSError as error:
        sys.exit(f"Failed to read {FILE}: {error.strerror}")
    return config


def write(config: dict[str, Any]) -> None:
    FILE.parent.mkdir(mode=0o700, exist_ok=True)
    FILE.write_text(json.dumps(config))


def show(config: dict[str, Any]) -> None:
    print("contextconfig:", f"  current: {json.dumps(config['current'])}", sep="\n")
    print("  configurations:" if config["configurations"] else "  configurations: []")
    for item in config["configurations"]:
        print(
            f"  - context: {json.dumps(item['context'])}", f"    token: {item['token']}", sep="\n"
        )
        print("    identity:")
        for key, value in item["identity"].items():
            print(f"      {key}: {json.dumps(value)}")
        print(f"    endpoint: {item['endpoint']}")


if __name__ == "__main__":
    main()
