from config_common import *

train_batch_size = 64
