"""The id that a module is shown by where nothing else is beside it."""

from inspector.study.module_id import ModuleId, module_ids


def shown(path: str) -> ModuleId:
    return module_ids({path: 1})[path]
