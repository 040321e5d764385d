# Stands for a benchmark; the stand-in for torchrun prints what it would.
