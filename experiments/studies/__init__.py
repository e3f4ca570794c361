"""Studies: one file a command of the same name. Only the command line imports one."""
