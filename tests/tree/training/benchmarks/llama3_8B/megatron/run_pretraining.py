# Stands for the training of a model.
