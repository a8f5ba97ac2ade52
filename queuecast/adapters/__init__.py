"""One folder for each technology. Only the `main` modules, the reaper and `queuecast.cli.admin` choose one."""
