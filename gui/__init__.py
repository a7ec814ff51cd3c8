"""The companion app: see, hear, compare and queue takes. It talks to the daemon and to nothing else."""
