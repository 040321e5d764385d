echo "operator"
