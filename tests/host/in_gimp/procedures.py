"""Describes and calls the filter's procedures."""

from __future__ import annotations

import time
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio

FILTER_PROCEDURE, FOLDER_PROCEDURE = "plug-in-neural-style", "plug-in-neural-style-folder"
FILE_ARGUMENTS = ("style_image", "folder", "output_folder")


def describe_procedure(procedure: str = FILTER_PROCEDURE) -> dict[str, Any]:
    """Return what GIMP knows about a procedure."""
    described = Gimp.get_pdb().lookup_procedure(procedure)
    config = described.create_config()
    names = ("style", "strength", "stroke-size", "full-resolution", "keep-colors", "size", "iterations")
    return {
        "help": described.get_help(),
        "arguments": {argument.name: argument.blurb for argument in described.get_arguments()},
        "returns": {value.name: value.blurb for value in described.get_return_values()},
        "menu_paths": described.get_menu_paths(),
        "menu_label": described.get_menu_label(),
        "image_types": described.get_image_types(),
        "defaults": {name: config.get_property(name) for name in names if config.find_property(name)},
    }


def run(
    image: int,
    drawables: list[int],
    run_mode: str = "NONINTERACTIVE",
    procedure: str = FILTER_PROCEDURE,
    **arguments: Any,
) -> dict[str, Any]:
    """Call a procedure on layers. Return its status, message, seconds and layers.

    The names of its arguments have underscores in place of hyphens.
    """
    called = Gimp.get_pdb().lookup_procedure(procedure)
    config = called.create_config()
    config.set_property("run-mode", getattr(Gimp.RunMode, run_mode))
    config.set_property("image", Gimp.Image.get_by_id(image))
    config.set_core_object_array("drawables", [Gimp.Item.get_by_id(drawable) for drawable in drawables])
    set_arguments(config, arguments)
    start = time.perf_counter()
    result = called.run(config)
    seconds = time.perf_counter() - start
    status, message = result.index(0), Gimp.get_pdb().get_last_error()
    worked = status == Gimp.PDBStatusType.SUCCESS
    layers = [layer.get_id() for layer in result.get_core_object_array(1)] if worked else [None]
    answer = {"status": status.value_nick, "message": message, "seconds": seconds}
    return answer | {"layers": layers, "layer": layers[0]}


def run_folder(run_mode: str = "NONINTERACTIVE", **arguments: Any) -> dict[str, Any]:
    """Call the procedure that paints a folder. Return its status, its message, and what it returns."""
    procedure = Gimp.get_pdb().lookup_procedure(FOLDER_PROCEDURE)
    config = procedure.create_config()
    config.set_property("run-mode", getattr(Gimp.RunMode, run_mode))
    set_arguments(config, arguments)
    result = procedure.run(config)
    status, message = result.index(0), Gimp.get_pdb().get_last_error()
    worked = status == Gimp.PDBStatusType.SUCCESS
    lists = [list(result.index(position)) for position in (1, 2, 3)] if worked else [None] * 3
    answer = dict(zip(("painted", "skipped", "failed"), lists, strict=True))
    return {"status": status.value_nick, "message": message, **answer}


def set_arguments(config: Gimp.ProcedureConfig, arguments: dict[str, Any]) -> None:
    """Set a procedure's arguments, which are named with underscores; files are paths."""
    for name, value in arguments.items():
        if name in FILE_ARGUMENTS:
            value = Gio.File.new_for_path(value)
        config.set_property(name.replace("_", "-"), value)
