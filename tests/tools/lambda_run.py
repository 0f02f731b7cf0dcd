"""lambda_run.py FILE: what Lambda's runtime does for a function, over standard input and output. Each line in is
{id, event, left_ms?}, each line out {id, response} or {id, error}; invocations may overlap."""
import importlib.util
import json
import os
import sys
import threading
import traceback


class Context:
    def __init__(self, left_ms):
        self.get_remaining_time_in_millis = lambda: left_ms


def invoke(handler, call, lock):
    out = {"id": call["id"]}
    try:
        out["response"] = handler(call["event"], Context(call["left_ms"]) if "left_ms" in call else None)
    except Exception:
        out["error"] = traceback.format_exc()
    with lock:
        sys.stdout.write(json.dumps(out) + "\n")
        sys.stdout.flush()


def main():
    spec = importlib.util.spec_from_file_location("health", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lock = threading.Lock()
    for line in sys.stdin:
        threading.Thread(target=invoke, args=(module.handler, json.loads(line), lock), daemon=True).start()
    os._exit(0)  # whatever a thread still waits for


main()
