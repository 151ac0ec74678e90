"""The main job, shown on a control plane of its own."""
