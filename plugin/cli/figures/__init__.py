"""Pictures, plots and tables of how a render went: sheets, losses, animations.

Every file is written whole or not at all; one that cannot be written raises StyleError.
"""
