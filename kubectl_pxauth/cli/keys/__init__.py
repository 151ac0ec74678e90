"""The commands `kubectl pxauth keys …`."""
