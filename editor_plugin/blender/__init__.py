"""The Blender extension: the sequencer's panel, menu and operators."""


def register() -> None:
    """Called by Blender when the extension is switched on."""
    from . import interface

    interface.register()


def unregister() -> None:
    """Called by Blender when it is switched off."""
    from . import interface

    interface.unregister()
