"""As much of loguru as the original's programs need to start: the directory of a log is made, nothing is written."""
import os


class _Logger:
    def add(self, sink, **_options):
        if isinstance(sink, str):
            os.makedirs(os.path.dirname(sink), exist_ok=True)

    def __getattr__(self, _name):
        return lambda *_args, **_options: None


logger = _Logger()
