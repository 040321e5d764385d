"""The configurations that the test writes are JSON, which is YAML."""
import json


def safe_load(stream):
    return json.load(stream)
