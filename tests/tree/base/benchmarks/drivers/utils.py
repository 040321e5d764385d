"""Stands for the helpers of benchmarks."""


def set_ieee_float32(vendor):
    if vendor == "nvidia":
        pass


def unset_ieee_float32(vendor):
    if vendor == "nvidia":
        pass
