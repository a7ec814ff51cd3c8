"""The DaVinci Resolve plugin: menu scripts in Python and Lua, a small window of our own, a self-test."""
