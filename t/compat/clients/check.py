"""What the Python client tests share: named checks, each with its own line, and small things to check with."""

import sys
import time
import traceback

failures = 0


def check(name):
    """Runs the decorated function at once and prints `ok name` or `not ok name: why`."""

    def run(body):
        global failures
        try:
            body()
            print(f"ok {name}", flush=True)
        except Exception as error:  # Every fault of a client library is a finding, whatever its class.
            failures += 1
            traceback.print_exc()
            print(f"not ok {name}: {error!r}", flush=True)

    return run


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {short(found)}, wanted {short(wanted)}")


def raises(kind, body):
    try:
        found = body()
    except kind:
        return
    raise AssertionError(f"found {short(found)}, wanted {kind}")


def wait_until(fact, limit_s=8):
    """Polls, because only the server's clock knows when a second is over."""
    end = time.monotonic() + limit_s
    while not fact():
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s")
        time.sleep(0.05)


def short(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}… ({len(text)} characters)"


def finish():
    sys.exit(1 if failures else 0)
