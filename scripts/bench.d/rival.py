"""Multiplies matrices with somebody else's library, for scripts/bench to compare with.

Usage: rival.py LIBRARY FORMAT SIZE CPUS
LIBRARY is `numpy` or `torch`, FORMAT one of FP64 FP32 BF16 INT8, CPUS the cores to use ("0,1").

It prints one line of JSON when it is ready, saying what it uses. Then, for each line on standard
input, a number of seconds, it multiplies for so long and prints one line of JSON with the rate of
the median and of the fastest product, in 10^9 operations a second: 2·SIZE³ in each product, as in
our own cases. Between the lines it sleeps.
"""

import json
import os
import statistics
import sys
import time


def numpy_product(form, size):
    import numpy

    random = numpy.random.default_rng(1)
    kind = {"FP64": numpy.float64, "FP32": numpy.float32}[form]
    left, right = (random.standard_normal((size, size)).astype(kind) for _ in range(2))
    out = numpy.empty((size, size), kind)
    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = "OpenBLAS" if "openblas" in blas["name"] else blas["name"]
    return {f"{name} {blas['version']}": lambda: numpy.matmul(left, right, out=out)}


def torch_products(form, size, threads):
    """The ways in which PyTorch multiplies numbers of the format, by the name of what does it."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if form == "INT8":
        return int8_products(torch, size)
    kind = {"FP64": torch.float64, "FP32": torch.float32, "BF16": torch.bfloat16}[form]
    left, right = (torch.randn(size, size).to(kind) for _ in range(2))
    out = torch.empty(size, size, dtype=kind)
    if form == "BF16":
        name = "oneDNN"
    else:
        name = "MKL" if torch.backends.mkl.is_available() else "PyTorch's BLAS"
    return {f"{name} (torch {torch.__version__})": lambda: torch.mm(left, right, out=out)}


def int8_products(torch, size):
    left, right = (
        torch.randint(-128, 128, (size, size), dtype=torch.int8) for _ in range(2)
    )
    out = torch.empty(size, size, dtype=torch.int32)
    products = {
        f"oneDNN (torch {torch.__version__}, _int_mm)": lambda: torch._int_mm(left, right, out=out)
    }
    # The layer that quantised models use: it also turns FP32 into INT8 and back, which is counted
    # as time but not as work. It is there for processors on which the plain product is poor.
    try:
        torch.backends.quantized.engine = "onednn"
        weight = torch.quantize_per_tensor(torch.randn(size, size), 0.1, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(weight, None)
        values = torch.randn(size, size)
        products[f"oneDNN (torch {torch.__version__}, dynamic linear)"] = (
            lambda: torch.ops.quantized.linear_dynamic(values, packed)
        )
    except (RuntimeError, AttributeError) as error:
        print(f"no quantised layer in this PyTorch: {error}", file=sys.stderr)
    return products


def measure(product, size, seconds):
    product()  # after a pause the pages and the clock of the cores are cold
    rates = []
    begin = now = time.perf_counter()
    while now - begin < seconds:
        product()
        before, now = now, time.perf_counter()
        rates.append(2 * size**3 / (now - before) / 1e9)
    return {"median": statistics.median(rates), "best": max(rates), "products": len(rates)}


def main(library, form, size, cpus):
    size, cpus = int(size), {int(cpu) for cpu in cpus.split(",")}
    os.sched_setaffinity(0, cpus)
    # Read by OpenBLAS and by the OpenMP of PyTorch when they are loaded.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(len(cpus))
    if library == "numpy":
        products = numpy_product(form, size)
    else:
        products = torch_products(form, size, len(cpus))
    name = max(products, key=lambda name: measure(products[name], size, 0.5)["median"])
    print(json.dumps({"name": name, "tried": list(products)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(products[name], size, float(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
