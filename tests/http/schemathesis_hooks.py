"""What schemathesis cannot know of the service: which bytes and which rules are a policy's, that nobody here waits, that
a key is for one request, and that an end by force needs a reason."""

import datetime
import itertools
import re

import schemathesis
from hypothesis import strategies

# None at all is the built-in policy.
schemathesis.openapi.media_type("application/wasm", strategies.just(b""))

KEY = "Idempotency-Key"
keys = itertools.count()


def is_time(text):
    try:
        datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return False
    return True


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.path.startswith("/v1/policy/") and case.query:
        # Whether they are good is for the policy to say: the document has no words for it.
        case.query.pop("rules", None)
    if case.path == "/v1/claim" and isinstance(case.body, dict):
        wait = case.body.get("wait")
        # What is refused stays as it is.
        if isinstance(wait, (int, float)) and 0 < wait <= 300:
            case.body["wait"] = 0
        # A schema has no words for it: one of the two.
        if {"agent", "agents"} <= case.body.keys():
            case.body.pop("agent")
    if case.path.startswith("/v1/tasks/") and isinstance(case.body, dict) and case.body.get("force") is True:
        # Nor for this: `reason` may be empty otherwise.
        reason = case.body.get("reason", "")
        if isinstance(reason, str) and not reason.strip():
            case.body["reason"] = "because"
    if case.method == "PATCH" and isinstance(case.body, dict) and case.body and not {"stage", "label"} & case.body.keys():
        # Nor for one of these two.
        case.body["label"] = None
    if case.path == "/v1/jobs" and isinstance(case.body, dict) and case.body:
        if case.body.get("task") is not None:
            case.body.pop("task_id", None)
        elif case.body.get("task_id") is None:
            case.body["task_id"] = 1
    if case.path == "/v1/freezes" and isinstance(case.body, dict) and case.body:
        if case.body.get("repo") is None:
            case.body["repo"] = "alpha"
        if case.body.get("all") is True:
            case.body["all"] = False
        if is_time(case.body.get("until")):
            case.body["until"] = "2100-01-01T00:00:00Z"
    key = (case.headers or {}).get(KEY)
    # What is refused stays as it is.
    if isinstance(key, str) and len(key) <= 255 and re.fullmatch("[!-~]([ -~]*[!-~])?", key):
        case.headers[KEY] = f"key-{next(keys)}"
