# Stands for an operator.
