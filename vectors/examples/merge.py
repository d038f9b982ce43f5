"""Twin merge in Python, for `twinspec vectors run -- python3 vectors/examples/merge.py`.

It claims the family twin-patch and nothing else.
"""

import json
import sys

READ_ONLY = ("$version", "$metadata")


def without_nulls(value):
    """A value that stands where no object stood: its nulls have nothing to remove."""
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}


def merge(stored, patch):
    """The stored members after the patch; null removes, objects merge, all else replaces."""
    result = dict(stored)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = without_nulls(value)
    return result


def answer(request):
    """The answer to one request."""
    if request["family"] != "twin-patch":
        return {"unsupported": "this example merges twins only"}
    patch = request["input"]["patch"]
    if patch is None:
        return {"expect": {"result": {}}}
    if request["input"]["section"] == "desired":
        patch = {key: value for key, value in patch.items() if key not in READ_ONLY}
    return {"expect": {"result": merge(request["input"]["stored"], patch)}}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"id": request["id"], **answer(request)}), flush=True)


if __name__ == "__main__":
    main()
