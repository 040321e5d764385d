# Stands for the entry of suite inference.
