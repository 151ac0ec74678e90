"""What the commands do, a module each under the command's name; none knows the terminal."""
