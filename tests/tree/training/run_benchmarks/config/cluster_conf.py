"""The cluster."""
HOSTS = ["127.0.0.1"]
SSH_PORT = "22"
HOSTS_PORTS = ["2222"]
MASTER_PORT = "29501"
