export FROM_ENV_SH=yes
echo "variables of computation-FP32"
