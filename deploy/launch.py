"""Starts a run on a cloud's cluster: prints the requests and, with --run, makes them.

    python -m deploy.launch emr-ec2 code=s3://bucket/benben config=s3://bucket/run.yaml ... [--run]

The requests are those of `configs/cluster/PLATFORM.yaml`. Without --run nothing is started.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from benben.pipeline.errors import UserError
from deploy import clients, requests

Request = Callable[[str, str, dict[str, Any], Mapping[str, object]], dict[str, Any]]


def start(
    platform: str,
    values: Mapping[str, object],
    run: bool,
    request: Request = clients.request,
) -> None:
    """Print every request and, with `run`, make it; later ones may need an earlier response."""
    given = {"token": uuid.uuid4().hex[:12]} | dict(values)
    for call in requests.calls(platform, given):
        filled = requests.fill(call, given)
        print(f"{filled['service']} {filled['action']} {json.dumps(filled['body'], indent=1)}")
        if run:
            response = request(filled["service"], filled["action"], filled["body"], given)
            given |= {name: response[key] for name, key in filled.get("keep", {}).items()}
            print(f"response: {json.dumps(response, default=str)}")
    if not run:
        print("nothing was started; add --run (with make: RUN=1) to start it", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.launch", description=__doc__)
    parser.add_argument("platform", help=", ".join(requests.platforms()))
    parser.add_argument("values", nargs="*", metavar="name=value")
    parser.add_argument("--run", action="store_true", help="make the requests; this costs money")
    options = parser.parse_args(arguments)
    pairs = (text.partition("=") for text in options.values)
    try:
        start(options.platform, {n: yaml.safe_load(v) for n, _, v in pairs}, options.run)
    except UserError as error:
        print(f"launch: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
