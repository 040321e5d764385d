#!/bin/bash
echo "cluster_offline_run $*"
echo '[PerfLog] {"event": "FINISHED", "value": {"e2e_time": 812.4, "train_time": 790.1, "throughput(ips)_raw": 5663.0, "throughput(ips)_pure_compute": 6105.0, "converged": true, "final_acc1": 0.761}, "metadata": {"file": "x.py", "lineno": 1, "time_ms": 1, "rank": 0}}'
