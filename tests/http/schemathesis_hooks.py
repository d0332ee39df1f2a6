"""What schemathesis cannot know of the service: which bytes and which rules are a policy's, that nobody here waits, that
a key is for one request, and that an end by force needs a reason."""

import itertools
import re

import schemathesis
from hypothesis import strategies

# None at all is the built-in policy.
schemathesis.openapi.media_type("application/wasm", strategies.just(b""))

KEY = "Idempotency-Key"
keys = itertools.count()


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
    if case.path.startswith("/v1/tasks/") and isinstance(case.body, dict) and case.body.get("force") is True:
        # A schema has no words for it: `reason` may be empty otherwise.
        reason = case.body.get("reason", "")
        if isinstance(reason, str) and not reason.strip():
            case.body["reason"] = "because"
    if case.method == "PATCH" and isinstance(case.body, dict) and case.body and not {"stage", "label"} & case.body.keys():
        # Nor for one of two.
        case.body["label"] = None
    key = (case.headers or {}).get(KEY)
    # What is refused stays as it is.
    if isinstance(key, str) and len(key) <= 255 and re.fullmatch("[!-~]([ -~]*[!-~])?", key):
        case.headers[KEY] = f"key-{next(keys)}"
