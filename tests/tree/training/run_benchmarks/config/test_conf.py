# The vendor, and what runs.
VENDOR = "nvidia"
ACCE_CONTAINER_OPT = " --gpus all"
ACCE_VISIBLE_DEVICE_ENV_NAME = "CUDA_VISIBLE_DEVICES"
PIP_SOURCE = "https://index/simple"
FLAGPERF_PATH = "/nowhere/FlagPerf/training"
FLAGPERF_LOG_PATH = FLAGPERF_PATH + "/result/"
FLAGPERF_LOG_LEVEL = "debug"
SHM_SIZE = "1G"
CLEAR_CACHES = False

CASES = {
    "resnet50:pytorch_2.0:A100:1:2:1": "/tmp",
    "bert:paddle:A100:1:2:1": "/tmp",
    "resnet50:tensorflow2:A100:1:2:1": "/tmp",
    "resnet50:mindspore:A100:1:2:1": "/tmp",
    "llama3_8B:megatron:A100:1:2:1": "/tmp",
    "llama2_7b:megatron-deepspeed:A100:1:2:1": "/tmp",
    "aquila2_7b:flagscale:A100:1:2:1": "/tmp",
    "chatglm3_6b:deepspeed:A100:1:2:1": "/tmp",
    "llava1.5_7b:deepspeed-torch:A100:1:2:1": "/tmp",
}
