"""Settings that gunicorn reads by itself in the folder where it starts. It listens on systemd's socket, or on $PORT."""

workers = 2
threads = 4
# Seconds for the requests at hand when it stops; TimeoutStopSec and stop_grace_period are longer.
graceful_timeout = 30
# Its file would lie in the home folder.
control_socket_disable = True
