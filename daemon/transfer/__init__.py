"""Media on its way to a daemon on another machine, and takes on their way back; every file by its hash."""
