"""`python -m serial_gate_host conform FILE …`: runs cases, and prints their results."""

from __future__ import annotations

import argparse
import sys

from .conform import conform
from .errors import HostError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serial_gate_host")
    verbs = parser.add_subparsers(required=True)
    cases = verbs.add_parser(
        "conform",
        help="run cases through a policy and the guard, and print each with its result",
        description="Prints one line of JSON for each case, in the form of the files. Where a file"
        " has expected results, they are compared: a difference is printed on the standard error,"
        " and the exit status is 1.",
    )
    cases.add_argument("files", nargs="+", metavar="FILE", help="cases, one line of JSON each")
    cases.add_argument("--policy", required=True, help="the policy's component")
    cases.add_argument("--guard", required=True, help="the guard's component")
    cases.add_argument(
        "--component-api",
        action="store_true",
        help="go through the component API, also where the core module could be called",
    )
    options = parser.parse_args()
    try:
        return conform(options.files, options.policy, options.guard, not options.component_api)
    except (HostError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


sys.exit(main())
