"""The operator's command, `boxoffice`. It works in production; where the sandbox is installed it adds its own subcommands."""
