"""Makes the original's programs start the stand-in for Python, and wait for nothing."""
import os
import sys
import time

kept = os.environ.pop("KEPT_PYTHONPATH", None)
if kept:
    os.environ["PYTHONPATH"] = kept
elif kept is not None:
    del os.environ["PYTHONPATH"]
if "STAND_INS" in os.environ:
    sys.executable = os.path.join(os.environ["STAND_INS"], "python3")
    time.sleep = lambda _seconds: None
