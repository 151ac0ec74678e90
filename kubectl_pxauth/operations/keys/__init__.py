"""The operations of `kubectl pxauth keys`."""
