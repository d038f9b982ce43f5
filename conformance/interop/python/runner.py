"""Runs the checks of one script against one hub, one line per check.

A check is a public function of the script; it takes the hub, fails by raising, and its docstring
is the sentence that is printed.
The script `run` counts the lines that begin with `pass` and `FAIL`.
"""

import inspect
import signal
import sys
import traceback
from pathlib import Path

from hub import Hub

CHECK_SECONDS = 30
"""The budget of one check: the SDK itself waits for ever for some answers."""

CLEAN_UP_SECONDS = 10
"""What a check gets for leaving after its budget has run out; then it is interrupted again."""

DEVICES_PER_CHECK = 2
"""What `Hub.new_device` can give out."""


class OutOfTime(BaseException):
    """The budget ran out; not an `Exception`, which the SDK would wrap in an error of its own."""


def run(**options):
    """The whole life of a check script; ends the process with 0 only if every check passed.

    The options are those of `Hub`.
    """
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    checks = _checks_of(sys.modules["__main__"])
    # The start of the hub has the budget of a check; each check then sets its own.
    signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)
    with Hub(sys.argv[1], devices=DEVICES_PER_CHECK * len(checks), **options) as hub:
        results = [_run_one(check, hub) for check in checks]
        results.append(_run_one(hub_ends_in_order, hub))
    sys.exit(0 if all(results) else 1)


def hub_ends_in_order(hub):
    """The hub ends with exit code 0 on SIGTERM and takes its CA file with it."""
    code = hub.stop()
    assert code == 0, f"exit code {code}"
    assert not hub.ca_file.exists(), f"{hub.ca_file.name} was left behind"


def _checks_of(script):
    functions = [each for each in vars(script).values() if inspect.isfunction(each)]
    own = [each for each in functions if each.__module__ == script.__name__]
    return [each for each in own if not each.__name__.startswith("_")]


def _run_one(check, hub):
    sentence = " ".join(check.__doc__.split())
    name = f"{Path(sys.argv[0]).stem.removeprefix('check_')}.{check.__name__}"
    signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS, CLEAN_UP_SECONDS)
    try:
        check(hub)
    except (Exception, OutOfTime) as error:
        print(f"FAIL {name}: {sentence} [{_reason(error)}]", flush=True)
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"pass {name}: {sentence}", flush=True)
    return True


def _reason(error):
    """Where the check script stood, and what went wrong, on one line."""
    script = Path(sys.argv[0]).name
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == script]
    place = f"{script}:{lines[-1]}: " if lines else ""
    cause = f" caused by {error.__cause__!r}" if error.__cause__ else ""
    return " ".join(f"{place}{type(error).__name__}: {error}{cause}".split())


def _out_of_time(*_):
    raise OutOfTime("the check's budget ran out")
