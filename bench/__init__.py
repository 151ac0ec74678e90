"""How long a token takes: this plugin beside the shell pipeline that it replaces."""
