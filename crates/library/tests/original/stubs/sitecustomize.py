"""Makes the original's programs start the stand-in for Python, and wait for nothing."""
import os
import sys
import time

if "STAND_INS" in os.environ:
    sys.executable = os.path.join(os.environ["STAND_INS"], "python3")
    time.sleep = lambda _seconds: None
